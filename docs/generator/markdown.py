"""Templates, and how texts are put into Markdown."""

import re
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mqverify.report.markup import prose

__all__ = ["NOTE", "code", "fence", "listed", "render", "slug"]

NOTE = "<!-- made by `make docs`: change what it is made from, not this page -->"
"""Begins every generated page."""


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
