"""The catalogue of guarantees: one `.sql` file each, with a header that says what is promised and what it needs.

`catalogue()` reads the files beside this one; `parse_guarantee` reads any such file, also a user's own. Those
files show the format.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from mqverify.errors import UsageError

__all__ = [
    "DELIVERIES",
    "FEATURES",
    "NEEDS",
    "Guarantee",
    "Parameter",
    "ParameterKind",
    "Unsupported",
    "catalogue",
    "find",
    "load_guarantee",
    "parse_guarantee",
    "parse_parameters",
    "view_sources",
]

ParameterKind = Literal["duration", "count", "ratio", "text", "flag"]

NEEDS = ("readings", "effects", "parked", "positions", "shared clock", "one order", "drained")
"""The kinds of evidence that a header may name."""

DELIVERIES = ("exclusive", "competing", "own")
"""How a system may share messages in a group, as the history's `groups` say it."""

FEATURES = ("expected_revision",)
"""What a system may have, and without which a guarantee may mean nothing."""

_FIELDS = ("promise", "meaning", "untested", "needs", "parameters", "cannot", "mends")
_OPTIONAL = ("unsupported",)
_AT_LEAST_ONE = "at least one of "
_SECTIONS = ("obligations", "violations")
_OPTIONAL_SECTIONS = ("figures",)
_TITLE = re.compile(r"-- (?P<code>[A-Z]{2,8}\d{3,4}) (?P<name>[a-z][a-z0-9_]*)$")
_FIELD = re.compile(r"-- (?P<field>[a-z]+):(?: (?P<text>.*))?$")
_UNSUPPORTED = re.compile(r"(?P<without>without )?(?P<what>[a-z_]+): (?P<reason>\S.*)$")
_PARAMETER = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*): (?P<kind>[a-z]+)(?: >= (?P<least>[0-9]+))?"
    r"(?: (?:(?P<required>required)|= (?P<default>.+)))?$"
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a guarantee. `default` is as the header writes it, and None if the parameter may be left out."""

    name: str
    kind: ParameterKind
    default: str | None = None
    required: bool = False
    least: int = 0
    """The least that a count may be: below it the guarantee could not be put to the test."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Where a guarantee means nothing: `what` is one of `DELIVERIES`, or, if `without`, a missing one of `FEATURES`."""

    what: str
    without: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One promise: its header, and the queries that count how often it was tested and show where it broke."""

    code: str
    name: str
    promise: str
    meaning: str
    untested: str
    """Why a run may put it to no test, and what would: the reason when no run did."""
    needs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    wants_parameter: bool
    """Without any of its parameters that have no default it promises nothing."""
    cannot: str
    mends: str
    obligations: str
    """A query for rows (run, obligations); several rows a run are summed."""
    violations: str
    """A query for rows (run, consumer_group, key, messages, place, noticed_at, sentence), the most telling first."""
    source_file: str
    unsupported_for: tuple[Unsupported, ...] = ()
    figures: str | None = None
    """A query for rows (run, figure, value, shown): what was measured, by name, as a number (the greater the worse) and
    as people read it. Of each name the greatest of all runs is reported, whatever the verdict. None: it has none."""

    def unsupported(self, delivery: str, system_has: Collection[str] = FEATURES) -> str | None:
        """Why it means nothing where groups get their messages so (of `DELIVERIES`) and the system has these of
        `FEATURES`; None where it can be judged."""
        for one in self.unsupported_for:
            if (one.what not in system_has) if one.without else (one.what == delivery):
                return one.reason
        return None


def parse_guarantee(text: str, source_file: str) -> Guarantee:
    """Read a guarantee from the text of its file. Raises `UsageError`, naming file and line, if it is not one."""
    lines = text.splitlines()
    title = _TITLE.match(lines[0]) if lines else None
    if title is None:
        raise UsageError(
            f"{source_file}:1: a guarantee begins with its code and its name, such as `-- MQ101 at_least_once`"
        )
    sections = _sections(lines, source_file)
    fields = _fields(lines[1 : min(start for start, _ in sections.values())], source_file)
    return Guarantee(
        code=title["code"],
        name=title["name"],
        promise=fields["promise"],
        meaning=fields["meaning"],
        untested=fields["untested"],
        needs=_needs(fields["needs"], source_file),
        parameters=parse_parameters(fields["parameters"], source_file),
        wants_parameter=fields["parameters"].startswith(_AT_LEAST_ONE),
        cannot=fields["cannot"],
        mends=fields["mends"],
        obligations=sections["obligations"][1],
        violations=sections["violations"][1],
        source_file=source_file,
        unsupported_for=_unsupported(fields.get("unsupported", ""), source_file),
        figures=sections["figures"][1] if "figures" in sections else None,
    )


def load_guarantee(path: Path) -> Guarantee:
    """Read a user's own guarantee. Raises `UsageError` if the file cannot be read or is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the guarantee cannot be read: {error}") from error
    return parse_guarantee(text, str(path))


