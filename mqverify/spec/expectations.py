"""Reads `expect:`, the spec's own and a backend's, against the guarantees there are."""

from collections.abc import Mapping as Names
from collections.abc import Sequence
from typing import Any, Final

from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import Expectation
from mqverify.spec.nodes import Entry, Mapping, Node, Scalar, describe
from mqverify.spec.quantities import DURATION, SHARE
from mqverify.spec.registry import Guarantee, Parameter
from mqverify.spec.shapes import INVALID, Choice, Flag, JsonSchema, Line, Number, Shape, Whole
from mqverify.spec.texts import quoted

__all__ = ["expectations_schema", "read_expectations"]

_WHY: Final = Line("the reason")
_VERDICTS: Final = ("held", "violated", "unsupported")
_YES_AND_NO: Final = dict.fromkeys(("y", "yes", "on", "true"), True) | dict.fromkeys(("n", "no", "off", "false"), False)


def _shape(parameter: Parameter) -> Shape:
    choices = tuple(getattr(parameter, "choices", ()) or ())
    if choices:
        return Choice(tuple(str(choice) for choice in choices), parameter.name)
    match parameter.kind:
        case "duration" | "time":
            return DURATION
        case "share" | "percent":
            return SHARE
        case "flag" | "bool" | "boolean":
            return Flag()
        case "count" | "int" | "integer":
            return Whole(parameter.least, 10**12)
        case "number" | "float" | "ratio":
            return Number()
        case _:
            return Line(f"'{parameter.name}'")


