"""The page of claims and findings: what it shows, and that hostile texts of specs stay texts."""

from mqverify import engine
from mqverify.report.contents import page
from mqverify.spec.load import load_text

SPEC = """\
spec: {name}
claim: {claim}
finding: true of one partition only
workload: {{messages: 10}}
backends:
  kafka: {{expect: {{exactly_once: {{violated: a crash}}}}}}
  other: {{system: kafka}}
expect: {{at_least_once: held}}
"""


def shown(name: str = "a name", claim: str = "Kafka keeps order") -> str:
    text = SPEC.format(name=name, claim=claim)
    return page([("specs/a-group", [load_text(text, "specs/a-group/one.yaml", engine.registry())])], "specs")


def test_a_row_for_each_guarantee_and_a_column_for_each_backend() -> None:
    lines = shown().splitlines()
    assert "- [A group](#a-group): 1 spec" in lines
    assert "| claim | kafka | finding |" in lines
    assert (
        "| [Kafka keeps order](<a-group/one.yaml>) | violated: `exactly_once`; other: all held | "
        "true of one partition only |"
    ) in lines
    assert "### [a name](<a-group/one.yaml>)" in lines
    assert "> Kafka keeps order" in lines
    at = lines.index("| guarantee | kafka | other (kafka) |")
    assert lines[at + 1 : at + 4] == [
        "|---|---|---|",
        "| `at_least_once` | held | held |",
        "| `exactly_once` | **violated**: a crash |  |",
    ]
    assert "**Finding:** true of one partition only" in lines


def test_texts_of_specs_make_no_markup() -> None:
    found = shown("'[x](javascript:alert) | <b>'", '"# <script>"')
    assert "<script>" not in found
    assert "<b>" not in found
    assert "### [\\[x\\](javascript:alert) \\| \\<b\\>](<a-group/one.yaml>)" in found
