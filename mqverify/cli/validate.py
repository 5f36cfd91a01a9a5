"""`mqverify validate`: find the mistakes in specs, run nothing."""

from typing import Annotated

import typer

__all__ = ["validate"]


def validate(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Specs, or folders of specs.")],
) -> None:
    """Check specs for mistakes without running them."""
    from mqverify.cli import loading
    from mqverify.report.text import count

    typer.echo(f"{count(len(loading.load(paths)), 'spec')} without a mistake")
