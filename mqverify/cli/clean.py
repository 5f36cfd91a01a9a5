"""`mqverify clean`: remove what killed runs have left behind."""

import sys
from typing import Annotated

import typer

from mqverify.cli import options as common
from mqverify.cli.options import option

__all__ = ["clean"]


def clean(
    backend: Annotated[
        list[str],
        option(
            "-b",
            "--backend",
            command="clean",
            metavar="NAME=TARGET",
            help="Where: kafka=HOST:PORT[,HOST:PORT] or kafka=local. May be repeated.",
        ),
    ],
    profile: Annotated[str | None, common.profile()] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")] = False,
    foreign: Annotated[
        bool,
        typer.Option(
            "--foreign", help="Also what runs of other users or machines have made, alive or not: nobody can tell here."
        ),
    ] = False,
) -> None:
    """Remove topics, groups and folders that runs of mqverify have left behind because they were killed.

    Nothing is touched but what begins with mqverify-, eight hexadecimal digits and a dash, as the names of all runs do.
    Runs that are at work on this machine keep theirs. Exits with 3 if something could not be removed.
    """
    from mqverify.backends.registry import real_system
    from mqverify.errors import BackendUnavailable
    from mqverify.report.cleaned import write_cleaned
    from mqverify.report.standard import told_as_output_error
    from mqverify.worlds.cleaning import clean as clean_at
    from mqverify.worlds.selection import target_of

    places = [target_of(text) for text in backend]
    access = {system: real_system(system).access(profile) for system, _ in places}
    left = False
    for system, target in places:
        cleaned = clean_at(system, target, foreign=foreign, look_only=dry_run, access=access[system])
        with told_as_output_error():
            write_cleaned(system, cleaned, sys.stdout, look_only=dry_run)
        left = left or bool(cleaned.left)
    if left:
        raise BackendUnavailable("not everything could be removed; run it again")
