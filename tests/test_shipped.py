"""What is shipped beside the code is true of it: the schema, the specs, the page of claims."""

import json
import re
from itertools import takewhile
from pathlib import Path

import jsonschema
import pytest
import yaml

from docs.generator.examples import expecting
from mqverify import engine
from mqverify.guarantees.registry import catalogue
from mqverify.report.contents import page
from mqverify.spec.load import load
from mqverify.spec.schema import json_schema

ROOT = Path(__file__).parents[1]
KEPT_BY_EVERY_HEALTHY_SYSTEM = ("integrity", "consistent_positions", "legal_resume", "optimistic_concurrency")
"""No fault that a client, a network or an administrator can cause breaks these on one healthy broker or node."""
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))


FACTS = {"kafka": "docs/facts/kafka.md", "eventstore": "docs/facts/eventstore.md"}
CITATION = re.compile(r'(docs/\S+\.md) §(\S+): ("[^"]+"(?:, "[^"]+")*)')
ALONE = re.compile(r'the model alone: [^";]+')


def test_the_schema_in_the_repository_is_current() -> None:
    shipped = json.loads((ROOT / "mqverify.schema.json").read_text())
    assert shipped == json_schema(engine.registry()), "run `make schema`"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_is_small_told_and_known_to_the_schema(path: Path) -> None:
    [spec] = load([path], engine.registry()).specs
    assert spec.about
    assert spec.claim
    assert spec.finding
    assert {"article", "reference"} & set(spec.tags), "whose claim it is"
    assert spec.workload.messages <= 500 or "large" in spec.tags
    assert not spec.unsupported
    schema = json.loads((ROOT / "mqverify.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    first_line = path.read_text().splitlines()[0]
    assert (path.parent / first_line.split("$schema=")[1]).resolve() == ROOT / "mqverify.schema.json"


@pytest.mark.parametrize("verdict", ["held", "violated"])
@pytest.mark.parametrize("name", catalogue())
def test_a_guarantee_is_expected_held_by_one_spec_and_violated_by_another(name: str, verdict: str) -> None:
    """Its page in the reference shows both runs."""
    expected = next(expecting(name, verdict), None)
    if verdict == "violated" and name in KEPT_BY_EVERY_HEALTHY_SYSTEM:
        assert expected is None, "so it can be broken: take it out of the exceptions"
    else:
        assert expected is not None


def test_the_page_of_claims_and_findings_is_current() -> None:
    """As `make contents` writes it: the sections in the order of the page, and every folder of specs in it."""
    shown = (ROOT / "specs/README.md").read_text()
    folders = [ROOT / "specs" / name for name in re.findall(r"\]\(#([a-z-]+)\)", shown)]
    assert sorted(folders) == sorted({path.parent for path in SPECS})
    sections = [(str(folder), load([folder], engine.registry()).specs) for folder in folders]
    assert shown == page(sections, str(ROOT / "specs")), "run `make contents`"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_says_what_its_expectations_rest_on(path: Path) -> None:
    """Sentences of the facts about each system of which it expects something, as they stand there; or it owns up."""
    cited, alone = _rests_on(path)
    for document, section, quotes in cited:
        text = _section((ROOT / document).read_text(), section)
        for quote in quotes:
            assert _occurs(quote, text), f"{document} §{section} does not say: {quote}"
    [spec] = load([path], engine.registry()).specs
    for label, backend in spec.backends.items():
        if any(expected.verdict != "unsupported" for expected in spec.expectations(label).values()):
            assert alone or FACTS[backend.system] in {document for document, _, _ in cited}, label


def test_a_quotation_is_found_in_its_section_alone() -> None:
    one = "## 1. One\n\n| a | says **this** and\nthat |\n\n### 1.1 Part\n\n7. seventh\n8. eighth\n\n"
    text = one + "## 2. Two\n\n| H-1 | bug |\n"
    assert _occurs("says this … that", _section(text, "1"))
    assert _occurs("seventh", _section(text, "1"))
    assert _section(text, "1.8").strip() == "8. eighth"
    assert _section(text, "H-1") == "| H-1 | bug |"
    assert not _occurs("that … this", _section(text, "1"))
    assert not _occurs("seventh", _section(text, "2"))
    with pytest.raises(AssertionError):
        _section(text, "3")


def _rests_on(path: Path) -> tuple[list[tuple[str, str, list[str]]], bool]:
    """The citations of a spec (document, section, quotations), and whether it owns to what no document says."""
    lines = path.read_text().splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith("# Rests on ")), None)
    assert begin is not None, "a comment `# Rests on …` says which sentences the expectations rest on"
    assert any(line.startswith("finding: ") for line in lines[:begin])
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines[begin:]))
    cited, alone = [], False
    for part in re.split("; (?=docs/|the model alone)", comment.removeprefix("Rests on ").removesuffix(".")):
        citation = CITATION.fullmatch(part)
        assert citation or ALONE.fullmatch(part), f"neither a citation nor `the model alone: …`: {part}"
        if citation:
            document, section, quotes = citation.groups()
            cited.append((document, section, re.findall(r'"([^"]+)"', quotes)))
        else:
            alone = True
    return cited, alone


def _section(text: str, name: str) -> str:
    """What stands under a heading, in a numbered item below it (`H.20`), or in a row of a table (`H-4`)."""
    heading = re.search(rf"^(#+) {re.escape(name)}[. ].*\n", text, re.MULTILINE)
    if heading:
        rest = text[heading.end() :]
        following = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
        return rest[: following.start()] if following else rest
    row = re.search(rf"^\| {re.escape(name)} \|.*", text, re.MULTILINE)
    if row:
        return row[0]
    above, _, number = name.rpartition(".")
    assert above, f"no section §{name}"
    item = re.search(rf"^{number}\. (?:.*\n)+?(?=\d+\. |\n)", _section(text, above), re.MULTILINE)
    assert item, f"no section §{name}"
    return item[0]


def _occurs(quote: str, text: str) -> bool:
    """The parts between … one after the other, whatever the white space and the marks of Markdown."""
    parts = [re.escape(_plain(part)) for part in quote.split("…")]
    return re.search(".*?".join(parts), _plain(text)) is not None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[*`]", "", text).replace("|", " ").split())
