"""Specs from the command line: read, warned of, and chosen."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mqverify.errors import SpecError, UsageError

if TYPE_CHECKING:
    from mqverify.spec.model import Spec

__all__ = ["backend_of", "load", "mistakes_annotated", "one", "select"]


def load(paths: Sequence[str]) -> "Sequence[Spec]":
    """All specs of the paths; warnings go to standard error. Raises SpecError with every mistake of every file."""
    from mqverify import engine
    from mqverify.spec.load import load as load_specs

    loaded = load_specs(paths, engine.registry())
    for warning in loaded.warnings:
        from mqverify.spec.render import render

        sys.stderr.write(f"{render(warning)}\n\n")
    return loaded.specs


@contextmanager
def mistakes_annotated(wanted: bool) -> Iterator[None]:
    """What is wrong with specs stands on standard output as annotations of GitHub too, if that is wanted."""
    try:
        yield
    except SpecError as error:
        if wanted:
            from mqverify.report.github import annotate_mistakes

            annotate_mistakes(error.diagnostics, sys.stdout)
        raise


def one(path: str) -> "Spec":
    """The one spec of a file. Raises as `load` does, and UsageError for a folder of several."""
    specs = load([path])
    if len(specs) != 1:
        raise UsageError(f"{path} holds {len(specs)} specs: name the file of one")
    return specs[0]


def select(specs: "Sequence[Spec]", *, text: str | None = None, tags: Sequence[str] = ()) -> "Sequence[Spec]":
    """Those with the text in their name or path, in any case, and with one of the tags. None left is a UsageError."""
    wanted = (text or "").casefold()
    chosen = [
        spec
        for spec in specs
        if (wanted in spec.name.casefold() or wanted in spec.file.casefold())
        and (not tags or any(tag in spec.tags for tag in tags))
    ]
    if not chosen:
        asked = [f"-k {text}"] * bool(text) + [f"--tag {tag}" for tag in tags]
        raise UsageError(f"none of the {len(specs)} specs matches {' '.join(asked) or 'the paths'}; nothing was run")
    return chosen


def backend_of(text: str) -> tuple[str, str | None]:
    """`kafka=local` → its name and its target, which is None where there is none."""
    name, separator, target = text.partition("=")
    return name, target if separator else None
