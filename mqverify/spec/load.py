"""Finds specs, reads them, and hands back all of them or all of their mistakes."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mqverify.errors import SpecError, UsageError
from mqverify.spec.diagnostics import Diagnostic
from mqverify.spec.document import TOP, read_document
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import Spec
from mqverify.spec.nodes import Mapping, Mark, Node
from mqverify.spec.reader import read_yaml
from mqverify.spec.registry import Registry

__all__ = ["LARGEST_FILE", "MOST_FILES", "Loaded", "find_files", "load", "load_text"]

LARGEST_FILE = 1024 * 1024
MOST_FILES = 10_000
_SUFFIXES = (".yaml", ".yml")
_START = Mark(1, 1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The specs, in the order of the paths, and what a user should know."""

    specs: tuple[Spec, ...]
    warnings: tuple[Diagnostic, ...]


def load(paths: Iterable[str | os.PathLike[str]], registry: Registry) -> Loaded:
    """Read all specs of these files and folders.

    Raises `SpecError` with every mistake of every file, and `UsageError` where there is no such path or no spec at all.
    """
    given = [os.fspath(path) for path in paths]
    specs: list[Spec] = []
    errors: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for file in find_files(given):
        issues = Issues(file)
        text = _read_file(file, issues)
        if text is not None:
            issues = Issues(file, text)
            spec = _read(text, file, registry, issues)
            if spec is not None:
                specs.append(spec)
        errors += _in_order(issues.errors)
        warnings += _in_order(issues.warnings)
    if errors:
        raise SpecError(errors)
    if not specs:
        raise UsageError(f"no specs in {', '.join(given) or 'nothing'}{_why_none(given, warnings)}")
    return Loaded(tuple(specs), tuple(warnings))


def _why_none(given: list[str], skipped: list[Diagnostic]) -> str:
    """What became of the files instead; of a file that was named, what is wrong with it."""
    if len(skipped) == 1 and skipped[0].file in given:
        return f": {skipped[0].message.removeprefix('skipped: ')}"
    if not skipped:
        return ""
    files = "1 YAML file" if len(skipped) == 1 else f"{len(skipped)} YAML files"
    return f" ({files} without a 'spec:' key {'was' if len(skipped) == 1 else 'were'} skipped)"


def load_text(text: str, file: str, registry: Registry) -> Spec:
    """Read one spec from its text; `file` is what messages call it. Raises `SpecError` and nothing else."""
    text = text.removeprefix("\ufeff")
    issues = Issues(file, text)
    spec = None
    if len(text) > LARGEST_FILE:
        _too_large(len(text), issues)
    else:
        spec = _read(text, file, registry, issues)
    if spec is None and not issues.errors:
        issues.error("MQ201", "missing key 'spec'", _START, TOP["spec"])
    if spec is None or issues.errors:
        raise SpecError(_in_order(issues.errors))
    return spec


def _read(text: str, file: str, registry: Registry, issues: Issues) -> Spec | None:
    """The spec; None if there are mistakes, or if the file is not a spec at all, which is a warning."""
    root = read_yaml(text, issues)
    if root is None and issues.errors:
        return None
    if not _is_spec(root):
        issues.errors.clear()
        issues.warn(
            "MQ014",
            f"skipped: {_what_it_is(text, root)}",
            Mark(root.mark.line, root.mark.column) if root else _START,
            "a spec begins with 'spec: its name'",
        )
        return None
    assert isinstance(root, Mapping)
    return read_document(root, file, text, registry, issues)


def _what_it_is(text: str, root: Node | None) -> str:
    if not text.strip():
        return "the file is empty"
    return "a YAML file without a 'spec:' key" if root is not None else "nothing is in the file but comments"


def _is_spec(root: Node | None) -> bool:
    """Whether it is meant as a spec: it says so, or it has the words of one and misspells the first."""
    if not isinstance(root, Mapping):
        return False
    keys = [entry.key.text for entry in root.entries]
    if "spec" in keys:
        return not {"apiVersion", "kind"}.issubset(keys)  # Kubernetes calls a part of its manifests so.
    words = {"workload", "backends", "faults", "expect"}.intersection(keys)
    return len(words) >= 2 or (bool(words) and any(did_you_mean(key, ("spec",)) for key in keys))


def _in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(diagnostics, key=lambda each: (each.line, each.column, each.code))


def find_files(paths: Iterable[str]) -> list[str]:
    """The files that these paths name, each once: a file itself, of a folder every YAML file below it, in order."""
    found: dict[Path, str] = {}
    for path in paths:
        if not path or "\x00" in path:
            raise UsageError(f"no such file or folder: {path!r}")
        try:
            mode = Path(path).stat().st_mode
        except OSError as error:
            raise UsageError(f"no such file or folder: {path} ({error.strerror or error})") from error
        names = _in_folder(Path(path)) if stat.S_ISDIR(mode) else [path]
        for name in names:
            found.setdefault(_resolved(Path(name)), name)
        if len(found) > MOST_FILES:
            raise UsageError(f"more than {MOST_FILES} YAML files in {path}: name the folder of the specs")
    return list(found.values())


def _in_folder(folder: Path) -> list[str]:
    """YAML files below a folder; hidden ones and links that lead out of it are left out."""
    root = _resolved(folder)
    found: list[str] = []
    for where, folders, files in os.walk(folder, onerror=_refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(where, name)
            if name.startswith(".") or not name.endswith(_SUFFIXES):
                continue
            if path.is_symlink() and not _resolved(path).is_relative_to(root):
                continue
            found.append(str(path))
        if len(found) > MOST_FILES:
            break
    return sorted(found)


def _refuse(error: OSError) -> None:
    """A folder that cannot be read may hold specs: to skip it would be to pass them."""
    raise UsageError(f"the folder {error.filename} cannot be read: {error.strerror or error}") from error


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # A link that leads to itself; opening it says so.
        return path.absolute()


def _read_file(file: str, issues: Issues) -> str | None:
    """The text of a file that may be anything: only regular files, never more than a spec can be."""
    try:
        # Not to hang on a FIFO that took the place of the file in between.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        issues.error("MQ001", f"the file cannot be read: {error.strerror or error}", _START)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            issues.error("MQ001", "this is not a regular file", _START, "specs are read from regular files only")
            return None
        try:
            data = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            issues.error("MQ001", f"the file cannot be read: {error.strerror or error}", _START)
            return None
    if len(data) > LARGEST_FILE:
        _too_large(max(status.st_size, len(data)), issues)
        return None
    return _decode(data.removeprefix(b"\xef\xbb\xbf"), issues)


def _too_large(size: int, issues: Issues) -> None:
    issues.error("MQ002", f"the file is too large: {size} bytes", _START, f"a spec has at most {LARGEST_FILE} bytes")


def _decode(data: bytes, issues: Issues) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        issues.lines = Issues(issues.file, data.decode("utf-8", "replace")).lines
        lines = Issues(issues.file, before).lines
        bad = data[error.start]
        place = Mark(len(lines), len(lines[-1]) + 1)
        issues.error("MQ003", f"the byte 0x{bad:02x} is not UTF-8", place, "save the file as UTF-8")
        return None
