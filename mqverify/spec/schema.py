"""The JSON Schema of a spec: what editors complete, describe on hover, and underline."""

from typing import Any

from mqverify.spec.document import document_schema
from mqverify.spec.registry import Registry

__all__ = ["json_schema"]


def json_schema(registry: Registry) -> dict[str, Any]:
    """A schema of draft 2020-12 that takes every way to write a spec and refuses unknown words.

    It knows what stands alone; contradictions between words only `mqverify validate` finds.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mqverify spec",
        "description": "What a team needs of its messaging, and what may go wrong: one spec a file",
        **document_schema(registry),
    }
