"""`mqverify down`: the end of what `mqverify up` started."""

import sys
from typing import Annotated, Literal

import typer

__all__ = ["down"]


def down(
    system: Annotated[Literal["kafka"], typer.Argument(metavar="SYSTEM", help="kafka.")] = "kafka",
) -> None:
    """End what `mqverify up` started, and remove its data. It is no mistake if there is nothing."""
    from mqverify.backends.kafka.kept import take_down

    address = take_down(lambda message: typer.echo(f"mqverify: {message}", file=sys.stderr))
    typer.echo(f"Apache Kafka at {address} is down" if address else "no Apache Kafka was up")
