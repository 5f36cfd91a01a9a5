"""Every kind of fault, with each target at each point and by each trigger: it takes effect, the history stays sound."""

from collections.abc import Sequence
from itertools import pairwise, product

import pytest
from allpairspy import AllPairs

from mqverify.history.recorder import RunRows
from tests.worlds.helpers import judged, run, table

SPEC = """
spec: every fault
workload:
  {{messages: 120, keys: 12, producers: 2, consumers: 3, handler: {{takes: 2ms}}, rate: 400/s, commit: {commit}}}
backends:
  kafka: {{partitions: 6, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest}}
  persistent: {{system: eventstore, subscribe: persistent, strategy: round_robin, message_timeout: 4s}}
  pinned: {{system: eventstore, subscribe: persistent, strategy: pinned, event_buffer_size: 5}}
  catch_up: {{system: eventstore, subscribe: catch_up}}
  all: {{system: eventstore, subscribe: catch_up, read: all}}
faults: {faults}
expect: {{at_least_once: held, legal_resume: held, settle_safety: held, per_partition_ordering: held, durable: held}}
"""
POINTS = ("", "before_handle", "in_handler", "before_settle", "in_settle", "after_settle")
METRICS = ("sent", "acked", "delivered", "handled", "settled")


def sound(rows: RunRows) -> None:
    """One row an incarnation, each ended, none while the one before was alive."""
    workers = table(rows, "workers")
    names = {row["worker"] for row in workers}
    for name in names:
        own = sorted((row for row in workers if row["worker"] == name), key=lambda row: row["incarnation"])  # type: ignore[arg-type,return-value]
        assert [row["incarnation"] for row in own] == list(range(1, len(own) + 1))
        assert all(row["ended_at"] is not None and row["ending"] is not None for row in own)
        for before, after in pairwise(own):
            assert before["ended_at"] <= after["began_at"]  # type: ignore[operator]
    for row in table(rows, "deliveries"):
        [worker] = [w for w in workers if (w["worker"], w["incarnation"]) == (row["consumer"], row["incarnation"])]
        assert row["delivered_at"] <= worker["ended_at"]  # type: ignore[operator]
        assert (row["ended_at"] or 0) <= worker["ended_at"]  # type: ignore[operator]


def check(faults: str, commit: str = "sync", seed: int = 0, label: str = "kafka", more: str = "") -> RunRows:
    text = SPEC.format(faults=faults, commit=f"{commit}{more}")
    rows, outcome = run(text, seed, label)
    assert outcome.drained, outcome.give_up_reason
    assert all(took for _, _, took, _ in outcome.faults), outcome.faults
    sound(rows)
    found = judged(text, seed, label, rows, outcome)
    assert {"at_least_once", "settle_safety", "durable"} <= set(found)
    for name in found:
        assert found[name].violations == 0, found[name].witness
    return rows


def pairs(*choices: Sequence[object]) -> list[list[object]]:
    """So many cases that each two of the choices meet in one of them."""
    return [list(case) for case in AllPairs([list(choice) for choice in choices])]


@pytest.mark.parametrize(
    ("kind", "metric", "point", "target"),
    pairs(("crash", "pause"), METRICS, POINTS, ("consumer", "consumer-2", "leader", "all consumers")),
)
def test_crashes_and_pauses_of_consumers(kind: str, metric: str, point: str, target: str) -> None:
    at = f", point: {point}" if point else ""
    then = "restart_after: 2s" if kind == "crash" else "for: 9s"
    rows = check(f"[{{{kind}: {target}, when: {{{metric}: 50%}}{at}, {then}}}]")
    crashed = sum(row["ending"] == "crashed" for row in table(rows, "workers"))
    assert crashed == (0 if kind == "pause" else 3 if target == "all consumers" else 1)


LABELS_AND_POINTS = [
    *product(("persistent", "pinned"), [point for point in POINTS if point != "in_settle"]),
    *product(("catch_up", "all"), POINTS),
]


