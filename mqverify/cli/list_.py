"""`mqverify list`: everything a spec can name."""

import typer

__all__ = ["list_"]


def list_() -> None:
    """List guarantees, faults and systems."""
    from mqverify import engine
    from mqverify.report.pages import listing

    typer.echo(listing(engine.registry()), nl=False)
