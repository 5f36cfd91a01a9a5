"""MQ136 and MQ137 against busy windows that are found by looking at every moment (SEMANTICS §3)."""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from mqverify.history.tables import TABLES
from tests.guarantees.histories import MS, History, judge_all

SOURCES = 2


def rows(history: History, table: str) -> Iterator[dict[str, Any]]:
    names = TABLES[table].column_names[2:]
    for row in history.rows.tables[table]:
        yield dict(zip(names, row, strict=True))


def drawn(dice: random.Random, run: int) -> History:
    """Two partitions whose messages come and are handled at rates that rise and fall, sometimes with a fault."""
    history = History(run, partitions=SOURCES)
    competing = dice.random() < 0.4
    history.group(delivery="competing" if competing else "exclusive")
    consumers = [f"consumer-{number + 1}" for number in range(dice.choice([2, 2, 3]))]
    for consumer in consumers:
        history.worker(consumer)
    for consumer in consumers if competing else consumers[:SOURCES]:
        for source in range(SOURCES):
            if competing or consumers.index(consumer) == source:
                history.assign(consumer, source=source, start=0)
    fresh = 0
    waiting: dict[int, list[int]] = {source: [] for source in range(SOURCES)}
    for phase in range(dice.randint(2, 6)):
        sending = 0.9 if phase == 0 else dice.choice([0.1, 0.4, 0.5, 0.6, 0.8])
        for _ in range(dice.randint(50, 300)):
            source = dice.randrange(SOURCES)
            if dice.random() < sending:
                history.send(fresh, f"key-{fresh % 7}", partition=source)
                waiting[source].append(fresh)
                fresh += 1
            elif waiting[source]:
                message = waiting[source].pop(0)
                lonely = dice.random() < 0.9
                consumer = dice.choice(consumers) if competing and not lonely else consumers[source]
                result = "failed" if dice.random() < 0.05 else "handled"
                history.deliver(message, consumer, result=result)
        if dice.random() < 0.4:
            history.fault("slow", until=history.now + dice.choice([1, 30]))
            history.now -= dice.choice([0, 1])
    return history


def busy(history: History) -> tuple[tuple[int, int], tuple[int, int]]:
    """(obligations, violations) of MQ136 and of MQ137."""
    n = len(list(rows(history, "workers")))
    settled_from = max(row["done_at"] for row in rows(history, "assignments"))
    acked = {row["message"]: row["completed_at"] for row in rows(history, "sends")}
    handlings = list(rows(history, "deliveries"))
    handled = {row["message"] for row in handlings if row["result"] == "handled"}
    first: dict[int, tuple[int, int]] = {}
    for row in handlings:
        first[row["message"]] = min(
            first.get(row["message"], (row["started_at"], row["source"])), (row["started_at"], row["source"])
        )
    waits = [(acked[message], *first[message]) for message in handled]
    faults = [(row["began_at"], row["ended_at"]) for row in rows(history, "faults")]
    moments = {settled_from, (history.now + 1) * MS}
    moments |= {time for wait in waits for time in wait[:2]} | {time for fault in faults for time in fault}
    line = sorted(time for time in moments if time >= settled_from)

    def enough(time: int, source: int | None) -> bool:
        held = [place for since, until, place in waits if since <= time < until]
        if any(began <= time < ended for began, ended in faults):
            return False
        if source is None:
            return len(held) >= 10 * n and set(held) == set(range(SOURCES))
        return held.count(source) >= 10 * n

    found: dict[int | None, list[set[str]]] = defaultdict(list)
    for source in (None, *range(SOURCES)):
        began = None
        for time, following in pairwise([*line, line[-1] + 1]):
            cut = any(time in fault for fault in faults)
            good = time < line[-1] and enough(time, source)
            if began is not None and (cut or not good):
                inside = [
                    row for row in handlings if began <= row["started_at"] < time and source in (None, row["source"])
                ]
                if len(inside) >= 20 * n:
                    found[source].append({row["consumer"] for row in inside})
                began = None
            if good and began is None:
                began = time
            assert following > time
    whole = found.pop(None, [])
    unshared = bool(whole) and not any(len(who) >= n for who in whole)
    alone = [windows for windows in found.values() if all(len(who) == 1 for who in windows)]
    return (len(whole), int(unshared)), (len(found), len(alone))


@pytest.mark.parametrize("batch", range(4))
def test_busy_windows_are_what_looking_at_every_moment_says(batch: int) -> None:
    histories = [drawn(random.Random(100 * batch + run), run) for run in range(15)]
    expected = [busy(history) for history in histories]
    assert any(scales[0] for scales, _ in expected)
    assert any(competes[0] for _, competes in expected)
    for position, name in enumerate(("scales_with_consumers", "competing_consumers")):
        found = [(one.obligations, one.violations) for one in judge_all(histories, name)]
        assert found == [each[position] for each in expected]
