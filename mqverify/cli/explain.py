"""`mqverify explain`: what a code, a guarantee, a fault, a setting or a word of a spec means."""

from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    word: Annotated[
        str,
        typer.Argument(
            metavar="WORD",
            help="A code (MQ101), a guarantee (at_least_once), a fault (crash), a system (kafka), a setting "
            "(kafka.retention) or any other word of a spec (settle, workload.handler, crash.when).",
        ),
    ],
) -> None:
    """Explain a code, guarantee, fault, setting or word of a spec."""
    from mqverify import engine
    from mqverify.report.pages import page_of

    typer.echo(page_of(word, engine.registry()), nl=False)
