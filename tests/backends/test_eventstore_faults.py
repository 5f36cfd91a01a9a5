"""What an administrator does, and what workers make of lost replies and cuts: whole runs, and their histories."""

from typing import Any

import pytest

from mqverify.history.recorder import RunRows
from tests.worlds.helpers import findings, run, table

SPEC = """
spec: event store's faults
workload: {{messages: 80, keys: 4, consumers: 2, handler: {{takes: 2ms{handler}}}, rate: 400/s{workload}}}
backends:
  persistent: {{system: eventstore, strategy: round_robin, message_timeout: 4s, max_retry_count: 2}}
  one: {{system: eventstore, stream: one, message_timeout: 4s}}
  catch_up: {{system: eventstore, subscribe: catch_up}}
  all: {{system: eventstore, subscribe: catch_up, read: all}}
faults: {faults}
expect: {{at_least_once: held, at_most_once: held, durable: held, durable_past_retention: held, settle_safety: held,
          idempotent_append: held, optimistic_concurrency: held, integrity: held}}
"""


class Run:
    """One run of the spec on a backend, and what its guarantees find."""

    def __init__(self, label: str, faults: str, workload: str = "", handler: str = "", seed: int = 0) -> None:
        self.text = SPEC.format(faults=faults, workload=workload, handler=handler)
        self.rows, self.outcome = run(self.text, seed, label)
        assert self.outcome.drained, self.outcome.give_up_reason
        self.took_effect = [took for _, _, took, _ in self.outcome.faults]
        self.why_not = [why for _, _, _, why in self.outcome.faults]
        self.violated = {name: found.violations for name, found in findings(self.text, seed, label).items()}

    def rows_of(self, name: str) -> list[dict[str, Any]]:
        return table(self.rows, name)

    def truncated(self) -> dict[str, int]:
        """Of each stream what may be gone of it, as the history says."""
        names = self.rows.place_names
        return {
            names[row["place"]]: int(row["value"])
            for row in self.rows_of("settings")
            if row["name"] == "truncate_before" and row["place"] is not None
        }


# --- lost replies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", ["any", "exact"])
def test_c1_appends_whose_replies_are_lost_are_acknowledged_once_esdbclient_has_sent_them_again(expected: str) -> None:
    faults = ", ".join(f"{{lose: ack, of: producer, when: {{acked: {acked}}}}}" for acked in (20, 40, 60))
    found = Run("catch_up", f"[{faults}]", f", expected_revision: {expected}")
    assert found.took_effect == [True] * 3
    assert {row["outcome"] for row in found.rows_of("sends")} == {"acked"}
    slow = [row for row in found.rows_of("sends") if row["completed_at"] - row["invoked_at"] > 100_000_000]
    assert len(slow) == 3
    assert sorted(row["message"] for row in found.rows_of("log") if row["reading"] == 0) == list(range(80)), "each once"
    for guarantee in ("idempotent_append", "optimistic_concurrency", "durable", "at_least_once"):
        assert found.violated[guarantee] == 0


def test_a_consumer_whose_connection_breaks_over_an_ack_subscribes_again_and_nothing_is_lost() -> None:
    found = Run("persistent", "[{lose: ack, of: consumer, when: {handled: 20}}]")
    assert found.took_effect == [True]
    assert [row["change"] for row in found.rows_of("assignments")].count("lost") == 1
    assert (found.violated["at_least_once"], found.violated["settle_safety"]) == (0, 0)


# --- cuts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["persistent", "catch_up", "all"])
@pytest.mark.parametrize("one_way", ["", ", one_way: true"])
@pytest.mark.parametrize("ends", ["consumer-1, broker", "broker, consumer-1"])
def test_a7_consumers_live_through_a_cut(label: str, one_way: str, ends: str) -> None:
    """The node drops them after 20 s; they subscribe again from where they were."""
    name = ends.replace("consumer-1", "all consumers")
    found = Run(label, f"[{{cut: [{name}], for: 40s{one_way}, when: {{handled: 20}}}}]")
    assert found.took_effect == [True]
    assert "lost" in {row["change"] for row in found.rows_of("assignments")}
    assert (found.violated["at_least_once"], found.violated["durable"]) == (0, 0)


def test_consumers_that_start_behind_a_cut_begin_once_it_is_lifted() -> None:
    found = Run("catch_up", "[{cut: [all consumers, broker], for: 70s, when: {time: 0s}}]")
    assert found.violated["at_least_once"] == 0


# --- deleted streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "stream"), [("catch_up", "orders-key-1"), ("one", "orders")])
@pytest.mark.parametrize("name", ["key-1", "stream"])
def test_a_key_names_the_stream_that_holds_it(label: str, stream: str, name: str) -> None:
    found = Run(label, f"[{{delete_stream: {stream if name == 'stream' else name}, when: drained}}]")
    assert found.took_effect == [True]
    in_it = [row for row in found.rows_of("sends") if found.rows.place_names[row["partition"]] == stream]
    assert found.truncated() == {stream: len(in_it)}


