"""Pages that explain and list what a spec can name, made from the registries, so that they are never out of date."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mqverify.errors import UsageError
from mqverify.guarantees.explain import explain_guarantee
from mqverify.guarantees.planned import NOT_JUDGED_YET, PLANNED
from mqverify.guarantees.registry import catalogue, find
from mqverify.report.text import count
from mqverify.spec.backend_sections import show_value
from mqverify.spec.codes import CODES, Code
from mqverify.spec.issues import did_you_mean
from mqverify.spec.registry import FaultKind, Registry, Setting, System, settings_of
from mqverify.spec.vocabulary import SpecWord, spec_words, words_called

__all__ = ["fault_fields", "listing", "page_of", "setting_fields"]

_WIDTH = 100


def page_of(word: str, registry: Registry) -> str:
    """The page of a code, a guarantee, a fault, a system, a setting or a word; UsageError for anything else.

    A setting may be named without its system, and a word may be several things: then it has a page for each.
    """
    if guarantee := find(word):
        return explain_guarantee(guarantee)
    for planned in PLANNED.values():
        if word.upper() == planned.code or word == planned.name:
            return _page(f"{planned.code} {planned.name}", {"promise": planned.promise, "note": NOT_JUDGED_YET})
    if code := CODES.get(word.upper()):
        return _code_page(code)
    if kind := registry.fault_kinds.get(word):
        return _fault_page(kind)
    faults, _, name = word.partition(".")
    if faults == "faults" and (kind := registry.fault_kinds.get(name)):
        return _fault_page(kind)
    system, _, setting = word.partition(".")
    if system in registry.systems:
        return _system_page(registry.systems[system], setting)
    pages = [_word_pages(found)] if (found := words_called(word, registry)) else []
    pages += [_setting_page(system, own) for system in registry.systems.values() if (own := _own_name(system, word))]
    if pages:
        return "\n".join(pages)
    close = did_you_mean(word, _words(registry))
    hint = f"did you mean {close}?" if close else "`mqverify list` shows what there is"
    raise UsageError(f"nothing is called {word!r}; {hint}")


def listing(registry: Registry) -> str:
    """All that a spec can name, a line each."""
    guarantees = [(one.code, one.name, one.promise) for one in catalogue().values()]
    guarantees += [(one.code, one.name, f"{one.promise} ({NOT_JUDGED_YET})") for one in PLANNED.values()]
    faults = [(kind.name, kind.about) for kind in registry.fault_kinds.values()]
    systems = [
        (system.name, f"{system.title}: {count(len(settings_of(system.model)), 'setting')}, `explain {system.name}`")
        for system in registry.systems.values()
    ]
    return "\n".join(
        [
            *_section("guarantees", sorted(guarantees)),
            *_section("faults", faults),
            *_section("systems", systems),
            *_section("mistakes in specs", [(code.code, code.title) for code in CODES.values()]),
            "`mqverify explain WORD` says more of each.",
            "",
        ]
    )


def _section(title: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [title, *(f"  {line}" for line in lines), ""]


def fault_fields(kind: FaultKind) -> Mapping[str, str]:
    """What there is to say of a kind of fault, by the name of each field; empty where there is nothing."""
    return {
        "fault": kind.about,
        "targets": ", ".join(kind.targets),
        "takes": ", ".join((*kind.takes, "when", "times")),
        "needs": ", ".join(kind.needs),
        "missing": "; ".join(sorted({*kind.missing_targets.values()})),
    }


def _fault_page(kind: FaultKind) -> str:
    return _page(kind.name, fault_fields(kind))


def _word_pages(words: Sequence[SpecWord]) -> str:
    """A word by its meanings, each with the places where it means that."""
    places: dict[SpecWord, list[str]] = {}
    for word in words:
        alike = replace(word, path=(word.name,))
        places.setdefault(alike, []).append(".".join(word.path))
    pages = []
    for word, where in places.items():
        fields = {
            "means": word.about,
            "stands in": "" if len(where) == 1 else ", ".join(where),
            "values": word.values,
            "keys": ", ".join(word.keys),
            "default": word.default or ("none, it is required" if word.required else ""),
        }
        pages.append(_page(where[0] if len(where) == 1 else word.name, fields))
    return "\n".join(pages)


def _code_page(code: Code) -> str:
    examples = [
        f"{heading}\n\n{textwrap.indent(text, '    ')}\n"
        for heading, text in (("wrong:", code.wrong), ("right:", code.right))
        if text
    ]
    return "\n".join([f"{code.code}: {code.title}", "", textwrap.fill(code.explanation, _WIDTH), "", *examples])


def _system_page(system: System, name: str) -> str:
    settings = settings_of(system.model)
    if not name:
        rows = [(name, _default(system, name, setting), setting.about) for name, setting in settings.items()]
        more = f"`mqverify explain {system.name}.NAME` says more of each."
        return "\n".join([*_section(f"{system.title}: settings and their defaults", rows), more, ""])
    own = _own_name(system, name)
    if own is None:
        close = did_you_mean(name, [*settings, *_by_native(system)])
        hint = (
            f"did you mean {system.name}.{close}?" if close else f"`mqverify explain {system.name}` lists its settings"
        )
        raise UsageError(f"{system.title} has no setting {name!r}; {hint}")
    return _setting_page(system, own)


def _by_native(system: System) -> dict[str, str]:
    """The settings that have a native name of another spelling, by that."""
    return {setting.native: own for own, setting in settings_of(system.model).items() if setting.native}


def _own_name(system: System, name: str) -> str | None:
    """What a spec calls the setting that has this name there or in the system itself; None: there is none."""
    return name if name in settings_of(system.model) else _by_native(system).get(name)


def setting_fields(system: System, own: str) -> Mapping[str, str]:
    """What there is to say of a setting, by the name of each field; empty where there is nothing."""
    setting = settings_of(system.model)[own]
    return {
        "about": setting.about,
        "default": _default(system, own, setting),
        "native": setting.native or "",
        "of": ", ".join(setting.part),
        "values": _values(setting),
        "missing": ", ".join(setting.later) and f"{', '.join(setting.later)}: with a later version of mqverify",
        "breaks": setting.breaks,
        "source": setting.source,
    }


def _setting_page(system: System, own: str) -> str:
    return _page(f"{system.name}.{own}", setting_fields(system, own))


def _values(setting: Setting) -> str:
    """What may stand behind a setting, in a line."""
    if setting.kind == "flag":
        return "true, false"
    if setting.kind in ("choice", "choices"):
        several = "one of, or a list of: " if setting.kind == "choices" else ""
        return several + ", ".join([*_spellings(setting), *filter(None, [_example(setting), setting.none])])
    least, most = (None if bound is None else show_value(setting, bound) for bound in (setting.least, setting.most))
    bounds = f"{f', from {least}' if least else ''}{f' to {most}' if most else ''}"
    what = {"duration": "a duration", "size": "a size", "count": "a whole number"}.get(setting.kind, "a number")
    return "; ".join([f"{what}{bounds}", *setting.also, *filter(None, [setting.none])])


def _example(setting: Setting) -> str:
    """A text of the pattern that a choice takes beside its words: `per_key % [1-9][0-9]{0,4}` is `per_key % N`."""
    return setting.pattern.replace("[1-9][0-9]{0,4}", "N")


def _spellings(setting: Setting) -> list[str]:
    """The words of a spec, each once: native spellings, which mean the same, come after them and are left out."""
    shown: dict[Any, str] = {}
    for word, native in setting.words.items():
        shown.setdefault(native, word)
    return list(shown.values())


def _default(system: System, name: str, setting: Setting) -> str:
    return show_value(setting, system.model.model_fields[name].get_default(call_default_factory=True))


def _page(title: str, fields: Mapping[str, str]) -> str:
    lines = [title, ""]
    for name, text in fields.items():
        if text:
            label = f"{name + ':' if name else '':12}"
            lines += textwrap.wrap(text, _WIDTH, initial_indent=label, subsequent_indent=" " * 12)
    return "\n".join([*lines, ""])


def _words(registry: Registry) -> list[str]:
    named = [(system.name, name) for system in registry.systems.values() for name in settings_of(system.model)]
    settings = [spelled for system, name in named for spelled in (name, f"{system}.{name}")]
    words = [name for word in spec_words(registry) for name in (word.name, ".".join(word.path))]
    faults = [name for kind in registry.fault_kinds for name in (kind, f"faults.{kind}")]
    return [*catalogue(), *PLANNED, *faults, *registry.systems, *words, *settings, *CODES]
