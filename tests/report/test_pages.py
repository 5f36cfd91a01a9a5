"""Everything that a spec can name has a page, and the pages say what the registries say."""

from dataclasses import replace
from typing import Annotated

import pytest
from pydantic import create_model

from mqverify import engine
from mqverify.errors import UsageError
from mqverify.report.pages import listing, page_of
from mqverify.spec.codes import CODES
from mqverify.spec.registry import Registry, Setting, System, settings_of


@pytest.fixture(scope="module")
def registry() -> Registry:
    return engine.registry()


def test_all_that_can_be_named_has_a_page_and_is_listed(registry: Registry) -> None:
    guarantees = registry.guarantees.values()
    listed = listing(registry).split()
    names = [*registry.guarantees, *(one.code for one in guarantees), *registry.fault_kinds, *registry.systems, *CODES]
    for name in names:
        assert name in page_of(name, registry) or registry.systems[name].title in page_of(name, registry)
        assert name in listed
    for system in registry.systems.values():
        for name, setting in settings_of(system.model).items():
            page = page_of(f"{system.name}.{name}", registry)
            assert page.startswith(f"{system.name}.{name}\n")
            assert setting.native is None or setting.native in page


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("kafka.retention", "default:    7d"),
        ("kafka.retention.ms", "default:    7d"),
        ("kafka.retention", "native:     retention.ms"),
        ("retention", "kafka.retention\n"),
        ("retention.ms", "kafka.retention\n"),
        ("max_age", "eventstore.max_age\n"),
        ("strategy", "default:    dispatch_to_single"),
        ("consumer_strategy", "eventstore.strategy\n"),
        ("mq101", "MQ101 at_least_once"),
        ("at_least_once", "violations:"),
        ("MQ134", "within"),
        ("crash", "SIGKILL"),
        ("faults.crash", "SIGKILL"),
        ("settle", "when a consumer tells the broker that it is done"),
        ("workload.settle", "default:    after_handling"),
        ("every", "workload.settle.every"),
        ("joins", "values:     start, drained"),
        ("crash.when", "default:    at once"),
        ("expect", "at_least_once"),
        ("kafka.partition_assignment_strategy", "missing:    sticky, cooperative_sticky"),
        ("kafka.partition_assignment_strategy", "round_robin, sticky, cooperative_sticky\n"),
        ("kafka.partition_assignment_strategy", "default:    [range, round_robin]"),
        ("kafka.partitions", "values:     a whole number, from 1 to 10000; per_key\n"),
        ("kafka.retention", "values:     a duration, from 0s; unlimited\n"),
        ("kafka.segment_bytes", "values:     a size, from 1MiB to "),
        ("eventstore.stream", "values:     per_key, one, per_key % N\n"),
        ("MQ132", "untested:   no "),
        ("cut", "one_way"),
        ("crash", "a fault of a node comes with a later version"),
        ("MQ203", "wrong:"),
    ],
)
def test_says_what_one_wants_to_know(word: str, says: str, registry: Registry) -> None:
    assert says in page_of(word, registry)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("at_leest_once", "at_least_once"),
        ("kafka.retentoin", "kafka.retention"),
        ("retentoin", "did you mean retention"),
        ("kafka.nothing.like.it", "mqverify explain kafka"),
        ("crsh", "crash"),
        ("setle", "settle"),
        ("workload.setle", "workload.settle"),
        ("faults.crsh", "faults.crash"),
        ("zzzzzz", "mqverify list"),
        ("", "mqverify list"),
    ],
)
def test_helps_who_misspells(word: str, hint: str, registry: Registry) -> None:
    with pytest.raises(UsageError, match=hint):
        page_of(word, registry)


@pytest.mark.parametrize(
    "word",
    [
        "settle",
        "every",
        "joins",
        "rate",
        "handler",
        "on_failure",
        "when",
        "point",
        "restart_after",
        "workload",
        "groups",
        "backends",
        "expect",
        "takes",
        "start",
        "loop",
        "commit",
        "poison",
        "attempts",
        "close",
        "messages",
        "keys",
        "faults",
        "spec",
        "runs",
        "tags",
        "for",
        "times",
    ],
)
def test_every_word_of_a_spec_has_a_page(word: str, registry: Registry) -> None:
    page = page_of(word, registry)
    assert "means: " in page
    assert max(map(len, page.splitlines())) <= 100


def test_a_setting_of_two_systems_has_a_page_of_each(registry: Registry) -> None:
    kafka, eventstore = registry.systems["kafka"], registry.systems["eventstore"]
    own = next(iter(settings_of(kafka.model)))
    twice = replace(registry, systems={"kafka": kafka, "other": replace(kafka, name="other"), "eventstore": eventstore})
    page = page_of(own, twice)
    assert f"kafka.{own}\n" in page
    assert f"\nother.{own}\n" in page
    assert "eventstore." not in page


def test_a_word_that_is_a_setting_too_has_a_page_of_each(registry: Registry) -> None:
    model = create_model("Model", settle=(Annotated[bool, Setting("flag", ("consumer",), "of its own")], False))
    other = System("other", "Other", model)
    page = page_of("settle", replace(registry, systems={"other": other}))
    assert "when a consumer tells the broker that it is done" in page
    assert "\nother.settle\n" in page


def test_what_is_missing_of_a_fault_is_the_fault_and_no_system(registry: Registry) -> None:
    missing = [(kind.name, why) for kind in registry.fault_kinds.values() for why in kind.missing_targets.values()]
    assert missing
    titles = tuple(system.title for system in registry.systems.values())
    assert [one for one in missing if one[1].startswith(titles)] == []
    assert "a consumer stamps no records" in page_of("clock_skew", registry)
