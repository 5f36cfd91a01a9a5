"""docs/reference and the picture are what `make docs` writes today, on any machine."""

import re

import pytest

from docs.generator.pages import ROOT, is_generated, page_names, page_of
from mqverify import engine
from mqverify.guarantees.registry import catalogue
from mqverify.spec.codes import CODES
from mqverify.spec.registry import settings_of
from mqverify.spec.vocabulary import spec_words

PICTURE = "report.svg"
SVG_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


@pytest.mark.parametrize("name", [name for name in page_names() if name != PICTURE])
def test_a_page_is_current(name: str) -> None:
    """Examples of guarantees are run again."""
    path = ROOT / "docs" / name
    assert path.exists(), "run `make docs`"
    assert path.read_text(encoding="utf-8") == page_of(name), "run `make docs`"


def test_the_picture_shows_what_is_printed() -> None:
    """Its texts, since how it is drawn is a matter of the version of rich."""
    shown = (ROOT / "docs" / PICTURE).read_text(encoding="utf-8")
    assert SVG_TEXT.findall(shown) == SVG_TEXT.findall(page_of(PICTURE)), "run `make docs`"


def test_no_page_is_left_of_what_is_gone() -> None:
    generated = {
        path.relative_to(ROOT / "docs").as_posix()
        for path in (ROOT / "docs").rglob("*.md")
        if is_generated(path.read_text(encoding="utf-8"))
    }
    assert generated == set(page_names()) - {PICTURE}


def test_the_reference_has_everything_that_a_spec_can_name() -> None:
    registry = engine.registry()
    shown = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").rglob("*.md"))
    for name in (*registry.guarantees, *catalogue(), *registry.fault_kinds):
        assert f"`{name}`" in shown
    for word in spec_words(registry):
        assert f"`{word.name}`" in shown
    for system in registry.systems.values():
        page = (ROOT / f"docs/reference/{system.name}.md").read_text(encoding="utf-8")
        for name, setting in settings_of(system.model).items():
            assert f'<a id="{name}"></a>' in page
            assert setting.native is None or f"`{setting.native}`" in page
    for code in CODES:
        assert f"## {code}: " in shown
