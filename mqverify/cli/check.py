"""`mqverify check`: run specs, judge them, report."""

from typing import Annotated, Literal

import typer

from mqverify.report.standard import ColorChoice, OutputFormat, Verbosity

__all__ = ["check"]

_LARGEST_SEED = 2**53
"""Larger integers are not safe in the JSON of other languages."""


def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Specs, or folders of specs.")],
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "-b",
            "--backend",
            envvar="MQVERIFY_BACKEND",
            show_envvar=False,
            metavar="NAME[=TARGET]",
            help="Only this backend: a label in the specs, or a system. With a target (kafka=local) on a real one. "
            "May be repeated.",
        ),
    ] = None,
    keyword: Annotated[
        str | None,
        typer.Option(
            "-k",
            envvar="MQVERIFY_KEYWORD",
            show_envvar=False,
            metavar="TEXT",
            help="Only specs with this text in their name or path.",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            envvar="MQVERIFY_TAG",
            show_envvar=False,
            metavar="TAG",
            help="Only specs with this tag. May be repeated.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            envvar="MQVERIFY_SEED",
            show_envvar=False,
            min=0,
            max=_LARGEST_SEED,
            metavar="N",
            help="Seed of the first run.",
        ),
    ] = 0,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            envvar="MQVERIFY_RUNS",
            show_envvar=False,
            min=1,
            metavar="N",
            help="Runs of each spec, with the seeds from --seed on.",
            show_default="what the spec says, else 25 simulated, 1 real",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            envvar="MQVERIFY_JOBS",
            show_envvar=False,
            min=1,
            metavar="N",
            help="Processes to work in.",
            show_default="one a core",
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("-x", "--fail-fast", help="Stop after the first spec that is not as expected.")
    ] = False,
    output_format: Annotated[
        OutputFormat,
        typer.Option(
            "--output-format",
            envvar="MQVERIFY_OUTPUT_FORMAT",
            show_envvar=False,
            help="What is printed on standard output.",
        ),
    ] = "text",
    report: Annotated[
        list[str] | None,
        typer.Option(
            "--report",
            envvar="MQVERIFY_REPORT",
            show_envvar=False,
            metavar="FORMAT=PATH",
            help="Write a report to a file: json, jsonl, junit, markdown or text. May be repeated.",
        ),
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 whatever the verdicts are; mistakes are still 2, bugs 4.")
    ] = False,
    fail_on: Annotated[
        Literal["violated", "inconclusive"],
        typer.Option(
            "--fail-on",
            envvar="MQVERIFY_FAIL_ON",
            show_envvar=False,
            help="With `violated`, a guarantee that was not decided does not fail.",
        ),
    ] = "inconclusive",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only failures and the summary.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Witnesses of expected violations, runs and their digests too.")
    ] = False,
    color: Annotated[
        ColorChoice,
        typer.Option(
            "--color", envvar="MQVERIFY_COLOR", show_envvar=False, help="NO_COLOR and FORCE_COLOR are heeded."
        ),
    ] = "auto",
) -> None:
    """Run specs on their backends and say which guarantees held.

    Without -b every backend of a spec is simulated. Exits with 0 when all is as the specs expect.
    An option with a value can also be given in the environment, such as MQVERIFY_SEED=7 or MQVERIFY_OUTPUT_FORMAT=json;
    -k is MQVERIFY_KEYWORD. Where one may be repeated, blanks separate the values.
    """
    from mqverify import engine
    from mqverify.cli import loading
    from mqverify.report import deliver, open_reports, standard_reports
    from mqverify.search.executors import make_executor

    verbosity: Verbosity = "quiet" if quiet else "verbose" if verbose else "normal"
    specs = loading.select(loading.load(paths), text=keyword, tags=tag or ())
    options = engine.Options(
        backends=tuple(_backend(text) for text in backend or ()),
        seed=seed,
        runs=runs,
        fail_fast=fail_fast,
        exit_zero=exit_zero,
        fail_on=fail_on,
    )
    sinks = [*open_reports(report or ()), *standard_reports(output_format, verbosity, color)]
    with make_executor(jobs) as executor:
        code = deliver(engine.check(specs, options, executor), sinks)
    raise typer.Exit(code)


def _backend(text: str) -> tuple[str, str | None]:
    name, separator, target = text.partition("=")
    return name, target if separator else None
