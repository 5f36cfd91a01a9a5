"""Documents are true: links lead somewhere, specs are right, commands exist and end and print as it is written."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.generator.commands import commands as known_commands
from docs.generator.commands import general
from mqverify import engine
from mqverify.__main__ import main
from mqverify.spec.load import load_text
from tests.documents.harvest import DOCUMENTS, ROOT, SHELL, Command, anchors, blocks, code_spans, commands, links

GENERATED_RUNS = ROOT / "docs/reference/guarantees"
"""Pages whose commands another test runs: it makes them anew."""
COMMANDS = [one for path in DOCUMENTS if path.parent != GENERATED_RUNS for one in commands(path)]
OURS = re.compile(r"(?:\S*/)?mqverify ")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SECONDS = re.compile(r"\bin \d+\.\d s\b")

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
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    words = shlex.split(command.text)
    if words[0] == "make":
        assert set(words[1:]) <= TARGETS
        return
    if words[:2] == ["pip", "install"]:
        return  # what it installs is what the tests run with
    assert OURS.match(command.text), "neither mqverify, make nor pip"
    if "=local" in command.text:
        request.getfixturevalue("has_kafka")
    _lay_out(command, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in (("MQVERIFY_JOBS", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    printed = capsys.readouterr()
    assert ended.value.code == command.exit_code, printed.out + printed.err
    if command.output is not None:
        assert _fits(command.output, printed.out or printed.err), printed.out + printed.err


def _lay_out(command: Command, folder: Path) -> None:
    """The files that a reader has at that place: the shipped specs, and what the document told to write."""
    if "specs" in command.text:
        shutil.copytree(ROOT / "specs", folder / "specs")
    for name, text in command.files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _fits(shown: str, printed: str) -> bool:
    """Whether it was printed, with any lines where `…` is shown, and whatever time it took."""
    parts = [
        re.escape(SECONDS.sub("in 0 s", part.strip("\n"))) for part in re.split(r"^ *… *$", shown, flags=re.MULTILINE)
    ]
    pattern = r"(?:.*\n)?".join(parts)
    return re.fullmatch(pattern, SECONDS.sub("in 0 s", printed.strip("\n")), re.DOTALL) is not None


def test_what_is_shown_may_leave_out_lines_and_nothing_else() -> None:
    assert _fits("a\n…\nd in 1.9 s", "a\nb\nc\nd in 0.3 s\n")
    assert _fits("a\n…", "a\nb\n")
    assert not _fits("a\n…\nd", "a\nb\nc\n")
    assert not _fits("a\nc", "a\nb\nc\n")
    assert not _fits("a", "ab\n")


def test_python_m_mqverify_is_the_command() -> None:
    """The tests above call what `mqverify` calls; this is that there is such a command."""
    ran = subprocess.run([Path(sys.executable).parent / "mqverify", "--version"], capture_output=True, check=True)
    assert ran.stdout.startswith(b"mqverify ")
