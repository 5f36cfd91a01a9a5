"""From the first violation of a run to a witness: its sentence in the system's words, and the events that show it."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import duckdb
import numpy as np

from mqverify.errors import InternalError
from mqverify.events import Witness, WitnessEvent

__all__ = ["MOST_EVENTS", "Shown", "in_words", "witness_query", "witnesses"]

MOST_EVENTS = 16
"""What a person still follows. The most telling are kept, and shown in the order of time."""

_FEW_EVENTS = 8
_SURROUNDING = 4
"""The weight, in witness.sql, of events that merely surround what happened."""

_DEFAULT_WORDS = {"position": "position", "place": "partition"}
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


@cache
def witness_query() -> str:
    """The query for events, over the table `witnessed` and the tables of the history."""
    return resources.files(__package__).joinpath("witness.sql").read_text(encoding="utf-8")


def in_words(sentence: str, words: Mapping[str, str]) -> str:
    """Put a system's words for `{position}` and `{place}`, in one pass: hostile text has `{brace}` for its braces."""
    mapping = {**_DEFAULT_WORDS, **words, "brace": "{"}
    return _TOKEN.sub(lambda match: mapping[match[1]], sentence)


def witnesses(
    connection: duckdb.DuckDBPyConnection,
    shown: Sequence[tuple[int, Shown]],
    scenario_of: Mapping[int, int],
    vocabulary: Mapping[int, Mapping[str, str]],
) -> list[Witness]:
    """A witness for each (run, violation), in the same order. The connection holds the shared views that they use."""
    if not shown:
        return []
    events = _events(connection, shown)
    found = []
    for number, (run, one) in enumerate(shown):
        words = vocabulary.get(scenario_of[run], {})
        kept = sorted(_telling(events.get(number, ())), key=lambda row: row[1])
        told = tuple(WitnessEvent(row[1], in_words(row[2], words), in_words(row[3], words), *row[4:]) for row in kept)
        found.append(Witness(run, in_words(one.sentence, words), told))
    return found


def _telling(events: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """The most telling events; what merely surrounds them only where they are few."""
    telling = sum(weight < _SURROUNDING for weight, *_ in events)
    return events[: min(MOST_EVENTS, max(telling, _FEW_EVENTS))]


def _first_four(messages: Sequence[int]) -> str:
    return ",".join(map(str, list(dict.fromkeys(messages))[:4]))


def _events(
    connection: duckdb.DuckDBPyConnection, shown: Sequence[tuple[int, Shown]]
) -> Mapping[int, Sequence[tuple[Any, ...]]]:
    """By witness, the most telling first: weight, at_ns, actor, event, message, key, sequence, partition, position."""
    columns = {
        "witness": np.arange(len(shown)),
        "run": np.array([run for run, _ in shown], dtype=np.int64),
        "consumer_group": np.array([one.consumer_group for _, one in shown], dtype=object),
        "messages": np.array([_first_four(one.messages) for _, one in shown], dtype=object),
        "place": np.array(["" if one.place is None else str(one.place) for _, one in shown], dtype=object),
        "noticed_at": np.array([one.noticed_at for _, one in shown], dtype=np.int64),
    }
    connection.register("incoming_witnesses", columns)
    try:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE witnessed AS SELECT witness, run, consumer_group, "
            "CASE WHEN messages = '' THEN [] ELSE string_split(messages, ',')::BIGINT[] END AS messages, "
            "nullif(place, '')::BIGINT AS place, noticed_at FROM incoming_witnesses"
        )
        rows = connection.execute(witness_query()).fetchall()
    except duckdb.Error as error:
        raise InternalError(f"the events of witnesses cannot be found: {error}") from error
    finally:
        connection.execute("DROP TABLE IF EXISTS temp.witnessed")
        connection.unregister("incoming_witnesses")
    by_witness: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for witness, *rest in rows:
        by_witness[witness].append(tuple(rest))
    return by_witness