@pytest.mark.parametrize(
    ("place", "kind", "metric", "target"),
    pairs(LABELS_AND_POINTS, ("crash", "pause"), METRICS[1:], ("consumer", "consumer-2", "all consumers")),
)
def test_crashes_and_pauses_on_event_store(place: tuple[str, str], kind: str, metric: str, target: str) -> None:
    label, point = place
    at = f", point: {point}" if point else ""
    then = "restart_after: 2s" if kind == "crash" else "for: 9s"
    rows = check(f"[{{{kind}: {target}, when: {{{metric}: 50%}}{at}, {then}}}]", label=label)
    crashed = sum(row["ending"] == "crashed" for row in table(rows, "workers"))
    assert crashed == (0 if kind == "pause" else 3 if target == "all consumers" else 1)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("target", ["consumer", "all consumers"])
def test_crashes_of_shards(point: str, target: str) -> None:
    at = f", point: {point}" if point else ""
    check(
        f"[{{crash: {target}, when: {{handled: 50%}}{at}, restart_after: 1s}}]", label="catch_up", more=", shard: key"
    )


@pytest.mark.parametrize("label", ["persistent", "catch_up"])
@pytest.mark.parametrize("metric", ["sent", "acked", "handled"])
@pytest.mark.parametrize("unknown", ["leave", "retry"])
def test_crashes_of_producers_on_event_store(label: str, metric: str, unknown: str) -> None:
    fault = f"[{{crash: producer, when: {{{metric}: 50%}}, restart_after: 1s}}]"
    check(fault, label=label, more=f", on_unknown: {unknown}")


@pytest.mark.parametrize("metric", ["sent", "acked", "handled"])
@pytest.mark.parametrize("target", ["producer", "producer-2"])
def test_crashes_of_producers(metric: str, target: str) -> None:
    check(f"[{{crash: {target}, when: {{{metric}: 50%}}, restart_after: 1s}}]")


@pytest.mark.parametrize("commit", ["sync", "async"])
@pytest.mark.parametrize("restart", ["0s", "3s", "never"])
@pytest.mark.parametrize("point", POINTS[1:])
def test_restarts_at_once_later_and_never(commit: str, restart: str, point: str) -> None:
    check(f"[{{crash: consumer, when: {{handled: 50%}}, point: {point}, restart_after: {restart}}}]", commit)


WORKER_ENDS = ("consumer", "consumer-2", "leader", "all consumers", "producer", "producer-1")
LINKS = (("cut", ", for: 4s"), ("cut", ", for: 4s, one_way: true"), ("delay", ", by: 200ms..1s, for: 4s"))
OTHER_TRIGGERS = ("", ", when: {time: 6600ms}", ", when: drained")


@pytest.mark.parametrize(
    ("link", "end", "metric"),
    [(link, end, METRICS[n % len(METRICS)]) for n, (link, end) in enumerate(product(LINKS, WORKER_ENDS))],
)
def test_links(link: tuple[str, str], end: str, metric: str) -> None:
    kind, rest = link
    rows = check(f"[{{{kind}: [{end}, broker], when: {{{metric}: 50%}}{rest}}}]")
    [fault] = table(rows, "faults")
    assert fault["ended_at"] - fault["began_at"] > 3_999_000_000  # type: ignore[operator]
    assert fault["target"] == f"{end}, broker"


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    ("end", "when"), [("consumer-1", OTHER_TRIGGERS[2]), *product(("producer", "all consumers"), OTHER_TRIGGERS[:2])]
)
def test_links_the_other_way_and_by_other_triggers(link: tuple[str, str], end: str, when: str) -> None:
    kind, rest = link
    check(f"[{{{kind}: [broker, {end}]{when}{rest.replace('4s', '8s')}}}]")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    ("label", "end"),
    [
        *product(("persistent", "catch_up"), ("consumer", "all consumers", "producer")),
        ("pinned", "consumer-2"),
        ("all", "consumer-2"),
    ],
)
def test_links_on_event_store(link: tuple[str, str], label: str, end: str) -> None:
    kind, rest = link
    check(f"[{{{kind}: [{end}, broker], when: {{acked: 50%}}{rest}}}]", label=label)


