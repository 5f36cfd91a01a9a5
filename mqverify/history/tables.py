"""The tables of a history: one row an event, typed, in one place.

What each column means is in docs/meaning.md; this file is their shape. Every table but `runs` and `parameters`
begins with `run` and `stage`. Times are integer nanoseconds since the run's start. A column that may be null says so;
null always means "the client does not learn it" or "it did not happen", never −1.

`group`, `by`, `at` and other reserved words of SQL name no column.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["TABLES", "Column", "ColumnType", "Table", "own_columns"]

ColumnType = Literal["int", "text", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is `int` (64 bits), `text` or `bool`; `nullable` says whether null is a legal value."""

    name: str
    type: ColumnType
    nullable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, its columns in order, and what a row of it is."""

    name: str
    columns: tuple[Column, ...]
    row_is: str

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def _columns(declaration: str) -> tuple[Column, ...]:
    """Read `name:type` words; a `?` behind the type allows null. No type means `int`."""
    columns = []
    for word in declaration.split():
        name, _, kind = word.partition(":")
        nullable = kind.endswith("?") or name.endswith("?")
        kind = kind.rstrip("?") or "int"
        columns.append(Column(name.rstrip("?"), kind, nullable))  # type: ignore[arg-type]
    return tuple(columns)


def _table(name: str, row_is: str, declaration: str) -> Table:
    common = "" if name in {"runs", "parameters"} else "run stage "
    return Table(name, _columns(common + declaration), row_is)


_ALL = (
    _table(
        "runs",
        "one run",
        "run scenario seed world:text drained:bool ended_at give_up_reason:text?",
    ),
    _table(
        "parameters",
        "a guarantee's parameter in a scenario; values as text (durations in nanoseconds)",
        "scenario guarantee:text name:text value:text",
    ),
    _table("places", "a partition, stream, category by name", "id name:text since"),
    _table(
        "groups",
        "one group, written before the first worker starts",
        "consumer_group:text team:text starts:text delivery:text consumers drained:bool gave_up:text?",
    ),
    _table("shards", "which shard a key falls to, by the plan", "consumer_group:text key:text shard"),
    _table(
        "workers",
        "one incarnation of a producer or consumer",
        "worker:text kind:text consumer_group:text? incarnation began_at ended_at? ending:text? pid?",
    ),
    _table(
        "sends",
        "one try to send a message",
        "message key:text sequence producer:text incarnation try batch? transaction? expected? actual? partition? "
        "position? record_time? stored_bytes? invoked_at completed_at? outcome:text",
    ),
    _table(
        "deliveries",
        "one attempt to handle one message that the client library returned",
        "delivery attempt redelivered? message? key:text? sequence? consumer:text incarnation consumer_group:text "
        "shard? partition? position? source source_position? delivered_at started_at? ended_at? result:text? "
        "intact:bool",
    ),
    _table(
        "settlements",
        "one commit, checkpoint, ack or nack",
        "consumer:text incarnation? consumer_group:text shard? source source_position? covers:text message? "
        "action:text settled_by:text invoked_at completed_at? outcome:text",
    ),
    _table(
        "assignments",
        "a source given to or taken from a consumer",
        "consumer:text incarnation consumer_group:text source shard? epoch? change:text asked_at start_position? "
        "start_from:text? done_at?",
    ),
    _table(
        "readings",
        "one pass of a fresh reader",
        "reading reader:text source? isolation:text? reason:text complete:bool",
    ),
    _table(
        "log",
        "one message that a reading found",
        "reading place:text consumer_group:text? partition position source source_position message? key:text? "
        "sequence? record_time stored_bytes? visible:text intact:bool",
    ),
    _table(
        "bounds",
        "how far one reading could and did see in one partition",
        "reading place:text consumer_group:text? partition first_position end_position read_to read_at",
    ),
    _table(
        "effects",
        "one effect in a group's sink",
        "consumer_group:text message? key:text? sequence? consumer:text incarnation source source_position applied_at",
    ),
    _table(
        "faults",
        "one fault, planned and as it happened",
        "fault kind:text target:text planned:text began_at? ended_at? took_effect:bool why_not:text?",
    ),
    _table("footprint", "partitions, streams, folders, bytes on the broker", "kind:text value read_at"),
    _table("settings", "what backend and run promised", "name:text place? value:text since"),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}


def own_columns(table: Table) -> tuple[Column, ...]:
    """The columns that a run records itself: all but `run` and `stage`, which are added when runs are gathered."""
    return tuple(column for column in table.columns if column.name not in {"run", "stage"})
