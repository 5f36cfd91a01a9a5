"""Judging histories: the queries of the guarantees over the tables of many runs, and witnesses for what they find.

The connection holds the tables of `mqverify.history` for all runs to judge. Nothing else decides a verdict: exemptions
are in the queries, never here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from mqverify.errors import InternalError, UsageError
from mqverify.events import Figure, Witness
from mqverify.guarantees.findings import Finding
from mqverify.guarantees.registry import Guarantee, catalogue
from mqverify.guarantees.shared import shared_pieces
from mqverify.guarantees.witness import Shown, in_words, witness_query, witnesses

__all__ = ["judge"]

Vocabulary = Mapping[int, Mapping[str, str]]
"""Scenario -> the system's own words for `position` and `place`, such as offset and partition."""

_DOUBTS = "SELECT run, need, sentence FROM doubts"


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the queries of one guarantee found, by run."""

    obligations: Mapping[int, int]
    violations: Mapping[int, int]
    first: Mapping[int, Shown]
    figures: Mapping[int, tuple[Figure, ...]]


def judge(
    connection: duckdb.DuckDBPyConnection,
    asked: Mapping[int, Sequence[str]],
    vocabulary: Vocabulary | None = None,
    guarantees: Mapping[str, Guarantee] | None = None,
) -> list[Finding]:
    """Judge every run of the asked scenarios: one finding for each run and guarantee, in order of both.

    `asked` maps a scenario's number to names of guarantees; `guarantees` replaces the catalogue (a user's own added).
    Raises `UsageError` for a name that is not among them, `InternalError` if a query cannot be run.
    """
    known = catalogue() if guarantees is None else guarantees
    names = list(dict.fromkeys(name for of_scenario in asked.values() for name in of_scenario))
    for name in names:
        if name not in known:
            raise UsageError(f"there is no guarantee `{name}` to judge; `mqverify list` shows those there are")
    scenario_of: dict[int, int] = dict(connection.execute("SELECT run, scenario FROM runs").fetchall())
    runs_asking = {
        name: {run for run, scenario in scenario_of.items() if name in asked.get(scenario, ())} for name in names
    }
    chosen = [known[name] for name in names]
    queries = "\n".join(f"{one.obligations}\n{one.violations}\n{one.figures or ''}" for one in chosen)
    with shared_pieces(connection, f"{queries}\n{witness_query()}\n{_DOUBTS}"):
        counted = {one.name: _count(connection, one, runs_asking[one.name]) for one in chosen}
        connection.execute("DROP TABLE IF EXISTS temp.broken")
        doubts = _doubts(connection, chosen)
        shown = [(name, run, first) for name in names for run, first in counted[name].first.items()]
        seen = witnesses(connection, [(run, first) for _, run, first in shown], scenario_of, vocabulary or {})
    witness_of = {(name, run): witness for (name, run, _), witness in zip(shown, seen, strict=True)}

    def told(run: int) -> list[tuple[str, str]]:
        words = (vocabulary or {}).get(scenario_of[run], {})
        return [(need, in_words(sentence, words)) for need, sentence in doubts.get(run, ())]

    findings = [
        _finding(known[name], run, scenario, counted[name], told(run), witness_of.get((name, run)))
        for run, scenario in scenario_of.items()
        for name in names
        if run in runs_asking[name]
    ]
    return sorted(findings, key=lambda one: (one.scenario, one.run, known[one.guarantee].code))


def _finding(
    guarantee: Guarantee,
    run: int,
    scenario: int,
    counted: _Counted,
    doubts: Iterable[tuple[str, str]],
    witness: Witness | None,
) -> Finding:
    violations = counted.violations.get(run, 0)
    return Finding(
        scenario=scenario,
        run=run,
        guarantee=guarantee.name,
        obligations=max(counted.obligations.get(run, 0), violations),
        violations=violations,
        doubts=tuple(sentence for need, sentence in doubts if need in guarantee.needs),
        witness=witness,
        figures=counted.figures.get(run, ()),
    )


def _count(connection: duckdb.DuckDBPyConnection, guarantee: Guarantee, runs: set[int]) -> _Counted:
    """Run the queries of one guarantee; keep the counts, the figures, and of each run the first violation."""
    try:
        tested = connection.execute(
            f"SELECT run, sum(obligations)::BIGINT FROM ({guarantee.obligations}) GROUP BY run"
        ).fetchall()
        created = connection.execute(f"CREATE OR REPLACE TEMP TABLE broken AS {guarantee.violations}").fetchone()
        broken: list[tuple[int, int]] = []
        rows: list[tuple[Any, ...]] = []
        if created != (0,):
            broken = connection.execute("SELECT run, count(*) FROM broken GROUP BY run").fetchall()
            rows = connection.execute(
                "SELECT run, consumer_group, key, messages, place, noticed_at, sentence FROM broken "
                "WHERE rowid IN (SELECT min(rowid) FROM broken GROUP BY run) ORDER BY run"
            ).fetchall()
        measured = [] if guarantee.figures is None else connection.execute(guarantee.figures).fetchall()
    except duckdb.Error as error:
        raise InternalError(f"the queries of {guarantee.name} ({guarantee.source_file}) fail: {error}") from error
    return _Counted(
        obligations={run: count for run, count in tested if run in runs},
        violations={run: count for run, count in broken if run in runs},
        first={row[0]: Shown(*row[1:]) for row in rows if row[0] in runs},
        figures=_figures(measured, runs),
    )


def _figures(measured: Iterable[tuple[int, str, float, str]], runs: set[int]) -> Mapping[int, tuple[Figure, ...]]:
    """Of each run its figures, of several of one name (of groups) the greatest, in the order of the query."""
    found: dict[int, dict[str, Figure]] = defaultdict(dict)
    for run, name, value, shown in measured:
        if run in runs and (name not in found[run] or found[run][name].value < value):
            found[run][name] = Figure(name, value, shown)
    return {run: tuple(by_name.values()) for run, by_name in found.items()}


def _doubts(connection: duckdb.DuckDBPyConnection, chosen: Sequence[Guarantee]) -> Mapping[int, list[tuple[str, str]]]:
    """Of each run, (need, sentence) for evidence that it lacks."""
    doubts: dict[int, list[tuple[str, str]]] = defaultdict(list)
    if any(one.needs for one in chosen):
        for run, need, sentence in connection.execute(_DOUBTS).fetchall():
            doubts[run].append((need, sentence))
    return doubts
