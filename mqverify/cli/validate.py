"""`mqverify validate`: find the mistakes in specs, run nothing."""

from typing import Annotated, Literal

import typer

from mqverify.cli.options import option
from mqverify.report.standard import runs_on_github

__all__ = ["validate"]


def validate(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Specs, or folders of specs.")],
    output_format: Annotated[
        Literal["text", "github"],
        option("--output-format", command="validate", help="With `github`, mistakes as its annotations too."),
    ] = "text",
) -> None:
    """Check specs for mistakes without running them."""
    from mqverify.cli import loading
    from mqverify.report.text import count

    with loading.mistakes_annotated(output_format == "github" or runs_on_github()):
        specs = loading.load(paths)
    typer.echo(f"{count(len(specs), 'spec')} without a mistake")