def test_a_link_that_was_down_only_before_its_worker_was_there_took_no_effect() -> None:
    rows, outcome = run(SPEC.format(faults="[{cut: [producer-1, broker], for: 1s}]", commit="sync"))
    assert outcome.faults == ((0, "cut", False, "it was over before the worker was started"),)
    sound(rows)


@pytest.mark.parametrize(
    ("label", "of", "when"),
    [
        *product(["kafka"], ["producer", "producer-2"], ["", ", when: {sent: 30%}", ", when: {acked: 30%}"]),
        *product(["kafka"], ["consumer", "consumer-2"], ["", ", when: {handled: 30%}", ", when: {settled: 30%}"]),
        *product(["persistent", "catch_up"], ["producer"], ["", ", when: {acked: 30%}"]),
    ],
)
@pytest.mark.parametrize("times", [1, 3])
def test_lost_replies(label: str, of: str, when: str, times: int) -> None:
    rows = check(f"[{{lose: ack, of: {of}{when}, times: {times}}}]", label=label)
    [fault] = table(rows, "faults")
    assert fault["ended_at"] is not None


def test_replies_that_nobody_waited_for_are_not_lost() -> None:
    rows, outcome = run(SPEC.format(faults="[{lose: ack, of: producer, when: drained}]", commit="sync"))
    assert outcome.drained
    assert outcome.faults == ((0, "lose", False, "producer was to lose a reply, and lost none"),)
    sound(rows)


@pytest.mark.parametrize(
    ("label", "end", "nth"),
    [
        *product(("kafka", "persistent", "catch_up"), ("consumer-2", "all consumers", "producer"), [""]),
        *product(["kafka"], ("consumer-2", "all consumers", "producer"), [", nth: 7"]),
        *product(("persistent", "catch_up"), ["producer"], [", nth: 7"]),  # who subscribes asks for next to nothing
    ],
)
def test_connections_are_reset(label: str, end: str, nth: str) -> None:
    rows = check(f"[{{reset: [{end}, broker], when: {{acked: 50%}}{nth}}}]", label=label)
    [fault] = table(rows, "faults")
    assert fault["ended_at"] is not None


@pytest.mark.parametrize("label", ["kafka", "persistent"])
@pytest.mark.parametrize("nth", ["", ", nth: 3"])
def test_several_resets_with_one_trigger_come_one_after_the_other(label: str, nth: str) -> None:
    """Each waits for a connection to be there again: docs/meaning.md."""
    faults = f"[{{reset: [producer-1, broker], when: {{acked: 20}}, times: 3{nth}}}]"
    rows = check(faults, label=label)
    began = [fault["began_at"] for fault in table(rows, "faults")]
    assert len(set(began)) == 3
    assert began == sorted(began)


def test_who_has_no_connection_has_none_to_be_reset() -> None:
    rows, outcome = run(SPEC.format(faults="[{reset: [producer-1, broker]}]", commit="sync"))
    why = "producer-1 had no connection to the broker when its trigger was pulled"
    assert outcome.faults == ((0, "reset", False, why),)
    sound(rows)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    ("label", "end"), [("kafka", "consumer"), *product(("kafka", "persistent", "catch_up"), ["producer-2"])]
)
def test_links_from_the_nth_request_on(link: tuple[str, str], label: str, end: str) -> None:
    kind, rest = link
    rows = check(f"[{{{kind}: [{end}, broker], nth: 5, when: {{acked: 30%}}{rest}}}]", label=label)
    at_once = check(f"[{{{kind}: [{end}, broker], when: {{acked: 30%}}{rest}}}]", label=label)
    assert table(rows, "faults")[0]["began_at"] > table(at_once, "faults")[0]["began_at"]  # type: ignore[operator]


def test_a_request_that_nobody_sends_begins_nothing() -> None:
    faults = "[{cut: [producer-1, broker], nth: 900, for: 1s, when: {acked: 50%}}]"
    rows, outcome = run(SPEC.format(faults=faults, commit="sync"))
    why = "producer-1 sent fewer than 900 requests after its trigger"
    assert outcome.faults == ((0, "cut", False, why),)
    sound(rows)


