"""`mqverify check`: run specs, judge them, report."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mqverify.cli import options as common
from mqverify.cli.options import duration, option
from mqverify.errors import UsageError
from mqverify.report.standard import (
    ColorChoice,
    OutputFormat,
    Verbosity,
    runs_on_github,
    tell_on_stderr,
    told_as_output_error,
    wants_color,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqverify.engine import Options
    from mqverify.spec.model import Spec

__all__ = ["check"]


def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Specs, or folders of specs.")],
    backend: Annotated[
        list[str] | None,
        option(
            "-b",
            "--backend",
            metavar="NAME[=TARGET]",
            help="Only this backend: a label in the specs, or a system. With a target on a real one: kafka=local is "
            "started for the check, kafka=HOST:PORT[,HOST:PORT] is there. May be repeated.",
        ),
    ] = None,
    keyword: Annotated[str | None, common.keyword()] = None,
    tag: Annotated[list[str] | None, common.tag()] = None,
    seed: Annotated[int, common.first_seed()] = 0,
    runs: Annotated[
        int | None,
        option(
            "--runs",
            min=1,
            metavar="N",
            help="Runs of each spec, with the seeds from --seed on.",
            show_default="what the spec says, else 25 simulated, 1 real",
        ),
    ] = None,
    max_time: Annotated[
        int | None,
        option(
            "--max-time",
            parser=duration,
            metavar="DURATION",
            help="Begin no run after this time, such as 90s or 10m; what was not run is inconclusive.",
        ),
    ] = None,
    jobs: Annotated[int | None, common.jobs()] = None,
    profile: Annotated[str | None, common.profile()] = None,
    allow_broker_faults: Annotated[bool, common.allow_broker_faults()] = False,
    fail_fast: Annotated[
        bool, typer.Option("-x", "--fail-fast", help="Stop after the first spec that is not as expected.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run, as text or json; run nothing, write no report.")
    ] = False,
    output_format: Annotated[
        OutputFormat, option("--output-format", help="What is printed on standard output.")
    ] = "text",
    report: Annotated[
        list[str] | None,
        option(
            "--report",
            metavar="FORMAT=PATH",
            help="Write a report to a file: json, jsonl, junit, markdown or text. May be repeated.",
        ),
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 whatever the verdicts are; mistakes are still 2, bugs 4.")
    ] = False,
    fail_on: Annotated[
        Literal["violated", "inconclusive"],
        option("--fail-on", help="With `violated`, a guarantee that was not decided does not fail."),
    ] = "inconclusive",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only failures and the summary.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", help="Witnesses of expected violations, runs and their digests, the slowest specs too."
        ),
    ] = False,
    color: Annotated[ColorChoice, common.color()] = "auto",
) -> None:
    """Run specs on their backends and say which guarantees held.

    Without -b every backend of a spec is simulated. Exits with 0 when all is as the specs expect.
    An option with a value can also be given in the environment, such as MQVERIFY_SEED=7 or MQVERIFY_OUTPUT_FORMAT=json;
    -k is MQVERIFY_KEYWORD. Where one may be repeated, blanks separate the values. Defaults for a project stand in
    [tool.mqverify] of its pyproject.toml, or in mqverify.toml: seed = 7, output-format = "json".
    """
    from mqverify import engine
    from mqverify.backends.base import silent
    from mqverify.cli import loading
    from mqverify.report import deliver, open_reports, standard_reports
    from mqverify.search.executors import make_executor

    verbosity: Verbosity = "quiet" if quiet else "verbose" if verbose else "normal"
    with loading.mistakes_annotated(output_format == "github" or (output_format == "text" and runs_on_github())):
        specs = loading.select(loading.load(paths), text=keyword, tags=tag or ())
    options = engine.Options(
        backends=tuple(loading.backend_of(text) for text in backend or ()),
        seed=seed,
        runs=runs,
        fail_fast=fail_fast,
        exit_zero=exit_zero,
        fail_on=fail_on,
        max_time=max_time,
        jobs=jobs,
        verbose=verbose,
        allow_broker_faults=allow_broker_faults,
        profile=profile,
        tell=silent if quiet else tell_on_stderr,
    )
    if dry_run:
        _show_plan(specs, options, output_format, color)
        return
    reports = [*open_reports(report or ()), *standard_reports(output_format, verbosity, color)]
    with make_executor(jobs) as executor:
        code = deliver(engine.check(specs, options, executor), reports)
    raise typer.Exit(code)


def _show_plan(specs: "Sequence[Spec]", options: "Options", output_format: OutputFormat, color: ColorChoice) -> None:
    from mqverify import engine
    from mqverify.report.plan import write_plan, write_plan_as_json

    if output_format not in ("text", "json"):
        raise UsageError(f"--dry-run prints text or json; it has no --output-format {output_format}")
    planned = engine.plan(specs, options)
    with told_as_output_error():
        if output_format == "json":
            write_plan_as_json(planned, options.seed, sys.stdout)
        else:
            write_plan(planned, options.seed, sys.stdout, color=wants_color(color, sys.stdout))
