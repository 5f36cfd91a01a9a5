"""`mqverify explain NAME`: what a guarantee promises, and the queries that decide it."""

import textwrap
from collections.abc import Mapping

from mqverify.guarantees.registry import Guarantee, Parameter, Unsupported

__all__ = ["explain_guarantee", "guarantee_fields"]

_WIDTH = 100
_WORDS = {"{position}": "position", "{place}": "partition or stream", "{brace}": "{"}
"""What stands for the words that each system has of its own."""


def guarantee_fields(guarantee: Guarantee) -> Mapping[str, str]:
    """What its header says, by the name of each field, in words of no system; empty where there is nothing."""
    parameters = "; ".join(_parameter(one) for one in guarantee.parameters) or "none"
    if guarantee.wants_parameter:
        wanted = [_parameter(one) for one in guarantee.parameters if one.default is None]
        others = [_parameter(one) for one in guarantee.parameters if one.default is not None]
        parameters = f"at least one of {'; '.join(wanted)}" + (f"; also {'; '.join(others)}" if others else "")
    fields = {
        "promise": guarantee.promise,
        "meaning": guarantee.meaning,
        "untested": guarantee.untested,
        "needs": ", ".join(guarantee.needs) or "nothing",
        "parameters": parameters,
        "cannot": guarantee.cannot,
        "mends": guarantee.mends,
        "unsupported": "; ".join(_unsupported(one) for one in guarantee.unsupported_for),
        "file": guarantee.source_file,
    }
    for token, word in _WORDS.items():
        fields = {name: text.replace(token, word) for name, text in fields.items()}
    return fields


def explain_guarantee(guarantee: Guarantee) -> str:
    """The header and the queries of a guarantee as text for a terminal, without colors."""
    lines = [f"{guarantee.code} {guarantee.name}", ""]
    for name, text in guarantee_fields(guarantee).items():
        if text:
            lines += textwrap.wrap(text, _WIDTH, initial_indent=f"{name}: ".ljust(12), subsequent_indent=" " * 12)
    queries = {"obligations": guarantee.obligations, "violations": guarantee.violations, "figures": guarantee.figures}
    for name, query in queries.items():
        if query is not None:
            lines += ["", f"{name}:", "", textwrap.indent(query, "    ")]
    return "\n".join(lines) + "\n"


def _unsupported(one: Unsupported) -> str:
    where = f"without {one.what}" if one.without else one.what
    return f"{where}: {one.reason}"


def _parameter(parameter: Parameter) -> str:
    kind = f"{parameter.kind} >= {parameter.least}" if parameter.least else parameter.kind
    if parameter.required:
        return f"{parameter.name}: {kind}, required"
    default = "" if parameter.default is None else f" = {parameter.default}"
    return f"{parameter.name}: {kind}{default}"
