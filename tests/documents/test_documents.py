"""Documents are true: links lead somewhere, specs are right, commands exist and end and print as it is written."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.generator.commands import commands as known_commands
from docs.generator.commands import general
from docs.generator.documents import DOCUMENTS, ROOT, SHELL, Command, anchors, blocks, code_spans, commands, links
from docs.generator.executed import execute, fits
from mqverify import engine
from mqverify.report import exits
from mqverify.spec.load import load_text

GENERATED_RUNS = ROOT / "docs/reference/guarantees"
"""Pages whose commands another test runs: it makes them anew."""
COMMANDS = [one for path in DOCUMENTS if path.parent != GENERATED_RUNS for one in commands(path)]
OURS = re.compile(r"(?:\S*/)?mqverify ")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_document
def test_specs_in_blocks_are_right(document: Path) -> None:
    for block in blocks(document):
        if block.info == "yaml" and re.search(r"^spec:", block.content, re.MULTILINE):
            load_text(block.content, document.name, engine.registry())


@every_document
def test_no_command_hides_in_a_block_that_is_not_executed(document: Path) -> None:
    """Reference pages show how a command is written, and mistakes; those blocks are `text`."""
    for block in blocks(document):
        if block.info not in (*SHELL, "text"):
            assert not re.search(r"^\s*(\$ |make |pip |(\S*/)?mqverify (?!\S*:))", block.content, re.MULTILINE), (
                block.content
            )


@every_document
def test_commands_within_sentences_exist(document: Path) -> None:
    """Their names and options, since what stands behind them are often placeholders."""
    if document.name == "CHANGELOG.md":
        return  # it also tells of what was
    options = {one.name: {name for option in one.options for name in option.names} for one in known_commands()}
    before = {name for option in general().options for name in option.names} | {"-h", "--help"}
    for span in code_spans(document):
        words = span.split()
        if words[:1] == ["make"] and len(words) > 1:
            assert words[1] in TARGETS, span
        if len(words) < 2 or not OURS.match(span):
            continue
        name = next((word for word in words[1:] if word in options), None)
        assert name or words[1].partition("=")[0] in before, span
        for word in words[1:]:
            if word.startswith("-") and word.strip("-"):
                assert word.partition("=")[0] in before | options.get(name or "", set()) | {"--help"}, span


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.real_kafka] if "=local" in one.text else [])
        for one in COMMANDS
    ],
)
def test_a_command_ends_and_prints_as_it_is_written(
    command: Command, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = command.text.split()
    if words[0] == "make":
        assert set(words[1:]) <= TARGETS
        return
    if words[:2] == ["pip", "install"]:
        return  # what it installs is what the tests run with
    assert OURS.match(command.text), "neither mqverify, make nor pip"
    if "=local" in command.text:
        request.getfixturevalue("has_kafka")
    if _is_a_check_of_shipped_specs(command):
        code, printed = execute(command, tmp_path, MQVERIFY_RUNS="1")
        # One run may miss an expected violation, or decide nothing. That all runs end with 0 is what `make check` says.
        assert code in (exits.AS_EXPECTED, exits.NOT_AS_EXPECTED, exits.UNDECIDED), printed
        return
    code, printed = execute(command, tmp_path)
    assert code == command.exit_code, printed
    if command.output is not None:
        assert fits(command.output, printed), printed


def _is_a_check_of_shipped_specs(command: Command) -> bool:
    """And nothing else: without an option, and without a word of what it prints."""
    program, name, *paths = command.text.split()
    shipped = all(path.startswith("specs/") for path in paths)
    return (program, name) == ("mqverify", "check") and shipped and command.exit_code == 0 and command.output is None


def test_what_is_shown_may_leave_out_lines_and_nothing_else() -> None:
    assert fits("a\n…\nd in 1.9 s", "a\nb\nc\nd in 0.3 s\n")
    assert fits("a\n…", "a\nb\n")
    assert fits("…\nb\n…", "a\nb\n")
    assert not fits("a\n…\nd", "a\nb\nc\n")
    assert not fits("a\nc", "a\nb\nc\n")
    assert not fits("a", "ab\n")


def test_python_m_mqverify_is_the_command() -> None:
    """The tests above call what `mqverify` calls; this is that there is such a command."""
    ran = subprocess.run([Path(sys.executable).parent / "mqverify", "--version"], capture_output=True, check=True)
    assert ran.stdout.startswith(b"mqverify ")
