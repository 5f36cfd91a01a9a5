"""From the first violation of a run to a witness: its sentence in the system's words, and the events that show it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from mqverify.events import Witness, WitnessEvent

__all__ = ["DEFAULT_WORDS", "Shown", "in_words", "witnesses"]

DEFAULT_WORDS = {"position": "position", "place": "partition"}
"""The words for `{position}` and `{place}` in sentences, where a system gives none of its own."""

_TOKEN = re.compile(r"\{(position|place|brace)\}")


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a guarantee's violations, without its run."""

    consumer_group: str | None
    key: str | None
    messages: Sequence[int]
    place: int | None
    noticed_at: int
    sentence: str


def in_words(sentence: str, words: Mapping[str, str]) -> str:
    """Put a system's words for `{position}` and `{place}`, in one pass: hostile text holds `{brace}` for its own braces."""
    mapping = {**DEFAULT_WORDS, **words, "brace": "{"}
    return _TOKEN.sub(lambda match: mapping[match[1]], sentence)


def witnesses(
    connection: duckdb.DuckDBPyConnection,
    shown: Sequence[tuple[int, Shown]],
    scenario_of: Mapping[int, int],
    vocabulary: Mapping[int, Mapping[str, str]],
) -> list[Witness]:
    """A witness for each (run, violation), in the same order."""
    found = []
    for run, one in shown:
        words = vocabulary.get(scenario_of[run], {})
        found.append(Witness(run, in_words(one.sentence, words), ()))
    return found
