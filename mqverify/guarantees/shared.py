"""The shared pieces of SQL (`views*.sql`): made for a query that names them, and taken away after it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import duckdb

from mqverify.errors import InternalError
from mqverify.guarantees.registry import view_sources

__all__ = ["shared_pieces"]

_STATEMENT = re.compile(r"CREATE OR REPLACE TEMP (?P<kind>TABLE|VIEW|MACRO) (?P<name>\w+)")
_COMMENT = re.compile(r"--[^\n]*")
_LITERAL = re.compile(r"'[^']*'")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _View:
    """One shared piece: the statement that makes it, and every word of it (names of other pieces are among them)."""

    name: str
    kind: str
    statement: str
    words: frozenset[str]


@contextmanager
def shared_pieces(connection: duckdb.DuckDBPyConnection, queries: str) -> Iterator[None]:
    """Make the shared pieces that the queries name, directly or by another one, and take them away afterwards."""
    needed = _closure(_words(queries))
    try:
        for view in needed:
            try:
                connection.execute(view.statement)
            except duckdb.Error as error:
                raise InternalError(f"the shared view {view.name} fails: {error}") from error
        yield
    finally:
        for view in reversed(needed):
            kind = "MACRO TABLE" if " AS TABLE" in view.statement and view.kind == "MACRO" else view.kind
            connection.execute(f"DROP {kind} IF EXISTS temp.{view.name}")


def _words(sql: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_LITERAL.sub("", _COMMENT.sub("", sql))))


@cache
def _views() -> tuple[_View, ...]:
    """All shared pieces, in the order of their files; a piece names only pieces before it."""
    views = []
    for file_name, text in view_sources():
        for statement in re.split(r";[ \t]*(?:\n|\Z)", text):
            if not _COMMENT.sub("", statement).strip():
                continue
            match = _STATEMENT.search(statement)
            if match is None:
                raise InternalError(
                    f"{file_name}: not `CREATE OR REPLACE TEMP TABLE|VIEW|MACRO name`: {statement[:80]!r}"
                )
            views.append(_View(match["name"], match["kind"], statement, _words(statement)))
    return tuple(views)


def _closure(words: Iterable[str]) -> list[_View]:
    """The pieces that are named, directly or by another one, in an order in which they can be made."""
    wanted = set(words)
    needed = []
    for view in reversed(_views()):
        if view.name in wanted:
            needed.append(view)
            wanted |= view.words
    return needed[::-1]
