"""All events of one run, in the words of witnesses: what `mqverify trace` shows."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources

import duckdb
import numpy as np

from mqverify.errors import InternalError
from mqverify.events import WitnessEvent
from mqverify.guarantees.shared import shared_pieces
from mqverify.guarantees.witness import in_words

__all__ = ["trace_events"]


@cache
def _query() -> str:
    return resources.files(__package__).joinpath("trace.sql").read_text(encoding="utf-8")


def trace_events(
    connection: duckdb.DuckDBPyConnection,
    words: Mapping[str, str],
    *,
    messages: Collection[int],
    narrowed: bool,
    worker: str | None = None,
    limit: int | None = None,
) -> tuple[int, tuple[WitnessEvent, ...]]:
    """How many events the one run that is loaded has, and the first `limit` of them, in the order of time.

    `messages` are those whose events are wanted; `narrowed` says that these are not all, so that of what is of no
    single message only what concerns them is told. `worker`: only what this one did, and the faults.
    """
    connection.register("incoming_messages", {"message": np.array(sorted(messages), dtype=np.int64)})
    try:
        connection.execute("CREATE TEMP TABLE wanted AS SELECT message FROM incoming_messages")
        connection.execute(
            "CREATE TEMP TABLE asked AS SELECT ?::BOOLEAN AS narrowed, ?::VARCHAR AS worker", [narrowed, worker]
        )
        with shared_pieces(connection, _query()):
            connection.execute(f"CREATE TEMP TABLE traced AS {_query()}")
        [(total,)] = connection.execute("SELECT count(*) FROM traced").fetchall()
        rows = connection.execute(
            "SELECT * EXCLUDE (rank) FROM traced ORDER BY at_ns, rank, actor, message, event, partition, position "
            "LIMIT ?",
            [total if limit is None else limit],
        ).fetchall()
    except duckdb.Error as error:
        raise InternalError(f"the events of the run cannot be found: {error}") from error
    told = (WitnessEvent(row[0], in_words(row[1], words), in_words(row[2], words), *row[3:]) for row in rows)
    return total, tuple(told)
