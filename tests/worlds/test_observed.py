"""What a real system says of a group's positions is in a history where no worker's own record explains it."""

from itertools import count

import pytest

from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES
from mqverify.worlds.observed import Observations

NAMES = TABLES["settlements"].column_names[2:]


def settlement(rows: RunRows, position: int, outcome: str, at: int, group: str = "group") -> None:
    rows.add(
        "settlements", "consumer-1", 1, group, None, 0, position, "below", None, "commit", "client", at, at, outcome
    )


def observed(rows: RunRows) -> list[tuple[str, int]]:
    found = [dict(zip(NAMES, row, strict=True)) for row in rows.tables["settlements"]]
    return [(row["consumer_group"], row["source_position"]) for row in found if row["settled_by"] == "observed"]


def observations(*positions: int) -> Observations:
    """They begin at 100, two a reading."""
    made = Observations(count(100).__next__)
    for position in positions:
        made.observe(lambda position=position: {"group": {0: position}})  # type: ignore[misc]
    return made


def test_what_is_as_it_was_is_noted_once() -> None:
    rows = RunRows()
    observations(10, 10, 20, 20, 10).add_unexplained(rows)
    assert observed(rows) == [("group", 10), ("group", 20), ("group", 10)]


@pytest.mark.parametrize(
    ("outcome", "at", "group", "explained"),
    [
        ("acked", 50, "group", True),
        ("acked", 500, "group", False),  # later
        ("unknown", 50, "group", False),  # its reply was not seen: that it was done is news
        ("failed", 50, "group", False),
        ("acked", 50, "another", False),
    ],
)
def test_what_a_worker_was_told_to_have_been_done_explains_it(
    outcome: str, at: int, group: str, explained: bool
) -> None:
    rows = RunRows()
    settlement(rows, 10, outcome, at, group)
    observations(10).add_unexplained(rows)
    assert observed(rows) == ([] if explained else [("group", 10)])
