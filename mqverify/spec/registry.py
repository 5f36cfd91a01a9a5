"""What a spec is validated against: the guarantees, the kinds of faults and the systems there are.

The rooms that own them fill these shapes in; `spec` knows the shapes only, so that imports go down.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, Protocol

from pydantic import BaseModel

from mqverify.spec.model import Fault, Workload

__all__ = [
    "LATER",
    "Contradiction",
    "FaultKind",
    "Guarantee",
    "Parameter",
    "Registry",
    "Setting",
    "SettingKind",
    "System",
    "settings_of",
]

LATER: Final = "comes with a later version of mqverify"
"""Ends the reason why a word that specs may use already is `unsupported`."""

SettingKind = Literal["duration", "size", "count", "number", "flag", "choice", "choices"]


class Parameter(Protocol):
    """A parameter of a guarantee. `kind` is one of `duration`, `count`, `number`, `share`, `flag`, `choice`, `text`."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def default(self) -> str | None: ...
    @property
    def required(self) -> bool: ...
    @property
    def least(self) -> int:
        """Of a count: the smallest that can be put to the test."""
        ...


class Guarantee(Protocol):
    """A guarantee that an expectation may name, in this version or a later one."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Sequence[Parameter]: ...
    @property
    def wants_parameter(self) -> bool:
        """Whether an expectation has to give one of them, whichever."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field of a settings model is in the system's own terms. It stands in the field's `Annotated`."""

    kind: SettingKind
    part: tuple[str, ...]
    """Where it belongs: `topic`, `producer`, `consumer`, `broker`, `subscription`, `stream`, `mqverify`."""
    about: str
    native: str | None = None
    """The system's name for it: `retention.ms`. None: a word of mqverify's own, or the name itself."""
    unit: int = 1
    """Nanoseconds of the native unit of a duration."""
    breaks: str = ""
    """What a wrong value costs."""
    source: str = ""
    """Where the default comes from."""
    words: Mapping[str, Any] = field(default_factory=dict)
    """Of a choice: the words of a spec and what the system calls them."""
    also: tuple[str, ...] = ()
    """Words that stand beside a count: `per_key`."""
    later: tuple[str, ...] = ()
    """Those of the words that this version of mqverify cannot run yet."""
    pattern: str = ""
    """Further texts that a choice takes, as a regular expression: `per_key % 16`."""
    least: int | None = None
    most: int | None = None
    none: str | None = None
    """The word that is None in the model: `unlimited` (the native −1), or `unset` where the system has no default."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Settings of one backend that the system would refuse together."""

    fields: tuple[str, ...]
    """Where to point: the first of them that the spec sets."""
    message: str
    help: str


def _none(_settings: Any) -> Iterable[Any]:
    return ()


@dataclass(frozen=True)
class System:
    """A messaging system: its settings and what speaks against them."""

    name: str
    title: str
    model: type[BaseModel]
    contradictions: Callable[[Any], Iterable[Contradiction]] = _none
    limits: Callable[[Any], Iterable[str]] = _none
    """Why this version of mqverify cannot run a backend with these settings."""
    misses: Callable[[Any, Workload, Sequence[Fault]], Iterable[str]] = lambda _settings, _workload, _faults: ()
    """What a workload asks for that the system has not."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Native settings that a spec says elsewhere, with where."""
    partitions: Callable[[Any, int], int | None] = lambda _settings, _keys: None
    """How many partitions there are from the start, with so many keys, where a system has partitions."""
    takeover: Callable[[Any, bool], int | None] = lambda _settings, _silent: None
    """Nanoseconds until the group gives a dead consumer's share to another. The second argument says whether it may be
    silent (frozen, cut off); else its connections close as it dies."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault, as a line of `faults:` writes it."""

    name: str
    about: str
    subject: Literal["target", "slow", "duration", "count", "link", "ack", "place", "name", "skew", "nothing"]
    """What stands behind the kind's own key."""
    targets: tuple[str, ...] = ()
    """Roles: `consumer`, `leader`, `all consumers`, `producer`, `broker`, `broker of partition 0`,
    `followers of partition 0`, `all brokers`, `node leader`."""
    takes: tuple[str, ...] = ()
    """Further keys of the line, beside `when` and `times`."""
    needs: tuple[str, ...] = ()
    """Those of them that have to be there."""
    missing_targets: Mapping[str, str] = field(default_factory=dict)
    """Roles that this version cannot reach, each with the reason."""


@dataclass(frozen=True)
class Registry:
    """Everything that a spec may name."""

    guarantees: Mapping[str, Guarantee]
    fault_kinds: Mapping[str, FaultKind]
    systems: Mapping[str, System]


@cache
def settings_of(model: type[BaseModel]) -> Mapping[str, Setting]:
    """The settings of a model by their names in a spec."""
    found = {}
    for name, info in model.model_fields.items():
        setting = next((item for item in info.metadata if isinstance(item, Setting)), None)
        if setting is not None:
            found[name] = setting
    return found