def test_c3_what_was_deleted_is_legally_gone_and_all_the_same_not_there_for_ever() -> None:
    found = Run("catch_up", "[{delete_stream: key-1, when: drained}]")
    assert (found.violated["at_least_once"], found.violated["durable"]) == (0, 0)
    assert found.violated["durable_past_retention"] == found.truncated()["orders-key-1"]


def test_c3_a_deleted_stream_goes_on_behind_its_last_number() -> None:
    found = Run("catch_up", "[{delete_stream: key-1, when: {acked: 40}}]")
    end = [row["reading"] for row in found.rows_of("readings") if (row["reader"], row["reason"]) == ("stream", "end")]
    place = found.rows.place_names.index("orders-key-1")
    read = [row["position"] for row in found.rows_of("log") if (row["reading"], row["partition"]) == (end[0], place)]
    assert read[0] == found.truncated()["orders-key-1"]
    assert (found.violated["durable"], found.violated["integrity"]) == (0, 0)


def test_all_shows_a_deleted_stream_until_a_scavenge() -> None:
    for faults, gone in (("", 0), (", {scavenge: , when: drained}", -1)):
        found = Run("all", f"[{{delete_stream: key-1, when: drained}}{faults}]")
        deleted = found.truncated()["orders-key-1"]
        assert found.violated["durable_past_retention"] == (0 if gone == 0 else deleted - 1), "the last record stays"
        assert (found.violated["at_least_once"], found.violated["durable"]) == (0, 0)


def test_c1_two_writers_who_find_a_stream_deleted_expect_none_and_begin_it_again() -> None:
    found = Run(
        "catch_up",
        "[{delete_stream: key-1, when: {acked: 40}}]",
        ", expected_revision: exact, writers_per_key: 2, producers: 2",
    )
    assert found.violated["optimistic_concurrency"] == 0


def test_what_is_not_there_cannot_be_deleted() -> None:
    found = Run("catch_up", "[{delete_stream: nobody, when: drained}]")
    assert (found.took_effect, found.why_not) == ([False], ["the run has no key and no stream nobody"])
    assert found.truncated() == {}


def test_a_scavenge_of_what_nobody_marked_takes_no_effect() -> None:
    found = Run("all", "[{scavenge: , when: drained}]")
    assert found.took_effect == [False]
    assert found.why_not == ["nothing of the run had expired or been deleted, so there was nothing to remove"]


# --- parked events ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["persistent", "one"])
def test_a5_replayed_events_come_again_with_no_retries_counted(label: str) -> None:
    found = Run(label, "[{replay_parked: , when: drained}]", handler=", poison: 1 in 10, on_failure: park")
    assert found.took_effect == [True]
    tried = [row for row in found.rows_of("deliveries") if row["result"] == "failed"]
    poison = {row["message"] for row in tried}
    assert poison
    assert len(tried) == 2 * len(poison), "each once, and once more when it was replayed"
    assert {row["redelivered"] for row in tried} == {0}
    at_end = max(row["reading"] for row in found.rows_of("log") if row["place"] == "parked")
    parked = [row["message"] for row in found.rows_of("log") if (row["place"], row["reading"]) == ("parked", at_end)]
    assert sorted(parked) == sorted(poison), "parked again"
    assert (found.violated["at_least_once"], found.violated["settle_safety"]) == (0, 0)


@pytest.mark.parametrize(("label", "known"), [("persistent", False), ("one", True)])
def test_where_a_replayed_event_lay_along_links_is_not_known(label: str, known: bool) -> None:
    """A consumer sees the link of the parked stream, not that of the category."""
    found = Run(label, "[{replay_parked: , when: drained}]", handler=", poison: 1 in 10, on_failure: park")
    failed = [row for row in found.rows_of("deliveries") if row["result"] == "failed"]
    again = failed[len(failed) // 2 :]
    assert [row["source_position"] for row in again] == [row["position"] if known else None for row in again]


def test_nothing_parked_is_nothing_replayed() -> None:
    found = Run("persistent", "[{replay_parked: , when: drained}]")
    assert (found.took_effect, found.why_not) == ([False], ["nothing was parked for group"])


def test_the_same_run_has_the_same_history() -> None:
    faults = (
        "[{cut: [consumer-1, broker], for: 30s, when: {handled: 20}}, {delete_stream: key-1, when: {acked: 40}}, "
        "{lose: ack, of: producer, when: {acked: 20}}, {scavenge: , when: drained}]"
    )
    text = SPEC.format(faults=faults, workload="", handler="")
    digests = [rows.digest() for rows in (run(text, 3, "persistent")[0] for _ in range(2))]
    assert digests[0] == digests[1]
    assert isinstance(run(text, 3, "persistent")[0], RunRows)
