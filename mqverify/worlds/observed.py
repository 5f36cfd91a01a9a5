"""What groups of a real system have settled, as it says itself: settlements `observed`.

They are read where workers die, stand still, go on or end, and at the end of the run. What a worker has recorded of its
own settlements tells more, above all when; so only what no acknowledged one of them explains stays in the history.
"""

from collections.abc import Callable, Mapping

from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES

__all__ = ["Observations"]

_COLUMNS = {name: index for index, name in enumerate(TABLES["settlements"].column_names[2:])}


class Observations:
    """The observations of one run."""

    def __init__(self, stamp: Callable[[], int]) -> None:
        self._stamp = stamp
        self._last: dict[tuple[str, int], int] = {}
        self._rows: list[tuple[str, int, int, int, int]] = []
        """Group, source, position, when it was asked for and when it was known."""

    def observe(self, read: Callable[[], Mapping[str, Mapping[int, int]]]) -> None:
        """Note what `read` finds: of each group the position of each source. What is as it was is not noted again."""
        asked_at = self._stamp()
        found = read()
        done_at = self._stamp()
        for group, positions in found.items():
            for source, position in positions.items():
                if self._last.get((group, source)) != position:
                    self._last[group, source] = position
                    self._rows.append((group, source, position, asked_at, done_at))

    def add_unexplained(self, rows: RunRows) -> None:
        """Add to a history, which has all that workers recorded, what none of them was told to have been done."""
        columns = [_COLUMNS[name] for name in ("consumer_group", "source", "source_position")]
        earliest: dict[tuple[str, int, int], int] = {}
        for row in rows.tables["settlements"]:
            if row[_COLUMNS["covers"]] == "below" and row[_COLUMNS["outcome"]] == "acked":
                group, source, position = (row[column] for column in columns)
                invoked_at = row[_COLUMNS["invoked_at"]]
                earliest[group, source, position] = min(invoked_at, earliest.get((group, source, position), invoked_at))
        for group, source, position, asked_at, done_at in self._rows:
            if earliest.get((group, source, position), done_at) >= done_at:
                rows.add(
                    "settlements", "mqverify", None, group, None, source, position, "below", None,
                    "commit", "observed", asked_at, done_at, "acked",
                )  # fmt: skip
