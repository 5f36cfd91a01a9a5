"""What is shipped beside the code is true of it: the schema, the specs, the page of claims."""

import json
import re
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
