"""Settings of a node, under KurrentDB's option names where it has them. Durations are nanoseconds."""

from dataclasses import dataclass

from mqverify.simulation.eventstore.idempotence import ID_CACHE_BYTES
from mqverify.simulation.kernel import MILLISECOND, SECOND

__all__ = ["PROJECTIONS", "NodeSettings"]

PROJECTIONS = ("$by_category", "$by_correlation_id", "$by_event_type", "$stream_by_category", "$streams")
"""The system projections (docs/facts/eventstore.md §D)."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Source of the defaults: docs/facts/eventstore.md §A7, §C1, §C2, §D."""

    max_append_size: int = 1 << 20
    """Bytes of one append: data, metadata, and twice the length of the type, of all its events."""
    id_cache_bytes: int = ID_CACHE_BYTES
    """What the memory may use by which appends that expect any revision are recognised as repetitions."""
    running_projections: tuple[str, ...] = ()
    """The projections that run from the start, as with `--start-standard-projections`."""
    projection_delay: tuple[int, int] = (1 * MILLISECOND, 10 * MILLISECOND)
    """Between a write and the links to it: the least and the most."""
    subscription_window: int = 64
    """Events that may be on their way to a catch-up subscriber before it must take some (HTTP/2 flow control)."""
    keep_alive_interval: int = 10 * SECOND
    keep_alive_timeout: int = 10 * SECOND
