"""The settings of a system, part by part, with the default of each client."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mqverify.report.pages import setting_fields
from mqverify.simulation.kafka.profiles import PROFILES, Profile
from mqverify.spec.backend_sections import show_value
from mqverify.spec.registry import Setting, System, settings_of

__all__ = ["Part", "Row", "clients", "parts"]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: its name in a spec, `fields` as `mqverify explain` has them, defaults of clients that differ."""

    name: str
    fields: Mapping[str, str]
    defaults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """Where settings belong: a topic, a producer. `source`: where all their defaults come from; "" if that differs."""

    name: str
    source: str
    rows: tuple[Row, ...]


def parts(system: System) -> Iterator[Part]:
    """In the order in which the settings model has them."""
    rows: dict[str, list[Row]] = {}
    for name, setting in settings_of(system.model).items():
        row = Row(name, setting_fields(system, name), dict(_of_clients(system, name, setting)))
        rows.setdefault(" and ".join(setting.part), []).append(row)
    for part, found in rows.items():
        sources = {row.fields["source"] for row in found}
        yield Part(part, sources.pop() if len(sources) == 1 else "", tuple(found))


def clients(system: System) -> tuple[str, ...]:
    """The clients whose habits a spec can ask for, the default first; none where there is one only."""
    setting = settings_of(system.model).get("client")
    return tuple(setting.words) if setting else ()


def _of_clients(system: System, name: str, setting: Setting) -> Iterator[tuple[str, str]]:
    """Of each client whose default is another one than the model's, that."""
    native = (setting.native or name).replace(".", "_")
    for client in clients(system):
        given = _habits(PROFILES[client], setting)
        if native in given:
            yield client, show_value(setting, _in_model(given[native], setting))


def _habits(profile: Profile, setting: Setting) -> Mapping[str, object]:
    mine = {"producer": profile.producer, "consumer": profile.consumer}
    return {name: value for part in setting.part for name, value in mine.get(part, {}).items()}


def _in_model(value: object, setting: Setting) -> object:
    """A native value as the settings model holds it."""
    return value * setting.unit if setting.kind == "duration" and isinstance(value, int) else value
