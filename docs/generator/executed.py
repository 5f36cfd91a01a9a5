"""Commands of documents, executed: whether they end and print as it is written, and what they print today."""

import io
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final

from docs.generator.documents import DOCUMENTS, ROOT, Command, commands
from mqverify.__main__ import main

__all__ = ["ELISION", "execute", "fits", "mend_outputs"]

ELISION: Final = "…"
"""A line of what a document shows that stands for any lines."""
_SECONDS: Final = re.compile(r"\bin \d+\.\d s\b")
_ENVIRONMENT: Final = {"MQVERIFY_JOBS": "1", "NO_COLOR": "1"}


def execute(command: Command, folder: Path, **environment: str) -> tuple[int, str]:
    """Run it in this process, in an empty folder, with the files that a reader has there.

    Returns the exit code, and what stands on standard output, or on standard error if that is all there is.
    """
    _lay_out(command, folder)
    out, err = io.StringIO(), io.StringIO()
    with _environment(environment), chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code: object = None
        try:
            main(shlex.split(command.text)[1:])
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int), "`main` ends the process with a code"
    return code, out.getvalue() or err.getvalue()


def fits(shown: str, printed: str) -> bool:
    """Whether that was printed, with any lines where `…` is shown, and whatever time it took."""
    lines = [
        r"(?:.*\n)*" if line.strip() == ELISION else re.escape(_SECONDS.sub("in 0 s", line)) + r"\n"
        for line in shown.strip("\n").splitlines()
    ]
    return re.fullmatch("".join(lines), _SECONDS.sub("in 0 s", printed.strip("\n")) + "\n") is not None


def mend_outputs() -> Iterator[str]:
    """Write into documents what their commands print today; what is left to do by hand.

    What is elided stays elided: paragraphs that are shown become those that are most like them.
    """
    for document in DOCUMENTS:
        if document.parent == ROOT / "docs/reference/guarantees":
            continue  # they were just made
        for command in reversed(list(commands(document))):  # lines before it keep their numbers
            if command.output is None or "=local" in command.text:
                continue
            with tempfile.TemporaryDirectory() as folder:
                _, printed = execute(command, Path(folder))
            if fits(command.output, printed):
                continue
            now = _elided_alike(command.output, printed)
            if fits(now, printed):
                _replace(document, command, now)
            else:
                yield f"{command.name}: it prints something else now; mend what is shown by hand"


def _elided_alike(shown: str, printed: str) -> str:
    """What is printed, with all left out that is left out of what is shown."""
    if ELISION not in shown.splitlines():
        return printed
    now = _paragraphs(printed)
    parts = [_paragraphs(part) for part in re.split(f"^{ELISION}$", shown, flags=re.MULTILINE)]
    mended = []
    for number, part in enumerate(parts):
        likeness = [SequenceMatcher(None, part[0], one).ratio() for one in now] if part else [0.0]
        start = likeness.index(max(likeness)) if number else 0
        mended.append("\n\n".join(now[start : start + len(part)]))
    return f"\n{ELISION}\n".join(mended).strip("\n")


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip("\n") for paragraph in re.split(r"\n\n+", text) if paragraph.strip()]


def _replace(document: Path, command: Command, printed: str) -> None:
    """Put it in the place of what the document shows; it may have taken the time that it took then."""
    lines = document.read_text(encoding="utf-8").splitlines()
    assert command.output is not None
    end = command.line + len(command.output.splitlines())
    took = _SECONDS.search(command.output)
    now = _SECONDS.sub(took[0], printed) if took else printed
    lines[command.line : end] = now.strip("\n").splitlines()
    document.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _lay_out(command: Command, folder: Path) -> None:
    """The shipped specs if it names them, and what the document told to write."""
    if "specs" in command.text:
        shutil.copytree(ROOT / "specs", folder / "specs")
    for name, text in command.files.items():
        (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    """That of a reader who has set nothing, with one job, without colours, and with what is given."""
    before = dict(os.environ)
    for name in before:
        if name in ("COLUMNS", "CI", "FORCE_COLOR") or name.startswith(("MQVERIFY_", "GITHUB_")):
            del os.environ[name]
    os.environ.update(_ENVIRONMENT | more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
