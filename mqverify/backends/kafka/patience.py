"""Asks again what may be answered in a moment."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["patiently"]

_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1

T = TypeVar("T")


def patiently(call: Callable[[], T], passing: type[Exception], seconds: float = _SECONDS) -> T:
    """What a call gives, made again while it fails in a way that may pass; after so many seconds that is raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except passing:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_SECONDS)
