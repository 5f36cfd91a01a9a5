"""MQ131, MQ132 and MQ124 against checkers that compare everything with everything, on random histories."""

import random
from typing import Any

import pytest

from tests.guarantees.histories import History, judge_all

SEEDS = range(60)


def named(history: History, table: str, names: str) -> list[dict[str, Any]]:
    return [dict(zip(names.split(), row, strict=False)) for row in history.rows.tables[table]]


SETTLEMENT = (
    "consumer incarnation group shard source position covers message action settled_by invoked completed outcome"
)
ASSIGNMENT = "consumer incarnation group source shard epoch change asked start start_from done"


def random_history(run: int) -> History:
    """Consumers who handle, commit and take over as they like, over two partitions."""
    dice = random.Random(run)
    history = History(run, partitions=2)
    history.group(starts="beginning")
    count = dice.randint(3, 10)
    for message in range(count):
        history.send(message, f"key-{dice.randrange(3)}", partition=dice.randrange(2), lands=True,
                     outcome=dice.choice(["acked"] * 4 + ["unknown"]))  # fmt: skip
    for partition in (0, 1):
        history.assign(source=partition)
    for _ in range(dice.randint(4, 20)):
        consumer, partition = f"consumer-{dice.randint(1, 3)}", dice.randrange(2)
        match dice.choice(["handle", "handle", "commit", "commit", "start"]):
            case "handle":
                history.handle(dice.randrange(count), consumer)
            case "commit":
                at = history.now + dice.randint(1, 4)
                outcome = dice.choice(["acked"] * 4 + ["unknown", "failed"])
                history.commit(
                    consumer, below=dice.randint(0, 4), source=partition, outcome=outcome, at=at,
                    done=None if outcome == "unknown" else at + dice.randint(1, 12),
                )  # fmt: skip
                history.now = at
            case "start":
                at = history.now + 1
                history.assign(consumer, start=dice.randint(0, 4), source=partition, at=at,
                               done=at + dice.randint(1, 12),
                               start_from=dice.choice(["committed", "committed", "reset_beginning"]))  # fmt: skip
                history.now = at
    history.now += 20
    for partition in (0, 1):
        found = [message for message, (place, _) in history._positions.items() if place == partition]
        history.read(found, partition=partition)
    return history


def unsafe(history: History) -> int:
    """How many settlements cover an owed message that had not been handled."""
    settlements, starts = named(history, "settlements", SETTLEMENT), named(history, "assignments", ASSIGNMENT)
    handled: dict[int, int] = {}
    for row in history.rows.tables["deliveries"]:
        handled[row[3]] = min(handled.get(row[3], row[16]), row[16])
    owed = {row[0] for row in history.rows.tables["sends"] if row[-1] == "acked"}
    total = 0
    for one in settlements:
        same_place = [s for s in settlements if (s["source"], s["position"]) == (one["source"], one["position"])]
        proofs = [
            a for a in starts
            if a["change"] == "assigned" and a["start_from"] == "committed" and a["start"] == one["position"]
            and a["source"] == one["source"] and a["done"] > one["invoked"]
            and one["invoked"] == max(
                s["invoked"] for s in same_place if s["outcome"] == "unknown" and s["invoked"] < a["done"]
            )
        ] if one["outcome"] == "unknown" and not any(s["outcome"] == "acked" for s in same_place) else []  # fmt: skip
        if one["outcome"] != "acked" and not proofs:
            continue
        covered = [
            message for message, (place, position) in history._positions.items()
            if message in owed and place == one["source"] and position < one["position"]
        ]  # fmt: skip
        total += any(handled.get(message, one["invoked"] + 1) > one["invoked"] for message in covered)
    return total


def illegal(history: History) -> int:
    """How many later starts are at no position that may stand, nor where the reset policy may send them."""
    settlements, starts = named(history, "settlements", SETTLEMENT), named(history, "assignments", ASSIGNMENT)
    seen, total = set(), 0
    for start in sorted(starts, key=lambda one: (one["asked"], one["done"])):
        first = start["source"] not in seen
        seen.add(start["source"])
        if first:
            continue
        mine = [s for s in settlements if s["source"] == start["source"] and s["outcome"] != "failed"]
        acked = [s for s in mine if s["outcome"] == "acked"]

        def overwritten(one: dict[str, Any], acked: list[dict[str, Any]] = acked, asked: int = start["asked"]) -> bool:
            done = one["completed"] if one["outcome"] == "acked" else None
            return done is not None and any(t["invoked"] > done and t["completed"] < asked for t in acked)

        if any(s["position"] == start["start"] and s["invoked"] < start["done"] and not overwritten(s) for s in mine):
            continue
        reset = start["start_from"] == "reset_beginning" and start["start"] == 0
        possible = [s for s in mine if s["invoked"] < start["done"] and not overwritten(s)]
        end = history._next[start["source"]]
        in_force = any(s["completed"] < start["asked"] for s in acked)
        out_of_range = bool(possible) and all(s["position"] > end for s in possible)
        total += not (reset and (not in_force or out_of_range))
    return total


