"""The producer loop: send the plan's messages of one producer, in order. Plain blocking code, written once."""

from collections.abc import Sequence
from dataclasses import dataclass

from mqverify.workload.client import Context, ProducerClient, Unsure

__all__ = ["SEND_COST", "ProducerDuties", "produce"]

SEND_COST = 20_000
"""Nanoseconds of virtual time that one send costs the application."""


_RETRY_PAUSE = 100_000_000
_MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class ProducerDuties:
    """What one incarnation of a producer is to send."""

    messages: Sequence[int]
    """A restarted producer goes on after the last one that an earlier incarnation invoked."""
    due: Sequence[int] | None = None
    """Of each message the time (nanoseconds since the run's start) before which it is not sent."""
    one_in_flight: bool = False
    retry_unsure: bool = False
    """`on_unknown: retry`: send again what may not have arrived."""
    unsure: Sequence[Unsure] = ()
    """What earlier incarnations left in doubt."""


def produce(client: ProducerClient, context: Context, duties: ProducerDuties) -> None:
    """Send everything in order, then wait for all outcomes."""
    sent, stopping, sleep, send = context.marker("sent"), context.stopping, context.sleep, client.send
    due, one_in_flight, retries = duties.due, duties.one_in_flight, duties.retry_unsure
    if retries:
        _send_again(client, context, duties.unsure)
    for number, message in enumerate(duties.messages):
        if stopping():
            break
        sleep(SEND_COST if due is None else max(SEND_COST, due[number] - context.now()))
        send(message)
        sent(message)
        if one_in_flight:
            client.wait()
        if retries:
            _retry(client, context)
    client.wait()
    if retries:
        _retry(client, context)
    client.close()


def _retry(client: ProducerClient, context: Context) -> None:
    """Send again what is in doubt, until it is no more, or has been tried often enough."""
    while client.unsure:
        unsure = [one for one in client.unsure if one[1] < _MOST_TRIES]
        client.unsure.clear()
        context.sleep(_RETRY_PAUSE)
        _send_again(client, context, unsure)


def _send_again(client: ProducerClient, context: Context, unsure: Sequence[Unsure]) -> None:
    for message, tries, expected in unsure:
        context.sleep(SEND_COST)
        client.send(message, tries + 1, expected)
        client.wait()