@pytest.mark.parametrize(("of", "table_name"), [("producer", "sends"), ("consumer", "settlements")])
def test_the_reply_to_the_nth_request_is_lost(of: str, table_name: str) -> None:
    """Of the requests from the trigger on (here: all) that append or settle, those before the third fare well."""
    faults = f"[{{lose: ack, of: {of}-1, nth: 3, times: 2}}]"
    text = SPEC.format(faults=faults, commit="sync").replace("messages: 120", "in_flight: one, messages: 120")
    rows, outcome = run(text)
    assert outcome.faults == ((0, "lose", True, None),)
    [fault] = table(rows, "faults")
    own = [row for row in table(rows, table_name) if f"{of}-1" in (row.get("producer"), row.get("consumer"))]
    done = [row for row in own if row["completed_at"] is not None and row["completed_at"] < fault["began_at"]]  # type: ignore[operator]
    assert len(done) == 2


def test_a_pause_in_a_settlement_is_after_it_was_sent_and_before_its_reply_is_seen() -> None:
    rows = check("[{pause: consumer, when: {handled: 50%}, point: in_settle, for: 3s}]")
    [fault] = table(rows, "faults")
    [under_way] = [
        row for row in table(rows, "settlements")
        if row["invoked_at"] < fault["began_at"] < row["completed_at"] and row["completed_at"] >= fault["ended_at"]  # type: ignore[operator]
    ]  # fmt: skip
    assert under_way["outcome"] == "acked"


@pytest.mark.parametrize("kind", ["add_consumers", "remove_consumers"])
@pytest.mark.parametrize(
    ("label", "when"),
    [
        *product(["kafka"], ["", *(f", when: {{{metric}: 50%}}" for metric in METRICS), ", when: drained"]),
        *product(["persistent", "pinned", "catch_up", "all"], ["", ", when: {delivered: 50%}", ", when: drained"]),
    ],
)
def test_consumers_that_join_and_leave(kind: str, when: str, label: str) -> None:
    amount = 2
    rows = check(f"[{{{kind}: {amount}{when}}}]", label=label)
    consumers = [row for row in table(rows, "workers") if row["kind"] == "consumer"]
    joined = [row["worker"] for row in consumers[3:]]
    left = [row["worker"] for row in consumers if row["ending"] == "removed"]
    assert joined == [f"consumer-{3 + n}" for n in range(1, amount + 1) if kind == "add_consumers"]
    assert left == ([f"consumer-{3 - n}" for n in range(amount)][::-1] if kind == "remove_consumers" else [])
    began = {row["consumer_group"]: row["began_at"] for row in consumers}
    assert {row["consumer_group"] for row in table(rows, "groups")} == set(began)


@pytest.mark.parametrize("label", ["kafka", "persistent", "catch_up"])
@pytest.mark.parametrize(
    "order", ["add_consumers: 2} {remove_consumers: 4}", "remove_consumers: 3} {add_consumers: 1}"]
)
def test_consumers_that_come_and_go(order: str, label: str) -> None:
    first, second = order.replace("}", "").split(" {")
    rows = check(
        f"[{{{first}, when: {{handled: 30%}}}}, {{{second}, when: {{time: 20s}}}}, "
        "{crash: consumer, when: {time: 30s}, restart_after: 1s}]",
        label=label,
    )
    assert sum(row["ending"] == "removed" for row in table(rows, "workers")) == (4 if "4" in second else 3)


def test_those_who_are_to_leave_and_die_first_have_not_left() -> None:
    faults = (
        "[{pause: consumer-3, when: {handled: 30%}, for: 20s}, {remove_consumers: 1, when: {handled: 50%}}, "
        "{crash: consumer-3, when: {time: 15s}, restart_after: 1s}]"
    )
    rows, outcome = run(SPEC.format(faults=faults, commit="sync"))
    assert outcome.drained
    assert [took for _, _, took, _ in outcome.faults] == [True, False, True]
    assert outcome.faults[1][3] == "consumer-3 crashed before it had left"
    sound(rows)


