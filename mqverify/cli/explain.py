"""`mqverify explain`: what a code, a guarantee, a fault or a setting means."""

from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    word: Annotated[
        str,
        typer.Argument(
            metavar="WORD",
            help="A code (MQ101), a guarantee (at_least_once), a fault (crash), a system (kafka) or a setting "
            "(kafka.retention).",
        ),
    ],
) -> None:
    """Explain a code, guarantee, fault or setting."""
    from mqverify import engine
    from mqverify.report.pages import page_of

    typer.echo(page_of(word, engine.registry()), nl=False)
