"""`mqverify up`: a local Kafka that stays."""

import sys
from typing import Annotated, Literal

import typer

from mqverify.cli.options import option

__all__ = ["up"]


def up(
    system: Annotated[Literal["kafka"], typer.Argument(metavar="SYSTEM", help="kafka.")] = "kafka",
    brokers: Annotated[
        int | None,
        option("--brokers", command="up", min=1, max=5, metavar="N", help="How many.", show_default="1"),
    ] = None,
    port: Annotated[
        int | None,
        option(
            "--port", command="up", min=1024, max=65000, metavar="N",
            help="Port of the first broker; others follow.", show_default="any that is free",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Start a local Kafka that runs until `mqverify down`, so that checks need not wait for it.

    If it is up already, its address is printed again. It is for tests: on loopback only, without security.
    """
    from mqverify.backends.base import brokers_in_words
    from mqverify.backends.kafka.kept import bring_up
    from mqverify.report.text import plain

    cluster, is_new = bring_up(brokers, port, lambda message: typer.echo(f"mqverify: {message}", file=sys.stderr))
    many = brokers_in_words(len(cluster.numbers()))
    typer.echo(
        f"Apache Kafka {cluster.version} is up{'' if is_new else ' already'}: {many} at {cluster.bootstrap}\n"
        f"  use it      mqverify check PATHS -b {system}={cluster.bootstrap}\n"
        f"  look        mqverify doctor -b {system}={cluster.bootstrap}\n"
        f"  its logs    {plain(str(cluster.folder))}\n"
        f"  end it      mqverify down"
    )
    cluster.close()
