"""Short ways to say what a setting of Kafka is."""

from collections.abc import Mapping
from typing import Any, Final

from mqverify.spec.registry import Setting
from mqverify.units import MILLISECOND

__all__ = [
    "BROKER",
    "CLIENT",
    "CONSUMER",
    "OWN",
    "PRODUCER",
    "TOPIC",
    "choice",
    "choices",
    "count",
    "duration",
    "flag",
    "size",
]

OWN: Final = ("mqverify",)
TOPIC: Final = ("topic",)
PRODUCER: Final = ("producer",)
CONSUMER: Final = ("consumer",)
CLIENT: Final = ("producer", "consumer")
BROKER: Final = ("broker",)

_SOURCES: Final = {
    OWN: "mqverify",
    TOPIC: "Apache Kafka 4.x",
    BROKER: "Apache Kafka 4.x",
    PRODUCER: "kafka-python 3.0.12",
    CONSUMER: "kafka-python 3.0.12",
    CLIENT: "kafka-python 3.0.12",
}


def duration(
    part: tuple[str, ...],
    native: str,
    about: str,
    *,
    unit: int = MILLISECOND,
    least: int | None = None,
    none: str | None = None,
    breaks: str = "",
) -> Setting:
    """A duration; `unit` is the native setting's, in nanoseconds, as is `least`. `none` is the word for no limit."""
    return Setting(
        "duration", part, about, native, unit=unit, least=least, none=none, breaks=breaks, source=_SOURCES[part]
    )


def size(
    part: tuple[str, ...],
    native: str,
    about: str,
    *,
    least: int | None = None,
    most: int | None = None,
    none: str | None = None,
    breaks: str = "",
) -> Setting:
    """A size in bytes, as are `least` and `most`. `none` is the word for no limit."""
    return Setting("size", part, about, native, least=least, most=most, none=none, breaks=breaks, source=_SOURCES[part])


def count(
    part: tuple[str, ...],
    least: int,
    most: int,
    about: str,
    native: str | None = None,
    *,
    also: tuple[str, ...] = (),
    none: str | None = None,
    breaks: str = "",
) -> Setting:
    """A whole number from `least` to `most`; `also` are words that may stand in its place."""
    source = _SOURCES[part]
    return Setting(
        "count", part, about, native, breaks=breaks, source=source, also=also, least=least, most=most, none=none
    )


def flag(part: tuple[str, ...], native: str, about: str, *, breaks: str = "") -> Setting:
    """True or false."""
    return Setting("flag", part, about, native, breaks=breaks, source=_SOURCES[part])


def choice(
    part: tuple[str, ...],
    words: Mapping[str, Any] | tuple[str, ...],
    about: str,
    native: str | None = None,
    *,
    later: tuple[str, ...] = (),
    breaks: str = "",
) -> Setting:
    """One of some words, with what Kafka calls each where that is another; `later` are known, and not run yet."""
    table = words if isinstance(words, Mapping) else {word: word for word in words}
    return Setting("choice", part, about, native, breaks=breaks, source=_SOURCES[part], words=table, later=later)


def choices(
    part: tuple[str, ...],
    native: str,
    words: Mapping[str, Any] | tuple[str, ...],
    about: str,
    *,
    later: tuple[str, ...] = (),
    breaks: str = "",
) -> Setting:
    """One of some words or a list of them, as in `choice`."""
    table = words if isinstance(words, Mapping) else {word: word for word in words}
    return Setting("choices", part, about, native, breaks=breaks, source=_SOURCES[part], words=table, later=later)
