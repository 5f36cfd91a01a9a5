"""Options that several commands have, and those whose value may come from the environment."""

from typing import Any

import typer

__all__ = ["LARGEST_SEED", "duration", "option"]

LARGEST_SEED = 2**53
"""Larger integers are not safe in the JSON of other languages."""


def option(*names: str, command: str = "", **more: Any) -> Any:
    """An option with a value: `--output-format` is MQVERIFY_OUTPUT_FORMAT too, of another command than `check`
    MQVERIFY_TRACE_OUTPUT_FORMAT. Its help does not say so once more: the command's does.
    """
    word = names[-1].lstrip("-").replace("-", "_").upper()
    variable = "_".join(filter(None, ("MQVERIFY", command.upper(), more.pop("variable", word))))
    return typer.Option(*names, envvar=variable, show_envvar=False, **more)


def duration(text: str) -> int:
    """`90s`, `10m` → nanoseconds, more than none."""
    from mqverify.units import UnitError, parse_duration

    try:
        nanoseconds = parse_duration(text)
    except UnitError as error:
        raise typer.BadParameter(f"{error}; {error.help}") from None
    if not nanoseconds:
        raise typer.BadParameter("no time at all is not a time to run in")
    return nanoseconds