def test_a_group_all_of_whose_members_left_is_owed_no_more_than_it_had() -> None:
    rows = check("[{remove_consumers: 3, when: {handled: 50%}}]")
    assert len({row["message"] for row in table(rows, "deliveries")}) < 120
    [group] = table(rows, "groups")
    assert group["drained"]


@pytest.mark.parametrize(
    ("before", "when"),
    [
        *product(["50%"], [", when: {settled: 80%}", ", when: {time: 8s}"]),
        *product(["100%", "1", "30%..90%"], [", when: drained"]),
    ],
)
def test_records_are_deleted(before: str, when: str) -> None:
    text = SPEC.format(faults=f"[{{delete_records: {{partition: 2, before: {before}}}{when}}}]", commit="sync")
    rows, outcome = run(text)
    assert outcome.faults == ((0, "delete_records", True, None),)
    [limit] = [row for row in table(rows, "settings") if row["name"] == "delete_records"]
    assert limit["place"] == 2
    firsts = [row["first_position"] for row in table(rows, "bounds") if row["partition"] == 2]
    assert firsts == [0, int(str(limit["value"]))]
    found = judged(text, 0, "kafka", rows, outcome)
    assert found["durable"].violations == 0, found["durable"].witness


@pytest.mark.parametrize(
    ("skew", "when"),
    [("producer: -1h", ""), ("producer-1: 30m", ", when: {sent: 50%}"), ("producer-1: -8d, producer-2: 59m", "")],
)
def test_clocks_are_off(skew: str, when: str) -> None:
    rows = check(f"[{{clock_skew: {{{skew}}}{when}}}]")
    off = [row for row in table(rows, "sends") if abs(row["record_time"] - row["invoked_at"]) > 1_000_000_000]  # type: ignore[operator]
    assert off
    assert {row["producer"] for row in off} <= {"producer-1", "producer-2"}
    if not when:
        assert len(off) == len([row for row in table(rows, "sends") if row["producer"] in {r["producer"] for r in off}])


def test_the_first_that_reaches_the_point_is_the_one_that_crosses_the_count() -> None:
    rows = check("[{crash: consumer, when: {handled: 100%}, point: before_settle, restart_after: 1s}]")
    [fault] = table(rows, "faults")
    assert fault["took_effect"]


@pytest.mark.parametrize("count", [2, 3])
def test_faults_at_one_trigger_strike_each_worker_once(count: int) -> None:
    line = "{crash: consumer, when: {handled: 50%}, restart_after: 1s}"
    rows = check(f"[{', '.join([line] * count)}]")
    assert sum(row["ending"] == "crashed" for row in table(rows, "workers")) == count


def test_a_second_fault_finds_its_target_dead_and_says_so() -> None:
    line = "{crash: consumer-1, when: {handled: 50%}, restart_after: 1s}"
    rows, outcome = run(SPEC.format(faults=f"[{line}, {line}]", commit="sync"))
    assert outcome.drained
    assert [took for _, _, took, _ in outcome.faults] == [True, False]
    assert outcome.faults[1][3] == "no consumer-1 was alive when its trigger was pulled"
    sound(rows)


def test_a_paused_worker_can_be_killed_and_not_paused_again() -> None:
    faults = (
        "[{pause: consumer-1, when: {handled: 30%}, for: 20s}, {pause: consumer-1, when: {handled: 50%}, for: 1s}, "
        "{crash: consumer-1, when: {time: 15s}, restart_after: 2s}]"
    )
    rows, outcome = run(SPEC.format(faults=faults, commit="sync"))
    assert outcome.drained
    assert [took for _, _, took, _ in outcome.faults] == [True, False, True]
    sound(rows)


def test_a_slow_fault_takes_effect_when_it_slowed_as_many_handlings_as_it_says() -> None:
    rows, outcome = run(
        SPEC.format(faults="[{slow: consumer, handler: 1s, when: {handled: 119}, times: 3}]", commit="sync")
    )
    [(_, _, took, why_not)] = outcome.faults
    assert not took
    assert why_not is not None
    assert "of 3 handlings" in why_not
    sound(rows)
