"""`mqverify schema`: the JSON Schema of a spec, for editors."""

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of specs."""
    import json

    from mqverify import engine
    from mqverify.spec.schema import json_schema

    typer.echo(json.dumps(json_schema(engine.registry()), indent=2))
