"""One mistake in a spec: where it is, what is wrong, what to do."""

from dataclasses import dataclass

__all__ = ["Diagnostic"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake, or a warning, at a place of a spec. Line and column are 1-based, columns count characters."""

    code: str
    """`MQ0xx` for the file and its YAML, `MQ2xx` for words of a spec, `MQ3xx` for backends and settings."""
    message: str
    file: str
    line: int
    column: int
    width: int = 1
    """How many characters the carets underline."""
    source_line: str = ""
    help: str | None = None
    severity: str = "error"
    """`error` or `warning`."""