def _as_text(value: Any) -> str:
    """A parameter's value as the history keeps it: base units, booleans as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def read_expectations(node: Node, guarantees: Names[str, Guarantee], issues: Issues) -> dict[str, Expectation]:
    """The expectations that are there and right, by guarantee."""
    if node.bad:
        return {}
    if not isinstance(node, Mapping):
        issues.error("MQ202", f"expected guarantees, found {describe(node)}", node, "write 'at_least_once: held'")
        return {}
    found = {}
    for entry in node.entries:
        guarantee = guarantees.get(entry.key.text)
        if guarantee is None:
            _unknown(entry.key, guarantees, issues)
            continue
        expectation = _expectation(entry.value, guarantee, entry.key, issues)
        if expectation is not None:
            found[guarantee.name] = expectation
    return found


def _unknown(key: Scalar, guarantees: Names[str, Guarantee], issues: Issues) -> None:
    by_code = {guarantee.code: guarantee.name for guarantee in guarantees.values()}
    meant = by_code.get(key.text.upper()) or did_you_mean(key.text, guarantees)
    advice = f"did you mean '{meant}'?" if meant else "'mqverify list' shows the guarantees there are"
    issues.error("MQ220", f"unknown guarantee {quoted(key.text)}", key, advice)


def _expectation(node: Node, guarantee: Guarantee, key: Scalar, issues: Issues) -> Expectation | None:
    if node.bad:
        _advise_on_booleans(node, guarantee, issues)
        return None
    verdict: str = "held"
    why: str | None = None
    parameters: dict[str, str] = {}
    if isinstance(node, Scalar) and not node.null:
        if not _bare(node, guarantee, issues):
            return None
    elif isinstance(node, Mapping):
        read = _mapping(node, guarantee, issues)
        if read is None:
            return None
        verdict, why, parameters = read
    else:
        issues.error("MQ202", f"expected a verdict, found {describe(node)}", node, _how(guarantee))
        return None
    if verdict != "unsupported":
        missing = [each.name for each in guarantee.parameters if each.required and each.name not in parameters]
        if missing:
            names = " and ".join(f"'{name}'" for name in missing)
            issues.error("MQ222", f"'{guarantee.name}' needs {names}", key, _how(guarantee))
            return None
        wanted = [each.name for each in _wanted(guarantee)]
        if wanted and not any(name in parameters for name in wanted):
            names = ", ".join(f"'{name}'" for name in wanted)
            issues.error("MQ222", f"'{guarantee.name}' needs one of {names}", key, _how(guarantee))
            return None
    return Expectation.model_validate({"verdict": verdict, "why": why, "parameters": parameters, "line": key.mark.line})


def _wanted(guarantee: Guarantee) -> Sequence[Parameter]:
    """The parameters of which an expectation has to give one: those that no default stands for."""
    return [each for each in guarantee.parameters if each.default is None] if guarantee.wants_parameter else []


def _advise_on_booleans(node: Node, guarantee: Guarantee, issues: Issues) -> None:
    """Who writes `yes` or `no` means a verdict, which the reader of the YAML could not know."""
    if isinstance(node, Scalar) and node.text.lower() in _YES_AND_NO:
        issues.advise(node, _instead_of(node.text, guarantee))


def _instead_of(text: str, guarantee: Guarantee) -> str:
    if _YES_AND_NO[text.lower()]:
        return _how(guarantee)
    return f"write {guarantee.name}: {{violated: why that is accepted}}, or leave it out"


def _bare(node: Scalar, guarantee: Guarantee, issues: Issues) -> bool:
    """Whether it is `held`: the other verdicts need their reason."""
    if node.text in {"violated", "unsupported"}:
        issues.error("MQ223", f"'{node.text}' without a reason", node, f"write {{{node.text}: why that is accepted}}")
        return False
    instead = {word: _instead_of(word, guarantee) for word in _YES_AND_NO}
    return Choice(_VERDICTS, "verdict", instead).read(node, issues) is not INVALID


def _mapping(node: Mapping, guarantee: Guarantee, issues: Issues) -> tuple[str, str | None, dict[str, str]] | None:
    """(verdict, why, parameters) of `{p99: 500ms, violated: why}`."""
    verdict, clean = "held", True
    why: str | None = None
    parameters: dict[str, str] = {}
    known = {parameter.name: parameter for parameter in guarantee.parameters}
    for entry in node.entries:
        name = entry.key.text
        if name in {"violated", "unsupported"}:
            if verdict != "held":
                issues.error("MQ207", f"'{verdict}' and '{name}' together", entry.key, "a guarantee has one verdict")
                clean = False
            verdict = name
            if isinstance(entry.value, Scalar) and entry.value.null:
                issues.error(
                    "MQ223", f"'{name}' without a reason", entry.key, f"write {{{name}: why that is accepted}}"
                )
            reason = _WHY.read(entry.value, issues) if not entry.key.bad else INVALID
            why, clean = (str(reason), clean) if reason is not INVALID else (None, False)
        elif name in known:
            value = _shape(known[name]).read(entry.value, issues)
            clean = clean and value is not INVALID
            parameters[name] = "" if value is INVALID else _as_text(value)
        else:
            clean = False
            _unknown_parameter(entry, guarantee, known, issues)
    return (verdict, why, parameters) if clean else None


def _unknown_parameter(entry: Entry, guarantee: Guarantee, known: Names[str, Any], issues: Issues) -> None:
    key = entry.key
    if " " in key.text and isinstance(entry.value, Scalar) and entry.value.null:
        advice = "a comma ends a text inside { }: put the whole reason in quotes"
        issues.error("MQ221", f"{quoted(key.text)} stands alone", key, advice)
        return
    if key.text == "held":
        issues.error("MQ221", "'held' needs no key", key, f"write {guarantee.name}: held, or its parameters alone")
        return
    meant = did_you_mean(key.text, [*known, "violated", "unsupported"])
    advice = f"did you mean '{meant}'?" if meant else _how(guarantee)
    issues.error("MQ221", f"'{guarantee.name}' has no parameter {quoted(key.text)}", key, advice)


def _how(guarantee: Guarantee) -> str:
    """How an expectation of this guarantee is written."""
    samples = {"duration": "5s", "share": "20%", "flag": "true", "bool": "true", "text": "…", "count": "6"}
    required = [each for each in guarantee.parameters if each.required]
    if guarantee.wants_parameter:
        required = required or list(_wanted(guarantee)[:1])
    if required:
        inside = ", ".join(f"{each.name}: {samples.get(each.kind, '1')}" for each in required)
        return f"write {guarantee.name}: {{{inside}}}"
    if guarantee.parameters:
        return f"write {guarantee.name}: held; its parameters are " + ", ".join(p.name for p in guarantee.parameters)
    return f"write {guarantee.name}: held, or {{violated: why that is accepted}}; it has no parameters"


def expectations_schema(guarantees: Names[str, Guarantee]) -> JsonSchema:
    """Every guarantee with its parameters."""
    properties: dict[str, Any] = {}
    for guarantee in guarantees.values():
        inside: dict[str, Any] = {
            "violated": {"description": "why a violation is accepted", **_WHY.schema()},
            "unsupported": {"description": "why the backend has no such notion", **_WHY.schema()},
        }
        for parameter in guarantee.parameters:
            inside[parameter.name] = _shape(parameter).schema()
        mapping: JsonSchema = {"type": "object", "properties": inside, "additionalProperties": False}
        mapping["not"] = {"required": ["violated", "unsupported"]}
        required = [parameter.name for parameter in guarantee.parameters if parameter.required]
        if required:
            mapping["anyOf"] = [{"required": required}, {"required": ["unsupported"]}]
        elif guarantee.wants_parameter:
            enough = [*(parameter.name for parameter in _wanted(guarantee)), "unsupported"]
            mapping["anyOf"] = [{"required": [name]} for name in enough]
        about = getattr(guarantee, "promise", None) or getattr(guarantee, "title", None) or guarantee.name
        shapes = [mapping] if required or guarantee.wants_parameter else [{"const": "held"}, mapping]
        properties[guarantee.name] = {"description": f"{guarantee.code}: {about}", "anyOf": shapes}
    return {"type": "object", "properties": properties, "additionalProperties": False}
