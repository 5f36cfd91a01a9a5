"""The report for programs that listen while a check runs: each event as one line of JSON, as soon as it happens."""

import json
import re
from dataclasses import asdict
from typing import TextIO

from mqverify.events import Event
from mqverify.report.json import FORMAT

__all__ = ["JsonLinesReport"]

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class JsonLinesReport:
    """`{"format": 1, "event": "check_finished", …}`, with the fields of the event's class; ASCII only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def handle(self, event: Event) -> None:
        name = _WORD.sub("_", type(event).__name__).lower()
        self._stream.write(json.dumps({"format": FORMAT, "event": name, **asdict(event)}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held open."""
