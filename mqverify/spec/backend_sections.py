"""Reads `backends:`: which system a label means, and its settings in short or native spelling."""

import re
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from mqverify import units
from mqverify.spec.composites import List
from mqverify.spec.expectations import read_expectations
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import BackendSection, Expectation
from mqverify.spec.nodes import Entry, Mapping, Node, Scalar, describe
from mqverify.spec.quantities import DURATION, SIZE
from mqverify.spec.registry import Registry, Setting, System, settings_of
from mqverify.spec.shapes import INVALID, NAME_PATTERN, Choice, Flag, JsonSchema, Name, Number, Shape, Whole
from mqverify.spec.texts import quoted

__all__ = ["OWN_WORDS", "SettingShape", "backends_schema", "read_backends", "section_schema", "show_value"]

OWN_WORDS: Final = {
    "system": "what this backend is, where the label does not say it",
    "expect": "what is expected of this backend, over the spec's expectations",
}
"""The keys of a backend that are no settings."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,24})")
_UNIT_NAMES: Final = {
    units.MILLISECOND: "milliseconds",
    units.SECOND: "seconds",
    units.MINUTE: "minutes",
    1: "nanoseconds",
}


@dataclass(frozen=True)
class SettingShape:
    """The value of a setting in a spec's spelling: with units, native words in lower case."""

    name: str
    setting: Setting

    def read(self, node: Node, issues: Issues) -> Any:
        setting = self.setting
        if isinstance(node, Scalar) and not node.bad and not node.null:
            if setting.none is not None and node.text == setting.none:
                return None
            if node.text in setting.also or (setting.pattern and re.fullmatch(setting.pattern, node.text)):
                return node.text
            if setting.none == "unlimited" and node.text == "-1":
                issues.error(
                    "MQ205", f"-1 is the native spelling of no bound for '{self.name}'", node, "write unlimited"
                )
                return INVALID
            if node.text == "unlimited":
                issues.error("MQ206", f"'{self.name}' cannot be unlimited", node, setting.about)
                return INVALID
        value = self._shape().read(node, issues)
        if value is INVALID:
            return INVALID
        if setting.kind == "choice":
            return setting.words[value]
        return (
            tuple(setting.words[word] for word in value)
            if setting.kind == "choices"
            else self._bounded(value, node, issues)
        )

    def _bounded(self, value: Any, node: Node, issues: Issues) -> Any:
        setting = self.setting
        show = {"duration": units.format_duration, "size": units.format_size}.get(setting.kind, str)
        if setting.kind == "duration" and value % setting.unit:
            issues.error(
                "MQ206",
                f"{describe(node)} is finer than '{self.name}' can be",
                node,
                f"it is counted in {_UNIT_NAMES[setting.unit]}",
            )
            return INVALID
        if setting.least is not None and value < setting.least:
            issues.error(
                "MQ206", f"{describe(node)} is too small for '{self.name}'", node, f"at least {show(setting.least)}"
            )
            return INVALID
        if setting.most is not None and value > setting.most:
            issues.error(
                "MQ206", f"{describe(node)} is too large for '{self.name}'", node, f"at most {show(setting.most)}"
            )
            return INVALID
        return value

    def _shape(self) -> Shape:
        setting = self.setting
        match setting.kind:
            case "duration":
                return DURATION
            case "size":
                return SIZE
            case "count":
                also = "".join(f" or {word}" for word in setting.also)
                return Whole(-(2**62), 2**62, f"a whole number{also}")
            case "number":
                return Number()
            case "flag":
                return Flag()
            case "choice":
                return Choice(tuple(setting.words), of=self.name)
            case "choices":
                return List(Choice(tuple(setting.words), of=self.name), single=True, least=1)

    def schema(self) -> JsonSchema:
        setting = self.setting
        made = self._shape().schema()
        if setting.kind == "count":
            bounds = {"minimum": setting.least, "maximum": setting.most}
            made = {"type": "integer"} | {key: bound for key, bound in bounds.items() if bound is not None}
        words = [*([setting.none] if setting.none else []), *setting.also]
        others: list[JsonSchema] = [{"enum": words}] if words else []
        if setting.pattern:
            others.append({"type": "string", "pattern": f"^{setting.pattern}$"})
        return {"anyOf": [made, *others]} if others else made


