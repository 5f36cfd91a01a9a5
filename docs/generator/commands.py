"""The commands and their options, as the typer application has them."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo
from typer.utils import get_params_from_function

from mqverify.cli import app

__all__ = ["Command", "Parameter", "commands", "general"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or an option: as it is typed, what it is, what may stand behind it."""

    names: tuple[str, ...]
    value: str
    about: str
    choices: tuple[str, ...]
    default: str
    variable: str
    is_argument: bool


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    about: tuple[str, ...]
    """Its paragraphs."""
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        shown = [
            "mqverify",
            self.name,
            *(["[OPTIONS]"] if self.options else []),
            *(one.value for one in self.arguments),
        ]
        return " ".join(filter(None, shown))


def general() -> Command:
    """The options that stand before any command."""
    callback = app.registered_callback
    assert callback is not None
    return _command("", callback.callback)


def commands() -> Iterator[Command]:
    """In the order of the help text."""
    for registered in app.registered_commands:
        if not registered.hidden:
            yield _command(str(registered.name), registered.callback)


def _command(name: str, function: Any) -> Command:
    parameters = [
        _parameter(one.name, one.annotation, one.default)
        for one in get_params_from_function(function).values()
        if not getattr(one.default, "hidden", False)
    ]
    return Command(
        name,
        tuple(" ".join(paragraph.split()) for paragraph in (inspect.getdoc(function) or "").split("\n\n")),
        tuple(one for one in parameters if one.is_argument),
        tuple(one for one in parameters if not one.is_argument),
    )


def _parameter(name: str, annotation: Any, info: ArgumentInfo | OptionInfo) -> Parameter:
    choices = tuple(map(str, _choices(annotation)))
    flag = annotation is bool
    is_argument = isinstance(info, ArgumentInfo)
    names = tuple(info.param_decls or ()) or ((name.upper(),) if is_argument else (f"--{name.replace('_', '-')}",))
    value = "" if flag else info.metavar or ("|".join(choices) or name.upper())
    if is_argument and get_origin(annotation) is list:
        value += "..."
    default = info.show_default if isinstance(info.show_default, str) else _shown(info.default, flag)
    variable = info.envvar if isinstance(info.envvar, str) else " ".join(info.envvar or ())
    return Parameter(names, value, info.help or "", choices, default, variable, is_argument)


def _choices(annotation: Any) -> Sequence[Any]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return [choice for one in get_args(annotation) for choice in _choices(one)]


def _shown(default: Any, flag: bool) -> str:
    return "" if flag or default is None or default is ... else str(default)
