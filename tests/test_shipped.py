"""What is shipped beside the code is true of it: the schema, the specs, the page of claims."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from mqverify import engine
from mqverify.report.contents import page
from mqverify.spec.load import load
from mqverify.spec.schema import json_schema

ROOT = Path(__file__).parents[1]
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
    assert "article" in spec.tags
    assert spec.workload.messages <= 500 or "large" in spec.tags
    assert not spec.unsupported
    schema = json.loads((ROOT / "mqverify.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    first_line = path.read_text().splitlines()[0]
    assert (path.parent / first_line.split("$schema=")[1]).resolve() == ROOT / "mqverify.schema.json"


def test_the_page_of_claims_and_findings_is_current() -> None:
    """As `make contents` writes it: the sections in the order of the page, and every folder of specs in it."""
    shown = (ROOT / "specs/README.md").read_text()
    folders = [ROOT / "specs" / name for name in re.findall(r"\]\(#([a-z-]+)\)", shown)]
    assert sorted(folders) == sorted({path.parent for path in SPECS})
    sections = [(str(folder), load([folder], engine.registry()).specs) for folder in folders]
    assert shown == page(sections, str(ROOT / "specs")), "run `make contents`"
