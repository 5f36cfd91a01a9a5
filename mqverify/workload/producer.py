"""The producer loop: send the plan's messages of one producer, in order. Plain blocking code, written once."""

from collections.abc import Sequence

from mqverify.workload.client import Context, ProducerClient

__all__ = ["SEND_COST", "produce"]

SEND_COST = 20_000
"""Nanoseconds of virtual time that one send costs the application."""


def produce(
    client: ProducerClient,
    context: Context,
    messages: Sequence[int],
    due: Sequence[int] | None,
    one_in_flight: bool,
) -> None:
    """Send `messages` in order, each not before its `due` time (nanoseconds since the run's start), then wait for all.

    A restarted producer is handed the messages after the last one that it invoked before.
    """
    sent = context.marker("sent")
    for number, message in enumerate(messages):
        if context.stopping():
            break
        wait = SEND_COST if due is None else max(SEND_COST, due[number] - context.now())
        context.sleep(wait)
        client.send(message)
        sent(message)
        if one_in_flight:
            client.wait()
    client.wait()
    client.close()
