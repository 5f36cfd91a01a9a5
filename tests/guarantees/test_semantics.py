"""The histories that tell readings of the guarantees apart (docs/meaning.md §5), and which tests hold them.

`HISTORIES` is the table: the number of a history, what it says, and the tests that say so. Histories that several
guarantees judge differently are here, so that they are seen side by side; the others are with their guarantee.
"""

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import MS, History

MEANING = Path(__file__).parents[2] / "docs" / "meaning.md"

HISTORIES: dict[int, dict[str, list[str]]] = {
    1: {
        "lost by commit-before-handle: MQ101 violated, not inconclusive": [
            "test_at_least_once.test_a_message_lost_by_committing_before_handling_is_violated_and_not_inconclusive",
        ],
    },
    2: {
        "a stuck consumer: MQ101 inconclusive, says who is stuck where; a duplicate violates; MQ134, MQ135 by T": [
            "test_semantics.test_a_stuck_consumer",
            "test_at_least_once.test_a_stuck_consumer_is_inconclusive_and_says_who_is_stuck_where",
            "test_handling_once.test_in_a_stuck_group_a_duplicate_already_seen_is_a_violation_and_a_missing_message_is_not",
            "test_recovery.test_a_stuck_consumer_is_violated_and_at_least_once_inconclusive",
            "test_blocking.test_as_long_as_allowed_is_none",
        ],
    },
    3: {
        "records vanish before the pass: MQ121 violated": [
            "test_durability.test_messages_that_vanish_before_time_passes_are_a_violation_however_old_they_get",
        ],
    },
    4: {
        "down longer than retention: MQ101 violated, expired before it was read; MQ121 held": [
            "test_at_least_once.test_a_group_down_for_longer_than_retention_lost_what_expired",
        ],
    },
    5: {
        "latest, started before the first send: everything is owed": [
            "test_at_least_once.test_a_group_that_starts_at_the_end_before_the_first_send_is_owed_everything",
        ],
        "started between two sends: the first is not": [
            "test_at_least_once.test_a_group_that_starts_at_the_end_between_two_sends_is_owed_the_second",
        ],
    },
    6: {
        "park acknowledged, parked place empty: MQ101 violated": [
            "test_eventstore.test_an_acknowledged_park_with_an_empty_parked_stream_is_violated",
            "test_at_least_once.test_an_acknowledged_park_with_an_empty_parked_place_is_violated",
        ],
        "the server parks by itself: held": ["test_eventstore.test_the_server_parks_by_itself"],
        "nack-retry, then handled: MQ131 held": [
            "test_eventstore.test_retried_by_nack_and_then_handled",
            "test_settling.test_a_nack_retry_settles_nothing_and_an_ack_after_handling_is_safe",
        ],
    },
    7: {
        "3 times out and lands after 4: MQ111, MQ112 not violated": [
            "test_per_key_ordering.test_a_time_out_that_lands_late_is_no_violation",
            "test_no_rewind.test_a_time_out_that_lands_late_is_none",
            "test_writes.test_a_time_out_may_land_at_any_time",
        ],
        "0 settled, crash, 1 2 again: MQ112 held": [
            "test_no_rewind.test_a_crash_repeats_what_was_delivered_and_not_handled",
        ],
        "2 handled, 1 starts again: violated": [
            "test_no_rewind.test_what_was_handled_after_it_makes_a_repetition_a_rewind",
        ],
        "0 sent again by the application, log 1 0: MQ111, MQ116 not violated": [
            "test_semantics.test_a_message_that_the_application_sends_again_comes_second",
            "test_per_key_ordering.test_a_message_that_the_application_sends_again_is_sent_when_the_acked_try_was",
        ],
    },
    8: {
        "eager rebalance: MQ113 held": ["test_per_partition_ordering.test_eager_rebalance_begins_a_new_tenure"],
        "a gap of a transaction marker: held": ["test_per_partition_ordering.test_a_gap_that_holds_no_message_is_none"],
    },
    9: {
        "two groups, one key: MQ115 not violated": [
            "test_exclusive_key_handling.test_two_groups_may_have_a_key_in_hand",
        ],
        "killed in the handler: not violated": [
            "test_exclusive_key_handling.test_a_killed_consumer_has_nothing_in_hand",
        ],
        "paused, resumed: violated": ["test_exclusive_key_handling.test_a_paused_consumer_still_has_it_in_hand"],
    },
    10: {
        "takes 0s, before against after handling: told apart": [
            "test_handling_once.test_settling_before_and_after_a_handling_that_takes_no_time_are_told_apart",
            "test_per_key_ordering.test_crash_between_settling_and_handling_is_told_apart_by_strictly_rising_times",
        ],
    },
    11: {
        "a zombie's rejected commit: MQ131 held; acked: violated": [
            "test_settling.test_a_zombies_commit_past_unhandled_messages_counts_only_if_acked",
        ],
        "a checkpoint past another shard's: held": [
            "test_settling.test_a_checkpoint_past_another_shards_messages_is_safe_and_past_its_own_is_not",
            "test_eventstore.test_a_checkpoint_past_another_shards_links",
        ],
        "a guilty commit, then a pass: still violated": [
            "test_settling.test_a_guilty_commit_stays_guilty_when_what_it_covered_expires",
        ],
        "a category consumer skips 1 and 2: MQ131 and MQ113 violated": [
            "test_eventstore.test_a_category_consumer_that_skips_links",
            "test_settling.test_a_category_consumer_that_skips_links_and_checkpoints_past_them_is_violated",
            "test_per_partition_ordering.test_leaving_out_a_message_is_violated",
        ],
    },
    12: {
        "commits 10, 40, restart at 10: MQ132 violated": [
            "test_settling.test_resuming_at_an_overwritten_commit_is_violated",
        ],
        "killed inside commit 40: either held": [
            "test_settling.test_after_a_crash_inside_a_commit_both_positions_are_legal",
        ],
        "commit 2 between question and start at 1: held": [
            "test_settling.test_a_commit_between_the_question_and_the_start_does_not_overwrite",
        ],
    },
    13: {
        "link revision 8412 of order-7@3: MQ105 and MQ125 held": [
            "test_semantics.test_a_links_revision_is_no_position",
            "test_integrity.test_a_link_in_a_category_is_where_its_event_lies",
            "test_eventstore.test_a_link_is_where_its_event_lies",
        ],
    },
    14: {
        "ten messages a second: MQ136 inconclusive": ["test_scaling.test_an_idle_system_is_inconclusive"],
        "six partitions, seven consumers: seven never work": [
            "test_scaling.test_more_consumers_than_partitions_is_violated",
        ],
    },
    15: {
        "a crash that fired in 24 of 25 runs": ["test_judging.test_a_crash_that_fired_in_24_of_25_runs_is_held_by_24"],
        "one that fired in none": [
            "test_judging.test_a_crash_that_fired_in_no_run_is_inconclusive_unless_a_run_violates",
        ],
    },
    16: {
        "an aborted transaction beside others: MQ101 and MQ121 held": [
            "test_at_least_once.test_an_aborted_transaction_is_owed_to_nobody",
        ],
    },
    17: {
        "a log that turns back: MQ123, MQ112, MQ124 latest violated; MQ116, MQ111, MQ124 fold held": [
            "test_semantics.test_a_log_that_turns_back",
            "test_no_rewind.test_a_log_that_turns_back_is_consumed_so",
            "test_durability.test_later_copies_break_the_latest_state_and_not_the_fold",
        ],
    },
    18: {
        "a paused zombie: refused, MQ103 and MQ104 held; a plain sink: violated": [
            "test_semantics.test_a_zombie_before_its_sink",
        ],
    },
}  # fmt: skip


