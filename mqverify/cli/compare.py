"""`mqverify compare`: the same specs in both worlds, side by side."""

import os
import sys
from typing import Annotated, Literal

import typer

from mqverify.cli import options as common
from mqverify.cli.options import option
from mqverify.errors import UsageError
from mqverify.report.standard import ColorChoice, tell_on_stderr, told_as_output_error, wants_color

__all__ = ["compare"]


def compare(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Specs, or folders of specs.")],
    worlds: Annotated[
        bool, typer.Option("--worlds", help="Run each spec simulated and on the real system that -b names.")
    ] = False,
    backend: Annotated[
        list[str] | None,
        option(
            "-b",
            "--backend",
            command="compare",
            metavar="NAME=TARGET",
            help="Which backend, and the real system to hold against its simulator: kafka=local. May be repeated.",
        ),
    ] = None,
    keyword: Annotated[str | None, common.keyword("compare")] = None,
    tag: Annotated[list[str] | None, common.tag("compare")] = None,
    seed: Annotated[int, common.first_seed("compare")] = 0,
    runs: Annotated[
        int | None,
        option(
            "--runs",
            command="compare",
            min=1,
            metavar="N",
            help="Runs of each spec in each world, with the seeds from --seed on.",
            show_default="what the spec says, else 25 simulated, 1 real",
        ),
    ] = None,
    jobs: Annotated[int | None, common.jobs("compare")] = None,
    profile: Annotated[str | None, common.profile("compare")] = None,
    allow_broker_faults: Annotated[bool, common.allow_broker_faults()] = False,
    known: Annotated[
        str | None,
        option(
            "--known",
            command="compare",
            metavar="FILE",
            help="Differences that are known: a Markdown file with a table of spec, guarantee and why.",
        ),
    ] = None,
    output_format: Annotated[
        Literal["text", "json"],
        option("--output-format", command="compare", help="What is printed on standard output."),
    ] = "text",
    color: Annotated[ColorChoice, common.color("compare")] = "auto",
) -> None:
    """Run specs in the simulated world and on a real system, and say how many verdicts agree.

    Each that does not is shown with both witnesses. An expected violation that the real system did not show is no
    agreement; what either world does not support is counted apart. Exits with 0 when all agree or are known not to,
    with 1 when one disagrees, with 3 when one was not decided or there was nothing to compare.
    """
    from mqverify import engine
    from mqverify.cli import loading
    from mqverify.engine.compare import compare_worlds, read_known
    from mqverify.report.compare import write_comparison, write_comparison_as_json
    from mqverify.report.progress import ProgressReport
    from mqverify.search.executors import make_executor

    if not worlds:
        raise UsageError("what is to be compared? There is --worlds: mqverify compare SPECS --worlds -b kafka=local")
    differences = read_known(known) if known else []
    specs = loading.select(loading.load(paths), text=keyword, tags=tag or ())
    options = engine.Options(
        backends=tuple(loading.backend_of(text) for text in backend or ()),
        seed=seed,
        runs=runs,
        jobs=jobs,
        allow_broker_faults=allow_broker_faults,
        profile=profile,
        tell=tell_on_stderr,
    )
    progress = ProgressReport(sys.stderr, color=wants_color(color, sys.stderr), bar=not os.environ.get("CI"))
    try:
        with make_executor(jobs) as executor:
            comparison = compare_worlds(specs, options, executor, differences, progress.handle)
    finally:
        progress.close()
    with told_as_output_error():
        if output_format == "json":
            write_comparison_as_json(comparison, sys.stdout)
        else:
            write_comparison(comparison, sys.stdout, color=wants_color(color, sys.stdout))
    raise typer.Exit(comparison.exit_code)
