"""Every code has its page, and every page a code that is used."""

import re
from pathlib import Path

import pytest

import mqverify.spec
from mqverify import engine
from mqverify.errors import UsageError
from mqverify.report.pages import page_of
from mqverify.spec.codes import CODES

SPEC = Path(mqverify.spec.__file__).parent
USED = {
    code
    for path in (*SPEC.glob("*.py"), SPEC.parent / "cli" / "defaults.py")
    if path.name not in {"codes.py", "diagnostics.py"}
    for code in re.findall(r'"(MQ\d{3})"', path.read_text(encoding="utf-8"))
}


def test_every_code_has_its_page_and_every_page_its_code() -> None:
    assert set(CODES) == USED
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_page_explains_and_shows(code: str) -> None:
    page = CODES[code]
    assert page.code == code
    assert len(page.explanation) > 60
    assert page.wrong != page.right
    shown = page_of(code.lower(), engine.registry())
    assert shown.startswith(f"{code}: {page.title}\n")
    assert all(len(line) <= 110 for line in shown.split("\n"))


def test_there_is_no_page_for_what_is_no_code() -> None:
    with pytest.raises(UsageError, match="nothing is called 'MQ999'"):
        page_of("MQ999", engine.registry())
