"""`mqverify trace`: one run, event by event."""

import sys
from typing import Annotated, Literal

import typer

from mqverify.cli import options as common
from mqverify.cli.options import LARGEST_SEED, option
from mqverify.report.standard import ColorChoice, tell_on_stderr, told_as_output_error, wants_color

__all__ = ["trace"]

_SHOWN = 200


def trace(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec's file.")],
    backend: Annotated[
        str | None,
        option(
            "-b",
            "--backend",
            command="trace",
            metavar="NAME[=TARGET]",
            help="Which backend, where the spec has several; with a target on a real one, as `check` takes it.",
        ),
    ] = None,
    seed: Annotated[
        int, option("--seed", command="trace", min=0, max=LARGEST_SEED, metavar="N", help="Which run.")
    ] = 0,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Only what concerns messages of this key. May be repeated."),
    ] = None,
    message: Annotated[
        list[int] | None,
        typer.Option("--message", metavar="N", help="Only what concerns the message of this number. May be repeated."),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option("--worker", metavar="NAME", help="Only what this worker does, and the faults."),
    ] = None,
    limit: Annotated[
        int | None,
        option(
            "--limit", command="trace", min=1, metavar="N", help="The first N events.", show_default="200, all as JSON"
        ),
    ] = None,
    profile: Annotated[str | None, common.profile("trace")] = None,
    allow_broker_faults: Annotated[bool, common.allow_broker_faults()] = False,
    output_format: Annotated[
        Literal["text", "json"], option("--output-format", command="trace", help="What is printed on standard output.")
    ] = "text",
    color: Annotated[ColorChoice, common.color("trace")] = "auto",
) -> None:
    """Show what happened in one run, as a timeline: sends, deliveries, settlements, assignments, faults.

    Simulated, it is the run that `mqverify check SPEC -b NAME --seed N --runs 1` judges, held or violated. A real run
    cannot be repeated: this is a new one. Nothing is judged here.
    An option with a value can also be given in the environment, such as MQVERIFY_TRACE_LIMIT=1000.
    """
    from mqverify.cli import loading
    from mqverify.report.trace import write_trace, write_trace_as_json
    from mqverify.worlds.tracing import Wanted
    from mqverify.worlds.tracing import trace as trace_run

    shown = limit if limit or output_format == "json" else _SHOWN
    found = trace_run(
        loading.one(spec),
        None if backend is None else loading.backend_of(backend),
        seed,
        Wanted(key or (), message or (), worker, shown),
        breaks_brokers=allow_broker_faults,
        profile=profile,
        tell=tell_on_stderr,
    )
    with told_as_output_error():
        if output_format == "json":
            write_trace_as_json(found, sys.stdout)
        else:
            write_trace(found, sys.stdout, color=wants_color(color, sys.stdout))
