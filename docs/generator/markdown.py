"""Templates, and how texts are put into Markdown."""

import re
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["NOTE", "code", "fence", "listed", "prose", "render", "slug"]

NOTE = "<!-- made by `make docs`: change what it is made from, not this page -->"
"""Begins every generated page."""

_SPAN = re.compile(r"(`[^`]*`)")
_MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\*[]<>|#"})


def prose(text: str) -> str:
    """A text of ours in a paragraph or a cell: nothing in it is markup but its code spans."""
    parts = _SPAN.split(" ".join(text.split()))
    return "".join(part.replace("|", "\\|") if part.startswith("`") else part.translate(_MARKUP) for part in parts)


def code(text: str) -> str:
    """A code span, or nothing; in a cell too."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def listed(words: Iterable[str]) -> str:
    """Code spans with commas between them."""
    return ", ".join(map(code, words))


def fence(text: str, language: str = "") -> str:
    """A block that shows the text as it is."""
    return f"```{language}\n{text.rstrip()}\n```"


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def render(template: str, **facts: Any) -> str:
    return _TEMPLATES.get_template(template).render(facts)


_TEMPLATES = Environment(
    loader=PackageLoader("docs.generator"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # this is Markdown, not HTML: `prose` is the escape
)
_TEMPLATES.globals["note"] = NOTE
_TEMPLATES.filters |= {"prose": prose, "code": code, "listed": listed, "fence": fence, "slug": slug}
