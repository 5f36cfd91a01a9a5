"""The command line: one file a command, each parses its options, calls and prints. No logic lives here.

Start-up is lean: this package imports typer and nothing heavier. What a command needs, it imports when it runs.
"""

from typing import Annotated

import typer

from mqverify import __version__
from mqverify.cli import (
    check,
    clean,
    compare,
    contents,
    doctor,
    down,
    explain,
    init,
    list_,
    schema,
    trace,
    up,
    validate,
)
from mqverify.report.exits import MEANINGS

__all__ = ["app"]

app = typer.Typer(
    name="mqverify",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}.",
)
app.command("check")(check.check)
app.command("clean")(clean.clean)
app.command("compare")(compare.compare)
app.command("init")(init.init)
app.command("trace")(trace.trace)
app.command("validate")(validate.validate)
app.command("doctor")(doctor.doctor)
app.command("up")(up.up)
app.command("down")(down.down)
app.command("contents")(contents.contents)
app.command("explain")(explain.explain)
app.command("list")(list_.list_)
app.command("schema")(schema.schema)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mqverify {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="If mqverify itself fails, show the whole traceback.")
    ] = False,
) -> None:
    """Verify messaging guarantees of Kafka and Event Store: declare what you need, see what holds."""