def _sections(lines: list[str], source_file: str) -> dict[str, tuple[int, str]]:
    """Of each section that there is, the index of its heading and its query, without a closing semicolon."""
    starts = {}
    for index, line in enumerate(lines):
        name = line.removeprefix("-- ").strip()
        if line.startswith("-- ") and name in (*_SECTIONS, *_OPTIONAL_SECTIONS):
            if name in starts:
                raise UsageError(f"{source_file}:{index + 1}: a second `-- {name}`; a guarantee has one of each")
            starts[name] = index
    missing = [name for name in _SECTIONS if name not in starts]
    if missing:
        raise UsageError(f"{source_file}: no line `-- {missing[0]}`; a guarantee has one query under each of "
                         "`-- obligations` and `-- violations`")  # fmt: skip
    ends = [*sorted(starts.values())[1:], len(lines)]
    found = {}
    for (name, start), end in zip(sorted(starts.items(), key=lambda item: item[1]), ends, strict=True):
        query = "\n".join(lines[start + 1 : end]).strip().removesuffix(";").rstrip()
        if not query:
            raise UsageError(f"{source_file}:{start + 1}: there is no query under `-- {name}`")
        found[name] = (start, query)
    return found


def _fields(lines: list[str], source_file: str) -> dict[str, str]:
    """The fields of the header; a line that begins with `--   ` goes on with the one before it."""
    fields: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.strip() == "--":
            continue
        match = _FIELD.match(line)
        if match:
            name = match["field"]
            if name not in (*_FIELDS, *_OPTIONAL) or name in fields:
                known = ", ".join((*_FIELDS, *_OPTIONAL))
                raise UsageError(
                    f"{source_file}:{number}: `{name}:` is not a field, or was given before; fields are {known}"
                )
            current = fields[name] = [(match["text"] or "").strip()]
        elif line.startswith("--   ") and current is not None:
            current.append(line.removeprefix("--").strip())
        else:
            raise UsageError(f"{source_file}:{number}: neither `-- FIELD: text` nor its continuation (`--   text`)")
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise UsageError(f"{source_file}: the header lacks `-- {missing[0]}:`")
    return {name: " ".join(part for part in parts if part) for name, parts in fields.items()}


def _needs(text: str, source_file: str) -> tuple[str, ...]:
    needs = () if text == "nothing" else tuple(word.strip() for word in text.split(","))
    for need in needs:
        if need not in NEEDS:
            raise UsageError(f"{source_file}: needs: `{need}` is no evidence; `nothing`, or of {', '.join(NEEDS)}")
    return needs


def _unsupported(text: str, source_file: str) -> tuple[Unsupported, ...]:
    """Read `competing: REASON; without expected_revision: REASON`; a reason holds no semicolon."""
    found = []
    for part in filter(None, text.split(";")):
        match = _UNSUPPORTED.match(part.strip())
        if match is None or match["what"] not in (FEATURES if match["without"] else DELIVERIES):
            raise UsageError(
                f"{source_file}: unsupported: `{part.strip()}` is not `DELIVERY: reason` or `without FEATURE: reason`, "
                f"with DELIVERY one of {', '.join(DELIVERIES)}, FEATURE one of {', '.join(FEATURES)}"
            )
        found.append(Unsupported(match["what"], match["without"] is not None, match["reason"]))
    return tuple(found)


def parse_parameters(text: str, source_file: str) -> tuple[Parameter, ...]:
    """Read `within: duration required; at_most: count >= 1 required; at_least: count = consumers`; `none` is none.

    `at least one of partitions: count; bytes: count`: an expectation has to give one of them, whichever (of those that
    have no default).
    """
    if text == "none":
        return ()
    parameters = []
    for part in text.removeprefix(_AT_LEAST_ONE).split(";"):
        match = _PARAMETER.match(part.strip())
        bounded = match is not None and match["least"] is not None
        if match is None or match["kind"] not in get_args(ParameterKind) or (bounded and match["kind"] != "count"):
            kinds = ", ".join(get_args(ParameterKind))
            forms = (
                "`name: KIND`, `name: KIND required` or `name: KIND = default`, behind `count` also `>= LEAST`, "
                f"with KIND one of {kinds}"
            )
            raise UsageError(f"{source_file}: parameters: `{part.strip()}` is not {forms}")
        kind: ParameterKind = match["kind"]  # type: ignore[assignment]
        required, least = match["required"] is not None, int(match["least"] or 0)
        parameters.append(Parameter(match["name"], kind, match["default"], required, least))
    return tuple(parameters)


def _is_guarantee(file_name: str) -> bool:
    return file_name.endswith(".sql") and not file_name.startswith(("views", "witness", "trace"))


def _own_files() -> list[tuple[str, str]]:
    """(file name, text) of all `.sql` files beside this one, by name."""
    folder = resources.files(__package__)
    files = [
        (entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql")
    ]
    return sorted(files)


@cache
def catalogue() -> Mapping[str, Guarantee]:
    """All guarantees that this version judges, by name, in order of their codes."""
    read = [parse_guarantee(text, f"mqverify/guarantees/{name}") for name, text in _own_files() if _is_guarantee(name)]
    return MappingProxyType({guarantee.name: guarantee for guarantee in sorted(read, key=lambda one: one.code)})


@cache
def view_sources() -> tuple[tuple[str, str], ...]:
    """(file name, text) of the files of shared views, `views*.sql`, by name."""
    return tuple((name, text) for name, text in _own_files() if name.startswith("views"))


def find(code_or_name: str) -> Guarantee | None:
    """The guarantee of that code (`MQ101`, in any case) or name, or None."""
    wanted = code_or_name.strip()
    by_name = catalogue().get(wanted.lower().replace("-", "_"))
    if by_name is not None:
        return by_name
    return next((one for one in catalogue().values() if one.code == wanted.upper()), None)
