"""From findings of all runs to the verdict of a scenario (SEMANTICS §3), always with a reason to act on."""

from collections.abc import Sequence
from dataclasses import replace

from mqverify.events import Figure, RunSummary
from mqverify.guarantees.findings import Finding, Verdict
from mqverify.guarantees.registry import Guarantee

__all__ = ["fold"]


def fold(guarantee: Guarantee, findings: Sequence[Finding], summaries: Sequence[RunSummary]) -> Verdict:
    """The verdict of one guarantee over all runs of one scenario: `violated`, else `inconclusive`, else `held`.

    `findings` are of this guarantee and these runs; a run without one counts as a run without obligations.
    """
    return replace(_decided(guarantee, findings, summaries), figures=_worst(findings))


def _worst(findings: Sequence[Finding]) -> tuple[Figure, ...]:
    """Of each figure, in the order of the guarantee, the greatest of all runs."""
    worst: dict[str, Figure] = {}
    for figure in (figure for one in findings for figure in one.figures):
        if figure.name not in worst or worst[figure.name].value < figure.value:
            worst[figure.name] = figure
    return tuple(worst.values())


def _decided(guarantee: Guarantee, findings: Sequence[Finding], summaries: Sequence[RunSummary]) -> Verdict:
    found = {one.run: one for one in findings}
    broken = [one for one in findings if one.violations]
    obligations = sum(one.obligations for one in findings)
    violations = sum(one.violations for one in findings)
    runs = len(summaries)
    if broken:
        first = min(broken, key=lambda one: one.run)
        sentence = first.witness.sentence if first.witness else f"{first.violations} violations in run {first.run}"
        return Verdict(guarantee.name, "violated", runs, len(broken), obligations, violations, sentence, first.witness)
    reason = _fault_without_effect(summaries) or _waiting(guarantee, findings, summaries)
    deciding = [
        one for one in summaries if _all_faults_took_effect(one) and one.run in found and found[one.run].obligations
    ]
    if reason is None and not deciding:
        reason = _never_tested(guarantee, findings, summaries)
    if reason is not None:
        return Verdict(guarantee.name, "inconclusive", runs, 0, obligations, 0, reason)
    return Verdict(
        guarantee.name, "held", runs, len(deciding), obligations, 0, _held(guarantee, findings, summaries, deciding)
    )


def _all_faults_took_effect(summary: RunSummary) -> bool:
    return all(took_effect for _, _, took_effect, _ in summary.faults)


def _fault_without_effect(summaries: Sequence[RunSummary]) -> str | None:
    """The first fault of the spec that took effect in no run."""
    kinds: dict[int, str] = {}
    why: dict[int, str | None] = {}
    fired = set()
    for summary in summaries:
        for number, kind, took_effect, why_not in summary.faults:
            kinds.setdefault(number, kind)
            if took_effect:
                fired.add(number)
            elif why.get(number) is None:
                why[number] = why_not
    for number in sorted(kinds):
        if number not in fired:
            because = why.get(number) or "what it waits for never happened"
            none = f"took effect in none of {len(summaries)} runs" if len(summaries) != 1 else "did not take effect"
            return f"the fault `{kinds[number]}` {none}: {because}; move its `when:` to where it happens"
    return None


def _waiting(guarantee: Guarantee, findings: Sequence[Finding], summaries: Sequence[RunSummary]) -> str | None:
    if "drained" not in guarantee.needs:
        return None
    stuck = [one for one in summaries if not one.drained]
    if not stuck:
        return None
    first = min(stuck, key=lambda one: one.run)
    doubts = next((one.doubts for one in findings if one.run == first.run and one.doubts), ())
    cause = doubts[0] if doubts else first.give_up_reason or "it was given up before everything was read"
    where = f"in {len(stuck)} of {len(summaries)} runs " if len(summaries) > 1 else ""
    return f"{where}not everything came to an end (seed {first.seed}): {cause}"


def _never_tested(guarantee: Guarantee, findings: Sequence[Finding], summaries: Sequence[RunSummary]) -> str:
    for doubt in (doubt for one in findings for doubt in one.doubts):
        return doubt
    if any(one.obligations for one in findings):
        return "no run in which every fault took effect put it to the test; add runs, or move the faults' `when:`"
    return f"nothing put it to the test: {guarantee.untested}"


def _held(
    guarantee: Guarantee, findings: Sequence[Finding], summaries: Sequence[RunSummary], deciding: Sequence[RunSummary]
) -> str:
    tested = sum(one.obligations for one in findings)
    runs = f"{len(deciding)} of {len(summaries)} runs" if len(summaries) != 1 else "its run"
    reason = f"no violation in {tested} {'test' if tested == 1 else 'tests'}, decided by {runs}"
    doubts = list(dict.fromkeys(doubt for one in findings for doubt in one.doubts))
    return f"{reason}; not judged: {doubts[0]}" if doubts else reason
