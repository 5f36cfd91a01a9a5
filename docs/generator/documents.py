"""What documents contain: commands with what they print, specs, links, anchors.

CONTRIBUTING.md tells the conventions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["DOCUMENTS", "ROOT", "SHELL", "Command", "anchors", "blocks", "code_spans", "commands", "links"]

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = tuple(
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "specs").rglob("*.md")]),
)
SHELL: Final = ("sh", "console")
"""Languages of blocks that are executed: commands alone, or commands behind `$` with what they print."""

_COMMENT = re.compile(r"<!--\s*(?P<text>.*?)\s*-->", re.DOTALL)
_FILE = re.compile(r"file: (?P<name>\S+)$")
_CHANGE = re.compile(r"in (?P<name>\S+?)(?:: (?P<change>\{.*\}))?$", re.DOTALL)
_EXIT = re.compile(r"exits with (?P<code>\d+)$")
_FILES_OF = re.compile(r"files of (?P<path>\S+)$")
_END = Token("end", "", 0)
_ID = re.compile(r"<a id=\"([^\"]+)\">")


@dataclass(frozen=True)
class Command:
    """A command of a document, the files that the document has shown before it, and what it is to print.

    `output` is None where the document shows none; a line `…` in it stands for any lines.
    """

    document: Path
    line: int
    text: str
    files: Mapping[str, str]
    exit_code: int
    output: str | None

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass
class _Reading:
    """Where a reader of a document is: the files that he has written so far, and what was said of the next block."""

    files: dict[str, str] = field(default_factory=dict)
    file: str | None = None
    change: str | None = None
    exit_code: int = 0


@cache
def _tokens(document: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))


def blocks(document: Path) -> Iterator[Token]:
    """The fenced blocks: `info` is the language, `content` the text."""
    yield from (token for token in _tokens(document) if token.type == "fence")


def commands(document: Path) -> Iterator[Command]:
    """All commands of a document's blocks, in their order."""
    yield from _read(document, _Reading())


def _read(document: Path, reading: _Reading) -> Iterator[Command]:
    for token in _tokens(document):
        if token.type == "html_block":
            _told(token.content, reading)
        elif token.type == "fence":
            if token.info == "yaml":
                _written(token.content, reading)
            elif token.info in SHELL:
                yield from _of_block(document, token, reading)
            reading.file, reading.change, reading.exit_code = None, None, 0


def _told(html: str, reading: _Reading) -> None:
    for comment in _COMMENT.finditer(html):
        text = comment["text"]
        if match := _FILE.match(text):
            reading.file = match["name"]
        elif match := _FILES_OF.match(text):
            reading.files |= _files_of(ROOT / match["path"])
        elif match := _EXIT.match(text):
            reading.exit_code = int(match["code"])
        elif (match := _CHANGE.match(text)) and match["change"]:
            _change(match["name"], match["change"], reading)
        elif match:
            reading.change = match["name"]


def _files_of(document: Path) -> Mapping[str, str]:
    """The files that a document tells to write, as they are at its end."""
    reading = _Reading()
    for _ in _read(document, reading):
        pass
    return reading.files


def _written(text: str, reading: _Reading) -> None:
    if reading.file:
        reading.files[reading.file] = text
    elif reading.change:
        _change(reading.change, text, reading)


def _change(name: str, text: str, reading: _Reading) -> None:
    merged = _merged(yaml.safe_load(reading.files[name]), yaml.safe_load(text))
    reading.files[name] = yaml.safe_dump(merged, sort_keys=False)


def _merged(old: Any, new: Any) -> Any:
    """Mappings key by key, null takes a key away; anything else takes the place of what was there."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    kept = old | {key: _merged(old.get(key), value) for key, value in new.items()}
    return {key: value for key, value in kept.items() if key not in new or new[key] is not None}


def _of_block(document: Path, token: Token, reading: _Reading) -> Iterator[Command]:
    assert token.map is not None
    first = token.map[0] + 2
    lines = token.content.rstrip("\n").splitlines()
    if token.info == "sh":
        for number, line in enumerate(lines):
            if line.strip() and not line.lstrip().startswith("#"):
                yield _command(document, first + number, line, reading, None)
        return
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], f"{document}:{first}: a block `console` begins with `$ `"
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        output = "\n".join(lines[start + 1 : end]).strip("\n")
        yield _command(document, first + start, lines[start].removeprefix("$ "), reading, output or None)


def _command(document: Path, line: int, text: str, reading: _Reading, output: str | None) -> Command:
    bare = re.sub(r"\s+#.*", "", text).strip()
    return Command(document, line, bare, dict(reading.files), reading.exit_code, output)


def code_spans(document: Path) -> Iterator[str]:
    """What stands between backticks in sentences."""
    for token in _tokens(document):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


def links(document: Path) -> Iterator[str]:
    """Where links and pictures lead, those within the repository."""
    for token in _tokens(document):
        for child in token.children or ():
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if target and not re.match(r"[a-z]+:", str(target)):
                yield str(target)


def anchors(document: Path) -> set[str]:
    """What a link may name behind `#`: headings as GitHub spells them, and ids."""
    found: set[str] = set()
    times: dict[str, int] = {}
    for token, after in pairwise([*_tokens(document), _END]):
        if token.type == "heading_open":
            text = "".join(child.content for child in after.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = times[slug] = times.get(slug, -1) + 1
            found.add(f"{slug}-{count}" if count else slug)
        found |= {name for child in token.children or () for name in _ID.findall(child.content)}
    return found
