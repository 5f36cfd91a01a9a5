"""MQ114, MQ134, MQ138 and MQ151 against their definitions (meaning.md §4), applied naively to random histories."""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guarantees.histories import MS, History, judge_all
from tests.guarantees.test_window_oracle import rows

GROUPS = ("billing", "shipping")


def many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Judged together, which takes little longer than one."""
    return st.lists(one, min_size=1, max_size=20)


def counts(histories: Sequence[History], guarantee: str) -> list[tuple[int, int]]:
    """(obligations, violations) of each; each is the run of a scenario of its own."""
    for number, history in enumerate(histories):
        history.run = history.scenario = number
    return [(found.obligations, found.violations) for found in judge_all(histories, guarantee)]


@st.composite
def handled_somehow(draw: st.DrawFn) -> History:
    """Up to two groups handle up to eight messages of two sources in any order, some never, some twice, and faults."""
    history = History(partitions=2)
    groups = GROUPS[: draw(st.integers(1, 2))]
    for group in groups:
        history.group(group, drained=draw(st.booleans()), delivery=draw(st.sampled_from(["exclusive", "competing"])))
    size = draw(st.integers(1, 8))
    spread = draw(st.booleans())
    for message in range(size):
        invoked = draw(st.integers(1, 30))
        outcome = draw(st.sampled_from(["acked", "acked", "acked", "unknown"]))
        history.send(
            message, f"key-{message % 3}", partition=draw(st.integers(0, 1)) if spread else 0, at=invoked,
            acked=invoked + draw(st.integers(1, 10)), outcome=outcome, lands=True,
        )  # fmt: skip
    for group in groups:
        for number in (1, 2):
            ended = draw(st.one_of(st.none(), st.none(), st.integers(20, 70)))
            history.worker(
                f"{group}/consumer-{number}", group=group, began=draw(st.integers(0, 30)),
                ended=None if ended is None else max(ended, 31), ending=None if ended is None else "crashed",
            )  # fmt: skip
        for source in (0, 1):
            history.assign(f"{group}/consumer-1", source=source, group=group, at=0, done=1)
        several = draw(st.booleans())
        for message in draw(st.lists(st.integers(0, size - 1), max_size=10)):
            started = draw(st.integers(5, 80))
            history.deliver(
                message, f"{group}/consumer-{draw(st.integers(1, 2)) if several else 1}", group=group,
                at=started, started=started, ended=started + draw(st.integers(0, 30)),
                result=draw(st.sampled_from(["handled", "handled", "handled", "failed", None])),
            )  # fmt: skip
        if draw(st.booleans()):
            parked = [row["message"] for row in rows(history, "sends") if draw(st.integers(0, 5)) == 0]
            history.read_parked(parked, group=group, at=90)
    for number in range(draw(st.integers(0, 2))):
        began = draw(st.integers(10, 60))
        history.fault("pause", at=began, until=began + draw(st.integers(0, 20)), number=number)
    history.now = draw(st.integers(100, 140))
    return history


def first_handled(history: History) -> dict[tuple[str, int], int]:
    first: dict[tuple[str, int], int] = {}
    for row in rows(history, "deliveries"):
        if row["result"] == "handled":
            place = (row["consumer_group"], row["message"])
            first[place] = min(first.get(place, row["ended_at"]), row["ended_at"])
    return first


def acked(history: History) -> dict[int, tuple[int, int]]:
    return {
        row["message"]: (row["invoked_at"], row["completed_at"])
        for row in rows(history, "sends") if row["outcome"] == "acked"
    }  # fmt: skip


# --- MQ114 --------------------------------------------------------------------------------------------------------


def against_one_order(history: History) -> tuple[int, int]:
    first, sent = first_handled(history), acked(history)
    invoked = {row["message"]: row["invoked_at"] for row in rows(history, "sends")}
    groups = [row["consumer_group"] for row in rows(history, "groups")]
    handled = [row for row in rows(history, "deliveries") if row["result"] == "handled"]
    in_line = {
        group: min(
            len({row[by] for row in handled if row["consumer_group"] == group}) for by in ("consumer", "source")
        ) <= 1
        for group in groups
    }  # fmt: skip
    behind: set[tuple[str, int]] = set()
    overtaken: set[tuple[str, int]] = set()
    for group, b in first:
        for a, (_, acked_at) in sent.items():
            if (group, a) in first and acked_at < invoked[b]:
                behind.add((group, b))
                if first[group, a] > first[group, b]:
                    overtaken.add((group, b))
    swapped: set[int] = set()
    pairs = 0
    if len(groups) == 2 and all(in_line.values()):
        common = [message for message in invoked if all((group, message) in first for group in groups)]
        pairs = max(0, len(common) - 1)
        one, other = sorted(groups)
        swapped = {
            b for a in common for b in common
            if first[one, a] < first[one, b] and first[other, a] > first[other, b]
        }  # fmt: skip
    decided = len(groups) == 1 or pairs > 0
    violations = len(overtaken) + len(swapped)
    return max(pairs + len(behind) if decided else 0, violations), violations


@settings(max_examples=12, deadline=None)
@given(many(handled_somehow()))
def test_one_order_is_what_comparing_all_pairs_says(histories: list[History]) -> None:
    assert counts(histories, "total_ordering") == [against_one_order(history) for history in histories]


# --- owed ---------------------------------------------------------------------------------------------------------


def dues(history: History, group: dict[str, Any]) -> tuple[dict[int, int | None], set[int]]:
    """When each owed message that is not parked was handled, and those that may be parked where nobody looked."""
    name = group["consumer_group"]
    first = first_handled(history)
    place = ("parked", name)
    parked = {row["message"] for row in rows(history, "log") if (row["place"], row["consumer_group"]) == place}
    looked = any((row["place"], row["consumer_group"]) == place for row in rows(history, "bounds"))
    owed = {message: first.get((name, message)) for message in acked(history) if message not in parked}
    unread = not looked and group["delivery"] == "competing"
    doubtful = {message for message, at in owed.items() if at is None and unread}
    return owed, doubtful


# --- MQ134 --------------------------------------------------------------------------------------------------------


def unrecovered(history: History, within: int, drain: int | None) -> tuple[int, int]:
    faults = list(rows(history, "faults"))
    if not faults:
        return 0, 0
    healed, end, sent = max(row["ended_at"] for row in faults), (history.now + 1) * MS, acked(history)
    partition = {row["message"]: row["partition"] for row in rows(history, "sends")}
    obligations = violations = 0
    for group in rows(history, "groups"):
        name, drained = group["consumer_group"], group["drained"]
        lives = [
            (row["began_at"], end if row["ended_at"] is None else row["ended_at"])
            for row in rows(history, "workers") if row["consumer_group"] == name
        ]  # fmt: skip
        if not any(began <= healed < ended for began, ended in lives):
            continue
        owed, doubtful = dues(history, group)
        debts = {
            message: at for message, at in owed.items()
            if sent[message][1] <= healed and (at is None or at > healed) and message not in doubtful
        }  # fmt: skip
        handlings = [row for row in rows(history, "deliveries") if row["consumer_group"] == name]

        def alive(moment: int, lives: list[tuple[int, int]] = lives) -> bool:
            return any(began <= moment and ended >= min(moment, end) for began, ended in lives)

        def moves(source: int | None, handlings: list[dict[str, Any]] = handlings) -> bool:
            limit = healed + within
            return any(
                healed < row["started_at"] <= limit
                or (row["ended_at"] is not None and healed < row["ended_at"] <= limit)
                or (
                    row["started_at"] <= healed and row["ended_at"] is not None and row["ended_at"] > limit
                    and row["result"] == "handled"
                )
                for row in handlings if source in (None, row["source"])
            )  # fmt: skip

        over = end >= healed + within and alive(healed + within)
        waiting = {message for message, at in debts.items() if at is not None or not drained}
        if waiting and not moves(None) and over:
            violations += 1
        elif waiting:
            violations += sum(not moves(source) and over for source in {partition[message] for message in waiting})
        left = set()
        gave_up = drain is None and not drained and None in debts.values()
        for message, at in debts.items():
            if gave_up:
                break
            decided = message not in waiting or over or moves(partition[message])
            if drain is None:
                obligations += decided and message in waiting
                continue
            known = at is not None and at <= healed + drain
            if not known and alive(healed + drain) and (end >= healed + drain or (at is None and drained)):
                known = True
                left.add(message)
            obligations += decided and known
        violations += bool(left)
    return max(obligations, violations), violations


@settings(max_examples=15, deadline=None)
@given(many(st.tuples(handled_somehow(), st.integers(1, 60), st.one_of(st.none(), st.integers(1, 100)))))
def test_recovery_is_what_looking_at_every_debt_says(drawn: list[tuple[History, int, int | None]]) -> None:
    expected = []
    for history, within, drain in drawn:
        history.parameter("recovery", "within", within * MS)
        if drain is not None:
            history.parameter("recovery", "drain", drain * MS)
        expected.append(unrecovered(history, within * MS, None if drain is None else drain * MS))
    assert counts([history for history, *_ in drawn], "recovery") == expected


# --- MQ151 --------------------------------------------------------------------------------------------------------

PERCENTILES = {"p50": Fraction(50, 100), "p95": Fraction(95, 100), "p99": Fraction(99, 100), "max": Fraction(1)}


def late(history: History, bound: dict[str, int], outside: bool) -> tuple[int, int]:
    sent, end = acked(history), (history.now + 1) * MS
    obligations = violations = 0
    for group in rows(history, "groups"):
        owed, doubtful = dues(history, group)
        windows = []
        for fault in rows(history, "faults") if outside else ():
            cleared = fault["ended_at"]
            for message, at in owed.items():
                until = at if at is not None else None if group["drained"] else end
                if sent[message][1] <= fault["ended_at"] and until is not None:
                    cleared = max(cleared, until)
            windows.append((fault["began_at"], cleared))
        measured = []
        doubts = False
        for message, at in owed.items():
            left = end if at is None else at
            if any(began <= left and sent[message][0] <= cleared for began, cleared in windows):
                continue
            doubts = doubts or message in doubtful
            if message not in doubtful:
                measured.append(inf if at is None else at - sent[message][0])
        if measured:
            measured.sort()
            violations += sum(
                measured[ceil(PERCENTILES[name] * len(measured)) - 1] > allowed for name, allowed in bound.items()
            )
            obligations += 0 if doubts else len(measured)
    return max(obligations, violations), violations


@st.composite
def never_handed_over(draw: st.DrawFn) -> History:
    """What is drawn, but faults that are one island at the most: the longer stretches have histories by hand."""
    history = draw(handled_somehow())
    faults = history.rows.tables["faults"]
    del faults[1:]
    history.rows.tables["workers"].clear()
    history.rows.tables["assignments"].clear()
    return history


BOUNDS = st.dictionaries(st.sampled_from(list(PERCENTILES)), st.integers(1, 60), min_size=1)


@settings(max_examples=12, deadline=None)
@given(many(st.tuples(never_handed_over(), BOUNDS, st.booleans())))
def test_latency_is_what_sorting_says(drawn: list[tuple[History, dict[str, int], bool]]) -> None:
    expected = []
    for history, bound, outside in drawn:
        for name, value in bound.items():
            history.parameter("latency", name, value * MS)
        history.parameter("latency", "outside_faults", str(outside).lower())
        expected.append(late(history, {name: value * MS for name, value in bound.items()}, outside))
    assert counts([history for history, *_ in drawn], "latency") == expected


# --- MQ138 --------------------------------------------------------------------------------------------------------


@st.composite
def shared_work(draw: st.DrawFn) -> History:
    """A backlog of one source that consumers who come and go share in some way."""
    history = History()
    history.group(delivery="competing")
    lives = []
    for number in range(draw(st.integers(2, 4))):
        began = 0 if number < 2 else draw(st.sampled_from([0, 0, 900]))
        ended = None if number < 2 else draw(st.sampled_from([None, 1500]))
        history.worker(f"consumer-{number + 1}", began=began, ended=ended, ending=ended and "removed")
        history.assign(f"consumer-{number + 1}", at=began + 1, done=began + 2)
        lives.append((began + 3, ended or 10**9))
    history.now = 5
    history.sends(draw(st.sampled_from([300, 600])))
    history.now = 610
    weights = [draw(st.integers(0, 3)) for _ in lives]
    weights[0] = max(1, weights[0])
    turns = [number for number, weight in enumerate(weights) for _ in range(weight)]
    for message in range(len(history.rows.tables["sends"])):
        worker = turns[message * 7 % len(turns)]
        if not lives[worker][0] < history.now < lives[worker][1] - 5:
            worker = 0
        history.handle(message, f"consumer-{worker + 1}")
    return history


def unbalanced(history: History, at_most: Fraction) -> tuple[int, dict[str, Fraction]]:
    """Who handled more than that times its share, among everybody, and how many times."""
    lives = {
        row["worker"]: (row["began_at"], 10**18 if row["ended_at"] is None else row["ended_at"])
        for row in rows(history, "workers")
    }  # fmt: skip
    fair: dict[str, Fraction] = defaultdict(Fraction)
    own: dict[str, int] = defaultdict(int)
    for row in rows(history, "deliveries"):
        there = [name for name, (began, ended) in lives.items() if began <= row["started_at"] <= ended]
        for name in there:
            fair[name] += Fraction(1, len(there))
        own[row["consumer"]] += 1
    times = {name: own[name] / fair[name] for name in lives if fair[name]}
    return len(times), {name: each for name, each in times.items() if each > at_most}


@settings(max_examples=30, deadline=None)
@given(shared_work(), st.sampled_from([Fraction(1), Fraction(3, 2), Fraction(2)]))
def test_shares_are_what_asking_who_was_there_at_each_handling_says(history: History, at_most: Fraction) -> None:
    history.parameter("balanced", "at_most", float(at_most))
    (found,) = judge_all([history], "balanced")
    everybody, beyond = unbalanced(history, at_most)
    assert found.obligations <= everybody
    if found.obligations == everybody:
        assert found.violations == len(beyond)
        shown = max(figure.value for figure in found.figures)
        assert abs(shown - float(max(unbalanced(history, Fraction(0))[1].values()))) < 1e-9
    assert found.violations <= len(beyond)