def test_every_history_of_the_meaning_has_its_tests() -> None:
    section = MEANING.read_text(encoding="utf-8").split("\n## 5. ")[1]
    assert list(HISTORIES) == [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]


@pytest.mark.parametrize("number", HISTORIES)
def test_tests_of_a_history_are_there(number: int) -> None:
    for named in (name for tests in HISTORIES[number].values() for name in tests):
        module, test = named.split(".")
        assert callable(getattr(import_module(f"tests.guarantees.{module}"), test, None)), named


def test_a_stuck_consumer() -> None:
    """2."""
    history = History()
    history.group(drained=False, gave_up="consumer-1 tries message 0 of orders-0 for the 40th time")
    history.parameter("no_head_of_line_blocking", "within", 1_000 * MS)
    history.send(0, "a")
    history.send(1, "b")
    history.assign()
    history.deliver(0, result="failed")
    history.deliver(0, result="failed", at=2_000)
    assert history.verdict("no_head_of_line_blocking").verdict == "violated"
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "inconclusive"
    assert "consumer-1 tries message 0 of orders-0 for the 40th time" in verdict.reason
    history.send(2, "c", partition=1)
    history.handle(2, "consumer-2")
    history.handle(2, "consumer-3")
    assert history.verdict("at_least_once").verdict == "inconclusive"
    assert history.verdict("exactly_once").verdict == "violated"
    assert history.verdict("at_most_once").verdict == "violated"