@dataclass(frozen=True)
class _NativeShape:
    """The value of a setting in the system's own spelling: bare numbers, −1 for no bound, the system's own words."""

    name: str
    setting: Setting

    def read(self, node: Node, issues: Issues) -> Any:
        setting = self.setting
        if setting.kind in {"duration", "size", "count"}:
            return self._number(node, issues)
        if setting.kind in {"choice", "choices"}:
            return self._words(node, issues)
        return SettingShape(self.name, setting).read(node, issues)

    def _number(self, node: Node, issues: Issues) -> Any:
        setting = self.setting
        unit = _UNIT_NAMES[setting.unit] if setting.kind == "duration" else "bytes"
        if not isinstance(node, Scalar) or node.bad or not _INTEGER.fullmatch(node.text):
            issues.error(
                "MQ305",
                f"'{setting.native}' is the native spelling and takes a bare number, found {describe(node)}",
                node,
                f"write the number of {unit}, or '{self.name}: …' with a unit",
            )
            return INVALID
        value = int(node.text)
        if value == -1 and setting.none == "unlimited":
            return None
        if value * setting.unit > units.LONGEST if setting.kind == "duration" else value > 2**62:
            if setting.none == "unlimited":
                return None
            issues.error("MQ206", f"{describe(node)} is too large for '{setting.native}'", node)
            return INVALID
        return SettingShape(self.name, setting)._bounded(value * setting.unit, node, issues)

    def _words(self, node: Node, issues: Issues) -> Any:
        """Native words, as the system or a spec spells them; lists also with commas, as in a properties file."""
        setting = self.setting
        by_native = {str(native): native for native in setting.words.values()} | dict(setting.words)
        if not isinstance(node, Scalar) or setting.kind == "choice":
            chosen = Choice(tuple(by_native), of=setting.native or self.name)
            if setting.kind == "choice":
                value = chosen.read(node, issues)
                return value if value is INVALID else by_native[value]
            values = List(chosen, least=1).read(node, issues)
            return values if values is INVALID else tuple(by_native[each] for each in values)
        words = [word.strip() for word in node.text.split(",")]
        if all(word in by_native for word in words):
            return tuple(by_native[word] for word in words)
        issues.error("MQ204", f"unknown value {describe(node)} of '{setting.native}'", node, ", ".join(by_native))
        return INVALID

    def schema(self) -> JsonSchema:
        setting = self.setting
        if setting.kind in {"duration", "size", "count"}:
            return {"type": "integer"}
        if setting.kind in {"choice", "choices"}:
            return {"type": ["string", "integer", "array"]}
        return SettingShape(self.name, setting).schema()


@dataclass
class _Given:
    """The settings of one section: values by their name in a spec, and the entries they came from."""

    values: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    clean: bool = True


def read_backends(node: Node, registry: Registry, issues: Issues) -> dict[str, BackendSection] | None:
    """The sections that are right, by label."""
    if node.bad:
        return None
    if not isinstance(node, Mapping):
        issues.error(
            "MQ202", f"expected backends, found {describe(node)}", node, "write 'backends:', then 'kafka:' below"
        )
        return None
    if not node.entries:
        issues.error("MQ201", "no backend to run on", node, "write 'kafka:' below 'backends:'")
        return None
    found: dict[str, BackendSection] = {}
    for entry in node.entries:
        if Name("a backend's label").read(entry.key, issues) is INVALID:
            continue
        section = _section(entry, registry, issues)
        if section is not None:
            found[section.label] = section
    return found


def _section(entry: Entry, registry: Registry, issues: Issues) -> BackendSection | None:
    node = entry.value
    if isinstance(node, Scalar) and node.null:
        node = Mapping(entry.key.mark)
    if node.bad:
        return None
    if not isinstance(node, Mapping):
        issues.error("MQ202", f"expected the settings of '{entry.key.text}', found {describe(node)}", node)
        return None
    system = _system(entry.key, node, registry, issues)
    if system is None:
        return None
    given = _given(node, system, issues)
    expect: dict[str, Expectation] = {}
    written = node.get("expect")
    if written is not None:
        expect = read_expectations(written.value, registry.guarantees, issues)
    settings = _settings(system, given, entry.key, issues) if given.clean else None
    if settings is None:
        return None
    return BackendSection(
        label=entry.key.text,
        system=system.name,
        settings=settings,
        expect=expect,
        unsupported=tuple(system.limits(settings)),
        line=entry.key.mark.line,
    )


def _system(label: Scalar, node: Mapping, registry: Registry, issues: Issues) -> System | None:
    systems = registry.systems
    entry = node.get("system")
    by_label = systems.get(label.text)
    if entry is None:
        if by_label is None:
            meant = did_you_mean(label.text, systems)
            advice = f"write 'system: {meant or next(iter(systems))}' below it; the systems are " + ", ".join(systems)
            if meant:
                advice = f"did you mean '{meant}'? Else " + advice
            issues.error("MQ301", f"what system is {quoted(label.text)}?", label, advice)
        return by_label
    name = Choice(tuple(systems), "system").read(entry.value, issues)
    if name is INVALID:
        return None
    if by_label is not None and by_label.name != name:
        issues.error(
            "MQ207", f"'{label.text}' is a system, and this backend is {name}", entry.value, "give it another label"
        )
        return None
    return systems[str(name)]