def test_settlements_are_judged_as_by_comparing_each_with_each_message() -> None:
    histories = [random_history(seed) for seed in SEEDS]
    found = [one.violations for one in judge_all(histories, "settle_safety")]
    assert found == [unsafe(history) for history in histories]
    assert len(set(found)) > 2


def test_starts_are_judged_as_by_comparing_each_with_each_settlement() -> None:
    histories = [random_history(seed) for seed in SEEDS]
    found = [one.violations for one in judge_all(histories, "legal_resume")]
    assert found == [illegal(history) for history in histories]
    assert len(set(found)) > 2


def random_log(run: int) -> History:
    """Two producers, time-outs and second tries, and a log in nearly any order, with copies."""
    dice = random.Random(run)
    history = History(run, partitions=2)
    messages = range(dice.randint(2, 7))
    for message in [*messages, *dice.sample(messages, 1)]:
        at = history.now + 1
        history.send(message, f"key-{message % 2}", producer=f"producer-{dice.randint(1, 2)}", at=at,
                     acked=at + dice.randint(1, 6),
                     outcome=dice.choice(["acked", "acked", "unknown"]), located=False, lands=False)  # fmt: skip
        history.now = at
    history.now += 20
    spread = dice.random() < 0.3
    log: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for message in sorted([*messages, *dice.sample(messages, 1)], key=lambda one: one + dice.random() * 2.2):
        place = dice.randrange(2) if spread else 0
        log[place].append((message, len(log[place])))
    for place, found in log.items():
        history.read_log(found, partition=place, end=len(found))
    return history


def surely_before(a: list[list[Any]], b: list[list[Any]]) -> bool:
    """Of the tries of two messages: whether a was surely sent before b."""
    acked = [row for row in a if row[-1] == "acked"]
    if not acked:
        return False
    first_of_b = min(b, key=lambda row: row[-3])
    first_of_a = min(a, key=lambda row: row[-3])
    if first_of_a[3] == first_of_b[3]:
        return bool(min(row[-3] for row in acked) < first_of_b[-3])
    return bool(min(row[-2] for row in acked) < first_of_b[-3])


def broken_keys(history: History) -> set[str]:
    """Keys with a pair whose first occurrences contradict the order of sending, or lie in two places."""
    tries: dict[int, list[list[Any]]] = {}
    for row in history.rows.tables["sends"]:
        tries.setdefault(row[0], []).append(row)
    places: dict[int, dict[int, int]] = {}
    for row in history.rows.tables["log"]:
        where = places.setdefault(row[7], {})
        where[row[5]] = min(where.get(row[5], row[6]), row[6])
    broken = set()
    for a in places:
        for b in places:
            if tries[a][0][1] == tries[b][0][1] and a != b and surely_before(tries[a], tries[b]):
                across = any(p != q for p in places[a] for q in places[b])
                wrong = any(places[a][p] > places[b][p] for p in places[a] if p in places[b])
                if across or wrong:
                    broken.add(tries[a][0][1])
    return broken


def test_replays_are_judged_as_by_comparing_every_pair() -> None:
    histories = [random_log(seed) for seed in range(150)]
    found = judge_all(histories, "replayable")
    expected = [broken_keys(history) for history in histories]
    assert [one.violations > 0 for one in found] == [bool(keys) for keys in expected]
    assert 10 < sum(bool(keys) for keys in expected) < 140


@pytest.mark.parametrize("seed", range(3))
def test_judging_together_and_one_by_one_agree(seed: int) -> None:
    names = ("at_least_once", "exactly_once", "settle_safety", "legal_resume", "durable", "replayable")
    histories = [random_history(seed * 10 + number) for number in range(4)]
    together = judge_all(histories, *names)
    alone = [finding for number in range(4) for finding in judge_all([random_history(seed * 10 + number)], *names)]
    assert together == alone
