"""`mqverify init`: a first spec that works, and the schema that editors check it with."""

from pathlib import Path
from typing import Annotated

import typer

from mqverify.errors import UsageError

__all__ = ["init"]

_SPEC = "orders.yaml"
_SCHEMA = "mqverify.schema.json"

_TEXT = f"""\
# yaml-language-server: $schema={_SCHEMA}
# A spec says what you need from Kafka or Event Store, what is sent and handled, and what goes wrong meanwhile.
# `mqverify explain WORD` explains each word of it (settle, crash.point, kafka.retention, at_least_once).
spec: orders survive a consumer crash
about: Orders are keyed by order id. One of two consumers is killed in the middle of its work, and comes back.

workload:
  messages: 200
  keys: 20                    # order ids: the messages of one order have one send order
  consumers: 2
  handler: {{takes: 2ms}}
  settle: after_handling      # try: before_handling. Then Kafka loses the message in hand, and the check is red

backends:                     # each is simulated; `mqverify check -b kafka=local` runs the same on a real Kafka
  kafka:
    partitions: 4
    session_timeout: 6s
    heartbeat_interval: 1s
    auto_offset_reset: earliest
  eventstore:
    subscribe: persistent
    strategy: pinned

faults:
  - crash: consumer           # any one of them, at another moment in each of the runs
    when: {{handled: 20%..60%}}
    point: in_handler
    restart_after: 5s

expect:
  at_least_once: held
  durable: held
"""


def init(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="Where the spec is written.")] = "specs",
) -> None:
    """Write a first spec that works, with the schema for editors. Nothing is overwritten."""
    import json

    from mqverify import engine
    from mqverify.report.text import plain
    from mqverify.spec.schema import json_schema

    folder = Path(directory)
    texts = {_SPEC: _TEXT, _SCHEMA: json.dumps(json_schema(engine.registry()), indent=2) + "\n"}
    there = [name for name in texts if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise UsageError(f"{folder / there[0]} is there already, and nothing is overwritten: name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with (folder / name).open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from None
    path = plain(str(folder / _SPEC))
    typer.echo(
        f"{path} is a spec that works, {plain(str(folder / _SCHEMA))} is for your editor. Next:\n"
        f"  mqverify check {path}                  run it on the simulators\n"
        f"  edit `settle:` as its comment says, check again, and read the witness\n"
        f"  mqverify explain at_least_once         what a guarantee means\n"
        f"  mqverify list                          what else a spec can ask for"
    )