def _given(node: Mapping, system: System, issues: Issues) -> _Given:
    """The settings that are there, whichever way they are spelt."""
    settings = settings_of(system.model)
    natives = {setting.native: name for name, setting in settings.items() if setting.native}
    given = _Given()
    for entry in node.entries:
        key = entry.key.text
        if key in OWN_WORDS:
            continue
        name = key if key in settings else natives.get(key)
        if name is None:
            _unknown_setting(entry.key, system, settings, natives, issues)
            given.clean = False
            continue
        if name in given.entries:
            first = given.entries[name].key
            issues.error(
                "MQ303",
                f"'{first.text}' and '{key}' are one setting",
                entry.key,
                f"remove one: the other is in line {first.mark.line}",
            )
            given.clean = False
            continue
        shape: Shape = SettingShape(name, settings[name])
        if key != name:
            shape = _NativeShape(name, settings[name])
        value = shape.read(entry.value, issues)
        given.entries[name] = entry
        given.values[name] = value
        given.clean = given.clean and value is not INVALID
    return given


def _unknown_setting(
    key: Scalar, system: System, settings: Names[str, Setting], natives: Names[str, str], issues: Issues
) -> None:
    text = key.text
    dotted = text.replace("_", ".")
    elsewhere = system.elsewhere.get(text) or system.elsewhere.get(text.replace(".", "_"))
    if elsewhere:
        advice = elsewhere
    elif dotted in natives:
        advice = f"write '{natives[dotted]}: …' with a unit, or the native '{dotted}: …'"
    else:
        meant = did_you_mean(text, [*settings, *OWN_WORDS, *natives])
        advice = f"did you mean '{meant}'?" if meant else f"'mqverify explain {system.name}' lists its settings"
    issues.error("MQ302", f"unknown setting {quoted(text)} of {system.title}", key, advice)


def _settings(system: System, given: _Given, label: Scalar, issues: Issues) -> Any:
    """The settings model, if the system would take these settings together."""
    try:
        settings = system.model.model_validate(given.values)
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            at: Node = given.entries[name].value if name in given.entries else label
            issues.error("MQ206", f"'{name}': {problem['msg']}", at)
        return None
    clean = True
    for contradiction in system.contradictions(settings):
        where = next((given.entries[name] for name in contradiction.fields if name in given.entries), None)
        issues.error("MQ304", contradiction.message, where.value if where else label, contradiction.help)
        clean = False
    return settings if clean else None


def backends_schema(registry: Registry) -> JsonSchema:
    """A section is one of the systems, told apart by its label or by `system`; the systems are definitions."""
    named = {}
    choices: list[JsonSchema] = []
    for name, system in registry.systems.items():
        section = {"$ref": f"#/$defs/{name}"}
        named[name] = {"description": system.title, "if": {"type": "null"}, "else": section}
        choices.append({"if": {"properties": {"system": {"const": name}}}, "then": section})
    labelled: JsonSchema = {
        "type": "object",
        "properties": {"system": {"enum": list(registry.systems)}},
        "required": ["system"],
        "allOf": choices,
    }
    return {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "properties": named,
        "additionalProperties": labelled,
        "minProperties": 1,
    }


def section_schema(system: System) -> JsonSchema:
    """The settings of one system in both spellings; expectations are another definition."""
    properties: dict[str, Any] = {
        "system": {"const": system.name, "description": OWN_WORDS["system"]},
        "expect": {
            "description": OWN_WORDS["expect"],
            "$ref": "#/$defs/expectations",
        },
    }
    for name, setting in settings_of(system.model).items():
        default = system.model.model_fields[name].default
        about = f"{setting.about}. Default: {show_value(setting, default)}"
        properties[name] = {"description": about, **SettingShape(name, setting).schema()}
        if setting.native and setting.native != name:
            native = f"the native spelling of {name}: {setting.about}"
            properties[setting.native] = {"description": native, **_NativeShape(name, setting).schema()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def show_value(setting: Setting, value: Any) -> str:
    """A setting's value as a spec writes it."""
    if value is None:
        return setting.none or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(show_value(setting, each) for each in value) + "]"
    if setting.words:
        return next((word for word, native in setting.words.items() if native == value), str(value))
    if setting.kind == "duration" and isinstance(value, int):
        return units.format_duration(value)
    return units.format_size(value) if setting.kind == "size" else str(value)
