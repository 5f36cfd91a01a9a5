"""What the findings of a scenario's runs say of what its spec expects: one `Result` a guarantee."""

from shlex import quote

from mqverify.engine.gathered import Gathered
from mqverify.events import Result, Witness
from mqverify.guarantees.findings import Verdict
from mqverify.guarantees.planned import PLANNED
from mqverify.guarantees.registry import catalogue
from mqverify.guarantees.verdicts import fold
from mqverify.spec.model import Expectation
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import not_judged, unsupported_reason

__all__ = ["code_of", "results_of"]


def results_of(scenario: Scenario, gathered: Gathered) -> tuple[Result, ...]:
    """A result for each guarantee that the spec expects on this backend, in the order of their codes."""
    return tuple(
        _result(scenario, gathered, name, expectation)
        for name, expectation in sorted(
            scenario.spec.expectations(scenario.label).items(), key=lambda item: code_of(item[0])
        )
    )


def _result(scenario: Scenario, gathered: Gathered, name: str, expectation: Expectation) -> Result:
    verdict = _verdict(scenario, gathered, name)
    spec = scenario.spec
    witness = verdict.witness
    seed = next((s.seed for s in gathered.summaries if witness and s.run == witness.run), None)
    return Result(
        spec=spec.name,
        file=spec.file,
        backend=scenario.label,
        system=scenario.system,
        world=scenario.world,
        guarantee=name,
        code=code_of(name),
        expected=expectation.verdict,
        expected_why=expectation.why,
        verdict=verdict.verdict,
        as_expected=_as_expected(scenario, expectation, verdict),
        runs=verdict.runs,
        decided_by=verdict.decided_by,
        obligations=verdict.obligations,
        violations=verdict.violations,
        reason=_reason(scenario, expectation, verdict),
        witness=witness,
        reproduce=_reproduce(scenario, witness, seed),
        decision=spec.decision,
        line=expectation.line,
        figures=verdict.figures,
    )


def _reproduce(scenario: Scenario, witness: Witness | None, seed: int | None) -> str:
    """The run of the witness, told event by event; a real run cannot be repeated, but tried again."""
    file = quote(scenario.spec.file)
    if scenario.target is None and witness is not None:
        keys = dict.fromkeys(event.key for event in witness.events if event.key is not None)
        narrowed = "".join(f" --key {quote(key)}" for key in keys)
        return f"mqverify trace {file} -b {quote(scenario.label)} --seed {seed}{narrowed}"
    backend = scenario.label if scenario.target is None else f"{scenario.label}={scenario.target}"
    words = ["mqverify", "check", file, "-b", quote(backend)]
    if scenario.world == "real":
        words += [] if scenario.profile is None else ["--profile", quote(scenario.profile)]
        words += ["--allow-broker-faults"] if scenario.breaks_brokers else []
    words += [] if seed is None else ["--seed", str(seed), "--runs", "1"]
    return " ".join([*words, "-v"])


def _verdict(scenario: Scenario, gathered: Gathered, name: str) -> Verdict:
    unsupported = unsupported_reason(scenario) or not_judged(scenario, name) or gathered.unsupported
    if unsupported:
        return Verdict(name, "unsupported", 0, 0, 0, 0, unsupported)
    findings = [finding for finding in gathered.findings if finding.guarantee == name]
    verdict = fold(catalogue()[name], findings, gathered.summaries)
    if gathered.failure and verdict.verdict != "violated":  # a violation outranks every doubt
        return Verdict(name, "inconclusive", verdict.runs, 0, verdict.obligations, 0, gathered.failure)
    return verdict


def code_of(name: str) -> str:
    """The code of a guarantee that specs may name; KeyError for another name."""
    return (catalogue().get(name) or PLANNED[name]).code


def _as_expected(scenario: Scenario, expectation: Expectation, verdict: Verdict) -> bool | None:
    """True, False, or None where nothing was decided against the expectation."""
    if verdict.verdict == expectation.verdict:
        return True
    if verdict.verdict in {"inconclusive", "unsupported"}:
        return None
    if scenario.world == "real" and expectation.verdict == "violated" and verdict.verdict == "held":
        return None  # real schedules cannot be chosen to the last step
    return False


def _reason(scenario: Scenario, expectation: Expectation, verdict: Verdict) -> str:
    if expectation.verdict == "violated" and verdict.verdict == "held":
        if scenario.world == "real":
            return f"not seen: {verdict.reason}"
        return f"expected violated ({expectation.why}), but it held: the waiver is stale; {verdict.reason}"
    return verdict.reason
