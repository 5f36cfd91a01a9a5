"""Event Store's settings as a spec writes them, with the defaults of esdbclient 1.1.7.

Names are the client's, `max_age`, `max_count` and `truncate_before` are the stream's `$maxAge`, `$maxCount` and `$tb`.
Durations are nanoseconds; None is without bound.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict

from mqverify.spec.registry import Setting
from mqverify.units import MICROSECOND, MILLISECOND, SECOND

__all__ = ["EventStoreSettings"]

_CLIENT: Final = "esdbclient 1.1.7"
_OWN: Final = ("mqverify",)
_SUBSCRIPTION: Final = ("subscription",)
_CONSUMER: Final = ("consumer",)
_STREAM: Final = ("stream",)
_MOST: Final = 2**31 - 1


def _own(about: str, *words: str, breaks: str = "") -> Setting:
    return Setting("choice", _OWN, about, words={word: word for word in words}, breaks=breaks, source="mqverify")


def _count(about: str, *, least: int = 0, breaks: str = "", part: tuple[str, ...] = _SUBSCRIPTION) -> Setting:
    return Setting("count", part, about, breaks=breaks, source=_CLIENT, least=least, most=_MOST)


def _time(about: str, *, breaks: str = "", part: tuple[str, ...] = _SUBSCRIPTION, unit: int = MILLISECOND) -> Setting:
    return Setting("duration", part, about, unit=unit, breaks=breaks, source=_CLIENT, least=0)


def _kept(kind: Literal["duration", "count"], native: str, about: str, unit: int, least: int, breaks: str) -> Setting:
    return Setting(
        kind, _STREAM, about, native, unit=unit, least=least, none="unlimited", breaks=breaks, source="Event Store"
    )


class EventStoreSettings(BaseModel):
    """The settings of a backend whose system is Event Store."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    # mqverify's own words
    stream: Annotated[
        str,
        Setting(
            "choice",
            _OWN,
            "which stream a message is appended to: one for each key, one for all, or keys spread over 16",
            words={"per_key": "per_key", "one": "one"},
            pattern="per_key % [1-9][0-9]{0,4}",
            breaks="an expected revision guards one stream only",
            source="mqverify",
        ),
    ] = "per_key"
    subscribe: Annotated[
        Literal["persistent", "catch_up"],
        _own(
            "persistent: the server keeps the position and shares events; catch_up: each consumer keeps its own",
            "persistent",
            "catch_up",
            breaks="consumers of a persistent subscription hold one key's events at once",
        ),
    ] = "persistent"
    read: Annotated[
        Literal["category", "stream", "all", "correlation"] | None,
        Setting(
            "choice",
            _OWN,
            "what is subscribed to: a category's links, the stream, $all, or links by correlation",
            words={word: word for word in ("category", "stream", "all", "correlation")},
            none="default",
            breaks="links lag behind, and stay when what they lead to is gone",
            source="mqverify: category for stream: per_key, else stream",
        ),
    ] = None
    event_id: Annotated[
        Literal["per_message", "per_try"],
        _own(
            "which id an event has when its message is sent again: the same, or another",
            "per_message",
            "per_try",
            breaks="the server knows a repetition by its id alone: with per_try it writes the message twice",
        ),
    ] = "per_message"

    # stream
    max_age: Annotated[
        int | None,
        _kept(
            "duration", "$maxAge", "how long an event of a stream can be read", SECOND, SECOND, "older events are gone"
        ),
    ] = None
    max_count: Annotated[
        int | None,
        _kept("count", "$maxCount", "how many events of a stream can be read", 1, 1, "earlier events are gone"),
    ] = None
    truncate_before: Annotated[
        int | None,
        _kept("count", "$tb", "the first revision of a stream that can be read", 1, 0, "earlier events are gone"),
    ] = None

    # persistent subscription
    strategy: Annotated[
        Literal["RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"],
        Setting(
            "choice",
            _SUBSCRIPTION,
            "how events are shared among the consumers of a group",
            "consumer_strategy",
            words={
                "round_robin": "RoundRobin",
                "dispatch_to_single": "DispatchToSingle",
                "pinned": "Pinned",
                "pinned_by_correlation": "PinnedByCorrelation",
            },
            breaks="none of them keeps the order of a key: ordering is best effort",
            source=_CLIENT,
        ),
    ] = "DispatchToSingle"
    message_timeout: Annotated[
        int, _time("how long a consumer may hold an event before it is given out again", breaks="0s expires at once")
    ] = 30 * SECOND
    max_retry_count: Annotated[
        int, _count("how often an event is given out again before it is parked", breaks="a parked event is not handled")
    ] = 10
    history_buffer_size: Annotated[
        int, _count("how many events the server reads ahead; above read_batch_size", least=1)
    ] = 500
    live_buffer_size: Annotated[int, _count("how many new events the server keeps ready", least=1)] = 500
    read_batch_size: Annotated[int, _count("how many events the server reads at once; at most 100 count", least=1)] = (
        200
    )
    checkpoint_after: Annotated[
        int, _time("how long at most until progress is stored", breaks="what was acknowledged since is given out again")
    ] = 2 * SECOND
    min_checkpoint_count: Annotated[
        int,
        _count("how many events at least until progress is stored", breaks="fewer are never stored on a quiet stream"),
    ] = 10
    max_checkpoint_count: Annotated[int, _count("how many events at most until progress is stored", least=1)] = 1000
    max_subscriber_count: Annotated[
        int, _count("how many consumers a group takes; 0 for any number", breaks="one more is refused")
    ] = 5
    resolve_links: Annotated[
        bool, Setting("flag", _SUBSCRIPTION, "whether a link brings the event it leads to", source=_CLIENT)
    ] = False
    from_end: Annotated[
        bool,
        Setting(
            "flag",
            _SUBSCRIPTION,
            "whether a group without a checkpoint starts at the end",
            breaks="what was appended before is never delivered",
            source=_CLIENT,
        ),
    ] = False
    event_buffer_size: Annotated[
        int,
        _count(
            "how many events a consumer holds at once",
            least=1,
            part=_CONSUMER,
            breaks="above 1, events of one key are in several hands, and a retry comes after later ones",
        ),
    ] = 150
    max_ack_batch_size: Annotated[
        int,
        _count(
            "how many acknowledgements the client sends at once", least=1, part=_CONSUMER, breaks="a crash loses them"
        ),
    ] = 50
    max_ack_delay: Annotated[
        int, _time("how long the client holds acknowledgements back", part=_CONSUMER, unit=MICROSECOND)
    ] = 200 * MILLISECOND
    stopping_grace: Annotated[
        int, _time("how long the client waits for its acknowledgements when it stops", part=_CONSUMER, unit=MICROSECOND)
    ] = 200 * MILLISECOND
