"""Options that several commands have, and those whose value may come from the environment."""

from typing import Any

import typer

__all__ = [
    "LARGEST_SEED",
    "allow_broker_faults",
    "color",
    "duration",
    "first_seed",
    "jobs",
    "keyword",
    "option",
    "profile",
    "tag",
]

LARGEST_SEED = 2**53
"""Larger integers are not safe in the JSON of other languages."""


def option(*names: str, command: str = "", **more: Any) -> Any:
    """An option with a value: `--output-format` is MQVERIFY_OUTPUT_FORMAT too, of another command than `check`
    MQVERIFY_TRACE_OUTPUT_FORMAT. Its help does not say so once more: the command's does.
    """
    word = names[-1].lstrip("-").replace("-", "_").upper()
    variable = "_".join(filter(None, ("MQVERIFY", command.upper(), more.pop("variable", word))))
    return typer.Option(*names, envvar=variable, show_envvar=False, **more)


def keyword(command: str = "") -> Any:
    return option(
        "-k",
        command=command,
        variable="KEYWORD",
        metavar="TEXT",
        help="Only specs with this text in their name or path.",
    )


def tag(command: str = "") -> Any:
    return option("--tag", command=command, metavar="TAG", help="Only specs with this tag. May be repeated.")


def first_seed(command: str = "") -> Any:
    return option("--seed", command=command, min=0, max=LARGEST_SEED, metavar="N", help="Seed of the first run.")


def jobs(command: str = "") -> Any:
    return option(
        "-j",
        "--jobs",
        command=command,
        min=1,
        metavar="N",
        help="Processes to work in; on a real system, specs that run at a time.",
        show_default="one a core; real runs two",
    )


def profile(command: str = "") -> Any:
    return option(
        "--profile",
        command=command,
        metavar="NAME",
        help="How to get into a real system: a table of your profiles.toml.",
    )


def allow_broker_faults() -> Any:
    return typer.Option(
        "--allow-broker-faults",
        help="Faults may break the brokers of a cluster that `mqverify up` keeps, not only of one started for the run.",
    )


def color(command: str = "") -> Any:
    return option("--color", command=command, help="NO_COLOR and FORCE_COLOR are heeded.")


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