@pytest.mark.parametrize("guarantee", ["per_key_ordering", "send_ordering"])
def test_a_message_that_the_application_sends_again_comes_second(guarantee: str) -> None:
    """7: beside two messages that are in order, so that something is put to the test."""
    history = History()
    history.send(0, outcome="unknown")
    history.send(1)
    history.send(0)
    history.send(2)
    history.handles([1, 0, 2])
    history.read([1, 0, 2])
    assert history.verdict(guarantee).verdict == "held"


@pytest.mark.parametrize("guarantee", ["integrity", "consistent_positions"])
def test_a_links_revision_is_no_position(guarantee: str) -> None:
    """13."""
    history = EventStoreHistory()
    for message in range(5):
        history.append(message, "7" if message < 4 else "8")
    history._links[history.category] = {3: 8412, 4: 3}
    for message in (3, 4):
        history.handled(message)
    history.look([3, 4])
    verdict = history.verdict(guarantee)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


@pytest.mark.parametrize(("guarantee", "state", "expected"), [
    ("no_duplicate_writes", "fold", "violated"),
    ("no_rewind", "fold", "violated"),
    ("send_ordering", "fold", "held"),
    ("per_key_ordering", "fold", "held"),
    ("consistent_positions", "fold", "held"),
    ("replayable", "latest", "violated"),
    ("replayable", "fold", "held"),
])  # fmt: skip
def test_a_log_that_turns_back(guarantee: str, state: str, expected: str) -> None:
    """17: written by a client that retried on its own, so each message was sent once."""
    log = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]
    history = History()
    history.parameter("replayable", "state", state)
    for message in range(5):
        history.send(message, position=log[5:].index(message) + 5)
    history.read_log([(message, position) for position, message in enumerate(log)], end=10)
    for position, message in enumerate(log):
        history.handle(message, position=position, source_position=position)
    assert history.verdict(guarantee).verdict == expected


@pytest.mark.parametrize("guarantee", ["exactly_once", "exactly_once_effects"])
@pytest.mark.parametrize(("sink", "expected"), [("transactional", "held"), ("plain", "violated")])
def test_a_zombie_before_its_sink(guarantee: str, sink: str, expected: str) -> None:
    """18: consumer-1 is paused in its handler, consumer-2 takes over, consumer-1 goes on."""
    refuses = sink == "transactional"
    history = History()
    history.setting("effects", "recorded")
    history.send(0)
    history.assign(start_from="sink")
    history.assign("consumer-2", start=0, start_from="sink" if refuses else "committed", at=50)
    history.effect(0, "consumer-2")
    history.handle(0, "consumer-2")
    history.deliver(0, at=10, started=11, ended=100, result="refused" if refuses else "handled")
    if not refuses:
        history.effect(0, at=99)
    assert history.verdict(guarantee).verdict == expected
