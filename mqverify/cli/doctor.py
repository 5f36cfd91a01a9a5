"""`mqverify doctor`: what can be done here, and how to mend what cannot."""

import sys
from typing import Annotated, Literal

import typer

from mqverify.cli import options as common
from mqverify.cli.options import option
from mqverify.report.standard import ColorChoice, told_as_output_error, wants_color

__all__ = ["doctor"]


def doctor(
    backend: Annotated[
        list[str] | None,
        option(
            "-b",
            "--backend",
            command="doctor",
            metavar="NAME[=TARGET]",
            help="Only this system; with a target (kafka=local, kafka=HOST:PORT) what it takes to get there, and what "
            "may be done there. May be repeated.",
        ),
    ] = None,
    profile: Annotated[str | None, common.profile()] = None,
    output_format: Annotated[
        Literal["text", "json"], option("--output-format", command="doctor", help="What is printed.")
    ] = "text",
    color: Annotated[ColorChoice, common.color("doctor")] = "auto",
) -> None:
    """Look at Python, Java, libraries, folders, and at systems that are asked for. Nothing is installed or started.

    On a cluster that is named with -b a topic is created and deleted. Exits with 0 if nothing is missing for what was
    asked, else with 3.
    """
    from mqverify import engine
    from mqverify.engine.doctor import examine
    from mqverify.report.doctor import write_checks, write_checks_as_json
    from mqverify.report.exits import AS_EXPECTED, UNDECIDED

    asked = [text.partition("=") for text in backend or ()]
    sections = list(
        examine([(name, target or None) for name, _, target in asked], list(engine.registry().systems), profile)
    )
    with told_as_output_error():
        if output_format == "json":
            write_checks_as_json(sections, sys.stdout)
        else:
            write_checks(sections, sys.stdout, color=wants_color(color, sys.stdout))
    missing = any(check.state == "missing" for _, checks in sections for check in checks)
    raise typer.Exit(UNDECIDED if missing else AS_EXPECTED)
