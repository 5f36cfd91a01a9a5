"""`mqverify contents`: a table of contents of specs, as Markdown."""

from typing import Annotated

import typer

__all__ = ["contents"]


def contents(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Folders of specs, or specs: a section each.")],
    relative_to: Annotated[
        str, typer.Option(metavar="FOLDER", help="The folder that the page is to stand in, for its links.")
    ] = ".",
) -> None:
    """Print a page of all claims, findings and expected verdicts of specs, backend by backend."""
    from mqverify.cli import loading
    from mqverify.report.contents import page

    typer.echo(page([(path, loading.load([path])) for path in paths], relative_to), nl=False)
