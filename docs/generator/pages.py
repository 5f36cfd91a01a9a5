"""Every generated page by its path below `docs/`, and what it says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from docs.generator.commands import commands, general
from docs.generator.examples import example_of
from docs.generator.faults import faults
from docs.generator.markdown import NOTE, render
from docs.generator.picture import picture
from docs.generator.places import places, unsupported_at
from docs.generator.settings import clients, parts
from mqverify import engine
from mqverify.guarantees.explain import guarantee_fields
from mqverify.guarantees.planned import NOT_JUDGED_YET, PLANNED
from mqverify.guarantees.registry import catalogue
from mqverify.report.exits import MEANINGS
from mqverify.spec.codes import CODES
from mqverify.spec.vocabulary import SpecWord, spec_words

__all__ = ["ROOT", "is_generated", "page_names", "page_of", "pages"]

ROOT: Final = Path(__file__).parents[2]


def pages(folder: Path) -> Iterator[str]:
    """Write all pages below a folder; the name of each when it is written."""
    for name in page_names():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page_of(name), encoding="utf-8")
        yield name


def page_names() -> tuple[str, ...]:
    """The paths below `docs/` of all that is generated."""
    return tuple(_makers())


def page_of(name: str) -> str:
    return _makers()[name]()


def is_generated(text: str) -> bool:
    return text.startswith(NOTE)


@cache
def _makers() -> Mapping[str, Callable[[], str]]:
    systems = {f"reference/{name}.md": _system_page(name) for name in engine.registry().systems}
    guarantees = {f"reference/guarantees/{name}.md": _guarantee_page(name) for name in catalogue()}
    return {
        "reference/README.md": _index_page,
        "reference/spec.md": _spec_page,
        **systems,
        "reference/faults.md": _faults_page,
        "reference/guarantees/README.md": _guarantees_page,
        **guarantees,
        "reference/codes.md": lambda: render("codes.md.j2", codes=CODES.values()),
        "reference/commands.md": lambda: render(
            "commands.md.j2", commands=list(commands()), general=general(), exits=MEANINGS
        ),
        "report.svg": picture,
    }


def _index_page() -> str:
    return render("README.md.j2", systems=engine.registry().systems.values())


def _spec_page() -> str:
    """The words of each mapping together, mappings with the same words once; faults have a page of their own."""
    mappings: dict[str, list[SpecWord]] = {}
    for word in spec_words(engine.registry()):
        if word.path[0] != "faults" or len(word.path) == 1:
            mappings.setdefault(".".join(word.path[:-1]), []).append(word)
    alike: dict[tuple[SpecWord, ...], list[str]] = {}
    for place, words in mappings.items():
        alike.setdefault(tuple(replace(word, path=(word.name,)) for word in words), []).append(place)
    headings = {place: " and ".join(places) or "At the top" for places in alike.values() for place in places}
    sections = {headings[places[0]]: mappings[places[0]] for places in alike.values()}
    return render("spec.md.j2", sections=sections, headings=headings)


def _system_page(name: str) -> Callable[[], str]:
    system = engine.registry().systems[name]
    return lambda: render("settings.md.j2", system=system, parts=list(parts(system)), clients=clients(system))


def _faults_page() -> str:
    registry = engine.registry()
    [when] = [word for word in spec_words(registry) if word.path == ("faults", "crash", "when")]
    moments = [word for word in spec_words(registry) if word.path[:3] == ("faults", "crash", "when") and word != when]
    return render("faults.md.j2", faults=list(faults(registry)), places=places(), when=when, moments=moments)


def _guarantees_page() -> str:
    return render("guarantees.md.j2", guarantees=catalogue().values(), planned=PLANNED.values(), not_yet=NOT_JUDGED_YET)


def _guarantee_page(name: str) -> Callable[[], str]:
    guarantee = catalogue()[name]
    return lambda: render(
        "guarantee.md.j2",
        guarantee=guarantee,
        fields=guarantee_fields(guarantee),
        unsupported=unsupported_at(name),
        examples={verdict: example_of(name, verdict) for verdict in ("held", "violated")},
    )
