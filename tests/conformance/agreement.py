"""The last word of a session with conformance tests: whether the model does what a broker does."""

from collections import defaultdict
from typing import Any

__all__ = ["tell_agreement"]


def tell_agreement(terminalreporter: Any) -> None:
    """`conformance: N of M behaviours agree`; those that do not, and those that are known not to."""
    came_to: dict[str, dict[str, str]] = defaultdict(dict)
    documented: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "conformance":
                    behaviour, arm, section = value
                    came_to[behaviour][arm] = outcome
                    if section is not None:
                        documented[behaviour] = section
    both = {name: arms for name, arms in came_to.items() if {"simulated", "real"} <= set(arms)}
    if not both:
        return
    compared = {name: arms for name, arms in both.items() if "skipped" not in arms.values()}
    agree = [name for name, arms in compared.items() if set(arms.values()) == {"passed"}]
    as_documented = [
        name for name, arms in compared.items() if arms["simulated"] == "xfailed" and arms["real"] == "passed"
    ]
    write = terminalreporter.write_line
    known = (
        f"; {len(as_documented)} {'differs' if len(as_documented) == 1 else 'differ'} as docs/fidelity.md says"
        if as_documented
        else ""
    )
    write("")
    write(f"conformance: {len(agree)} of {len(compared)} behaviours agree{known}")
    for name in sorted(as_documented):
        write(f"  documented: {name}: {documented[name]}")
    for name in sorted(set(compared) - set(agree) - set(as_documented)):
        arms = compared[name]
        write(f"  DISAGREE: {name}: simulated {arms['simulated']}, real {arms['real']}")
    if len(compared) < len(both):
        write(f"  {len(both) - len(compared)} were not compared: there is no real broker here")
