"""When a log loses its oldest segments: by time, by size, by a moved start offset.

Exactly docs/facts/kafka.md §B.1 (`UnifiedLog.deleteOldSegments`). The check runs every
`log.retention.check.interval.ms` but changes something rarely; so the broker asks `first_due` when a check would delete
something, and runs only those.
"""

from mqverify.simulation.kafka.log import PartitionLog

__all__ = ["apply_retention", "first_due"]


def apply_retention(log: PartitionLog, now_ms: int) -> bool:
    """One run of the check; whether anything was deleted."""
    before = log.segments[0]
    _delete_below_start(log)
    if log.config.cleanup_policy == "delete":
        _delete_by_size(log)
        _delete_by_time(log, now_ms)
    return log.segments[0] is not before


def first_due(log: PartitionLog, now_ms: int) -> int | None:
    """The earliest time, in milliseconds, at which a check would delete something as the log now stands."""
    config, segments = log.config, log.segments
    if len(segments) > 1 and segments[1].base_offset <= log.start_offset:
        return now_ms
    if config.cleanup_policy != "delete":
        return None
    if config.retention_bytes >= 0 and segments[0].size and log.size - segments[0].size >= config.retention_bytes:
        return now_ms
    if config.retention_ms < 0 or not segments[0].size:
        return None
    return max(now_ms, segments[0].last_timestamp + config.retention_ms + 1)


def _delete_below_start(log: PartitionLog) -> None:
    while len(log.segments) > 1 and log.segments[1].base_offset <= log.start_offset:
        del log.segments[0]


def _delete_by_size(log: PartitionLog) -> None:
    """From the oldest on while what remains is still at least `retention.bytes`, which is therefore always kept."""
    if log.config.retention_bytes < 0:
        return
    excess = log.size - log.config.retention_bytes
    count = 0
    for segment in log.segments:
        if not segment.size or excess - segment.size < 0:
            break
        excess -= segment.size
        count += 1
    _delete(log, count)


def _delete_by_time(log: PartitionLog, now_ms: int) -> None:
    """From the oldest on while its *largest* timestamp is older than `retention.ms`; the active segment too."""
    if log.config.retention_ms < 0:
        return
    count = 0
    for segment in log.segments:
        if not segment.size or now_ms - segment.last_timestamp <= log.config.retention_ms:
            break
        count += 1
    _delete(log, count)


def _delete(log: PartitionLog, count: int) -> None:
    """Delete the `count` oldest segments; where that is all, an empty one is rolled first (`deleteSegments`)."""
    if not count:
        return
    if count == len(log.segments):
        log.roll()
    del log.segments[:count]
    log.start_offset = max(log.start_offset, log.segments[0].base_offset)
