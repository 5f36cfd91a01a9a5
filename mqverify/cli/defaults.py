"""Defaults of options from the nearest `mqverify.toml`, or `pyproject.toml` with [tool.mqverify].

Flags go before MQVERIFY_* variables, those before this file, and the file before what is built in: that is the order of
typer's `default_map`. A start without such a file costs a look into the folders above, and no TOML is read.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mqverify.spec.issues import Issues

__all__ = ["defaults_for"]

_NAMES = ("mqverify.toml", "pyproject.toml")
_SAYS_SOMETHING = re.compile(r"tool\s*\.\s*[\"']?mqverify\b|^\s*tool\b.*mqverify\b", re.MULTILINE)
_NEVER = {"allow_broker_faults", "dry_run", "foreign", "help", "version"}
"""A project whose checks run nothing would be green for ever; what harms others is said each time."""


def defaults_for(app: typer.Typer, folder: Path) -> dict[str, Any]:
    """What `default_map` is to be: by command, then by parameter. Empty where there is no file.

    Raises DefaultsError with all mistakes of the file.
    """
    found = _nearest(folder)
    if found is None:
        return {}
    import tomllib

    from mqverify.errors import DefaultsError
    from mqverify.spec.issues import Issues
    from mqverify.spec.nodes import Mark

    path, text = found
    issues = Issues(_told(path), text)
    table: Any = {}
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        mark = Mark(int(place[1]), int(place[2])) if place else Mark(1, 1)
        issues.error("MQ023", f"this is not TOML: {str(error).partition(' (at ')[0]}", mark)
    defaults: dict[str, Any] = {}
    if not issues.errors:
        header: tuple[str, ...] = ("tool", "mqverify") if path.name == "pyproject.toml" else ()
        for name in header:
            table = table.get(name, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            issues.error("MQ022", "[tool.mqverify] is not a table", _mark(issues, header[:-1], header[-1]))
        else:
            defaults = dict(_Reader(app, issues, header).read(table))
    if issues.errors:
        raise DefaultsError(sorted(issues.errors, key=lambda one: (one.line, one.column)))
    return defaults


def _nearest(folder: Path) -> tuple[Path, str] | None:
    """The file and its text. A pyproject.toml that says nothing of mqverify is none."""
    for parent in (folder, *folder.parents):
        for name in _NAMES:
            try:
                data = (parent / name).read_bytes()
            except OSError:
                continue
            text = data.decode("utf-8", "replace")
            if name == "mqverify.toml" or _SAYS_SOMETHING.search(text):
                return parent / name, text.replace("\r\n", "\n")
    return None


def _told(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class _Reader:
    def __init__(self, app: typer.Typer, issues: "Issues", header: tuple[str, ...]) -> None:
        self._commands: Mapping[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        self._issues = issues
        self._header = header

    def read(self, table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(command, its defaults): keys are options of `check`, tables other commands."""
        tables = {name: value for name, value in table.items() if isinstance(value, dict)}
        own = {name: value for name, value in table.items() if name not in tables}
        yield "check", dict(self._options("check", own, self._header, tables=self._commands))
        for name, inside in tables.items():
            if name not in self._commands or name == "check":
                self._unknown(name, self._header, [one for one in self._commands if one != "check"], "command")
            else:
                yield name, dict(self._options(name, inside, (*self._header, name)))

    def _options(
        self, command: str, given: Mapping[str, Any], header: tuple[str, ...], tables: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[str, Any]]:
        known = {
            one.opts[-1].lstrip("-") if one.name != "keyword" else "keyword": one
            for one in self._commands[command].params
            if one.param_type_name == "option" and one.name not in _NEVER
        }
        for key, value in given.items():
            parameter = known.get(key) or known.get(key.replace("_", "-"))
            if parameter is None:
                self._unknown(key, header, known, f"option of `mqverify {command}`")
            elif (wrong := _wrong(self._commands[command], parameter, value)) is not None:
                mark = _mark(self._issues, header, key)
                self._issues.error("MQ022", f"{key}: {wrong}", mark, f"`mqverify {command} --help` says what it takes")
            else:
                yield parameter.name, _as_texts(parameter, value)

    def _unknown(self, key: str, header: tuple[str, ...], known: Any, what: str) -> None:
        from mqverify.spec.issues import did_you_mean

        meant = did_you_mean(key.replace("_", "-"), known)
        advice = f"did you mean '{meant}'?" if meant else f"there are {', '.join(known)}"
        self._issues.error(
            "MQ021", f"'{key}' is no {what} that has a default", _mark(self._issues, header, key), advice
        )


def _wrong(command: Any, parameter: Any, value: Any) -> str | None:
    """What is wrong with a value, or None. It is parsed as on the command line, and nothing is invoked."""
    if parameter.is_flag:
        return None if isinstance(value, bool) else "it is true or false"
    for one in value if parameter.multiple and isinstance(value, list) else [value]:
        if isinstance(one, bool) or not isinstance(one, int | str):
            return "it is a text in quotes or a whole number" + (", or a list of them" if parameter.multiple else "")
        try:
            command.make_context(command.name, [parameter.opts[-1], str(one), "--", "a path"])
        except Exception as error:  # noqa: BLE001 - typer's own BadParameter; which class it is depends on its version
            if getattr(getattr(error, "param", None), "name", None) == parameter.name:
                told: str = str(getattr(error, "message", error))
                return told.removeprefix("Value error, ").rstrip(".")
    return None


def _as_texts(parameter: Any, value: Any) -> Any:
    if parameter.is_flag:
        return value
    if parameter.multiple:
        return [str(one) for one in (value if isinstance(value, list) else [value])]
    return str(value)


def _mark(issues: "Issues", header: tuple[str, ...], key: str) -> Any:
    """Where a key stands. TOML's reader does not say, so its line is looked for, first under its own heading."""
    from mqverify.spec.nodes import Mark

    written = re.compile(rf"^\s*(?:[\w\"'.-]+\.)?[\"']?({re.escape(key)})[\"']?\s*(?:[=.\]]|$)")
    inside, elsewhere = not header, None
    for number, line in enumerate(issues.lines, 1):
        if heading := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            parts = tuple(part.strip(" \"'") for part in heading[1].split("."))
            inside = parts == header
            if parts == (*header, key):
                return Mark(number, line.index(key) + 1, len(key))
            continue
        found = written.match(line)
        if found and inside:
            return Mark(number, found.start(1) + 1, len(key))
        if elsewhere is None and key in line:
            elsewhere = Mark(number, line.index(key) + 1, len(key))
    return elsewhere or Mark(1, 1)
