"""A page of specs: what each claims, what is expected of it on each backend, and what came of the claim. Markdown.

Expected verdicts are what the page shows. As long as `mqverify check` ends with 0 they are the verdicts, on a real
system where the page says so.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mqverify.report.markup import prose
from mqverify.report.text import count
from mqverify.spec.model import Expectation, Spec
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import unsupported_reason

__all__ = ["page"]


def page(sections: Sequence[tuple[str, Sequence[Spec]]], relative_to: str) -> str:
    """The whole page. A section is a path as it was given, and its specs; links are relative to the folder given."""
    lines = [
        "<!-- made by `mqverify contents`: change the specs, not this page -->",
        "",
        "# Claims, and what came of them",
        "",
        "Each spec puts a claim to the test. The tables say what is expected on each backend; `mqverify check` ends",
        "with exit code 0 as long as that is what is seen. A violation that is expected has its reason beside it.",
        "",
    ]
    for path, specs in sections:
        lines += [f"- [{_title(path)}](#{_anchor(path)}): {count(len(specs), 'spec')}"]
    for path, specs in sections:
        lines += ["", f"## {_title(path)}", "", *_overview(specs, relative_to)]
        for spec in specs:
            lines += ["", *_entry(spec, relative_to)]
    return "\n".join([*lines, ""])


def _overview(specs: Sequence[Spec], relative_to: str) -> list[str]:
    """A row a claim, a column a system."""
    systems = sorted({section.system for spec in specs for section in spec.backends.values()})
    lines = [f"| claim | {' | '.join(map(prose, systems))} | finding |", f"|---|{'---|' * len(systems)}---|"]
    for spec in specs:
        claim = f"[{prose(spec.claim or spec.name)}](<{_link(spec, relative_to)}>)"
        verdicts = [_verdicts(spec, system) for system in systems]
        lines.append(f"| {claim} | {' | '.join(verdicts)} | {prose(spec.finding)} |")
    return lines


def _verdicts(spec: Spec, system: str) -> str:
    """What is expected on the backends of one system: what is violated, and on which of them."""
    parts = []
    for label, section in spec.backends.items():
        if section.system != system:
            continue
        expected = spec.expectations(label).items()
        violated = [f"`{name}`" for name, one in expected if one.verdict == "violated"]
        if spec.unsupported or section.unsupported:
            verdict = "unsupported"
        else:
            verdict = f"violated: {', '.join(violated)}" if violated else "all held"
        verdict = verdict if label == system else f"{prose(label)}: {verdict}"
        parts.append(verdict + (" (on a real one)" if _real_only(spec, label) else ""))
    return "; ".join(parts)


def _entry(spec: Spec, relative_to: str) -> list[str]:
    lines = [f"### [{prose(spec.name)}](<{_link(spec, relative_to)}>)", ""]
    if spec.claim:
        lines += [f"> {prose(spec.claim)}", ""]
    if spec.about:
        lines += [prose(spec.about), ""]
    lines += _table(spec)
    if spec.finding:
        lines += ["", f"**Finding:** {prose(spec.finding)}"]
    if spec.decision:
        lines += ["", f"Decision: {prose(spec.decision)}"]
    return lines


def _link(spec: Spec, relative_to: str) -> str:
    return quote(Path(os.path.relpath(spec.file, relative_to)).as_posix())


def _table(spec: Spec) -> list[str]:
    """A row a guarantee, a column a backend."""
    expected = {label: spec.expectations(label) for label in spec.backends}
    names = list(dict.fromkeys(name for expectations in expected.values() for name in expectations))
    heads = [_head(spec, label) for label in expected]
    lines = [f"| guarantee | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name in names:
        cells = [_cell(expectations.get(name), spec, label) for label, expectations in expected.items()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def _head(spec: Spec, label: str) -> str:
    system = spec.backends[label].system
    if _real_only(spec, label):
        system = f"a real {system}"
    return prose(label if label == system else f"{label} ({system})")


def _cell(expectation: Expectation | None, spec: Spec, label: str) -> str:
    if expectation is None:
        return ""
    unsupported = [*spec.unsupported, *spec.backends[label].unsupported]
    if unsupported:
        return f"unsupported: {prose(unsupported[0])}"
    if expectation.verdict == "held":
        return "held"
    return f"**{expectation.verdict}**" + (f": {prose(expectation.why)}" if expectation.why else "")


def _real_only(spec: Spec, label: str) -> bool:
    """Whether the simulated world lacks what it asks for, so that only a real system shows what is expected."""
    return unsupported_reason(Scenario(0, spec, label)) is not None


def _title(path: str) -> str:
    return prose(Path(path).name.replace("-", " ").capitalize())


def _anchor(path: str) -> str:
    return Path(path).name.lower()
