"""Who sends what, and what goes wrong when: drawn from the seed before anything runs.

Each drawing has a random stream of its own (`seed/keys`, `seed/poison`, `seed/fault-0`), so that a change of one part
of a spec does not disturb the others.
"""

import math
import random
from dataclasses import dataclass
from functools import cached_property

from mqverify.spec.model import Keys, Workload
from mqverify.workload.groups import resolve_groups
from mqverify.workload.payload import Payloads

__all__ = ["Plan", "draw_plan", "stream"]

_SECOND = 1_000_000_000


def stream(seed: int, name: str) -> random.Random:
    """The dice of one drawing or actor; equal on every machine."""
    return random.Random(f"{seed}/{name}")


@dataclass(frozen=True)
class Plan:
    """The messages of one run. A message is its number, from 0, in the order in which the workload asks for them."""

    seed: int
    workload: Workload
    key_numbers: list[int]
    """Of each message: the number of its key."""
    keys: list[str]
    """Of each message: its key."""
    sequences: list[int]
    """Of each message: which of its key's messages it is, from 0."""
    poison: dict[str, frozenset[int]]
    """Of each group of the spec: the messages that its handler fails to handle, every time."""

    @cached_property
    def producers(self) -> list[int]:
        """Of each message: its producer, from 0.

        A key belongs to one producer, so that it has one send order, or to `writers_per_key` who take turns.
        """
        producers, writers = self.workload.producers, self.workload.writers_per_key
        if writers == 1:
            return [key % producers for key in self.key_numbers]
        numbered = zip(self.key_numbers, self.sequences, strict=True)
        return [(key * writers + sequence % writers) % producers for key, sequence in numbered]

    def messages_of(self, producer: int) -> list[int]:
        """What a producer (from 0) sends, in order."""
        return [message for message, sender in enumerate(self.producers) if sender == producer]

    def due_at(self, message: int) -> int:
        """Nanoseconds after the producers' start before which a message is not sent; 0 without a rate."""
        rate = self.workload.rate
        return 0 if rate is None else round(message * _SECOND / rate)

    @cached_property
    def payloads(self) -> Payloads:
        return Payloads(self.keys, self.sequences, self.producers, self.workload.payload)


def draw_plan(workload: Workload, seed: int) -> Plan:
    """Draw the messages of one run."""
    key_numbers = _draw_keys(workload.keys, workload.messages, stream(seed, "keys"))
    sequences = []
    counts = [0] * workload.keys.count
    for key in key_numbers:
        sequences.append(counts[key])
        counts[key] += 1
    names = [f"key-{number}" for number in range(workload.keys.count)]
    return Plan(
        seed=seed,
        workload=workload,
        key_numbers=key_numbers,
        keys=[names[number] for number in key_numbers],
        sequences=sequences,
        poison={
            group.team: _draw_poison(group.handler.poison_one_in, workload.messages, stream(seed, "poison"))
            for group in resolve_groups(workload)
        },
    )


def _draw_keys(keys: Keys, messages: int, dice: random.Random) -> list[int]:
    if keys.distribution == "uniform" or keys.count == 1:
        return [int(dice.random() * keys.count) for _ in range(messages)]
    skew = keys.skew or 0.0
    if keys.distribution == "hot":
        others = keys.count - 1
        return [0 if dice.random() < skew else 1 + int(dice.random() * others) for _ in range(messages)]
    weights = [1 / math.pow(rank, skew) for rank in range(1, keys.count + 1)]
    return dice.choices(range(keys.count), weights, k=messages)


def _draw_poison(one_in: int | None, messages: int, dice: random.Random) -> frozenset[int]:
    """`poison: 1 in N`: that share of the messages, at least one; the same ones in all groups that ask for as many."""
    if one_in is None:
        return frozenset()
    count = max(1, round(messages / one_in))
    return frozenset(dice.sample(range(messages), min(count, messages)))
