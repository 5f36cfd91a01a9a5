"""What a producer that starts again has to know of its earlier incarnations."""

from mqverify.history.recorder import RunRows, WorkerRecorder, left_behind, strictly_increasing


class Plan:
    keys = ("a", "b", "c")
    sequences = (0, 0, 0)


def test_messages_in_doubt_are_those_whose_last_try_has_no_certain_outcome() -> None:
    rows = RunRows()
    clock = strictly_increasing(lambda: 0)
    first = WorkerRecorder(rows, clock, Plan(), "producer-1", 1)
    first.send_completed(first.send_invoked(0), "acked")
    first.send_invoked(1, 1, 7)
    other = WorkerRecorder(rows, clock, Plan(), "producer-2", 1)
    other.send_invoked(2)
    assert left_behind(rows.tables["sends"], "producer-1") == (2, ((1, 1, 7),))

    second = WorkerRecorder(rows, clock, Plan(), "producer-1", 2)
    again = second.send_invoked(1, 2, 7)
    assert left_behind(rows.tables["sends"], "producer-1") == (2, ((1, 2, 7),))
    second.send_completed(again, "acked")
    assert left_behind(rows.tables["sends"], "producer-1") == (2, ())
