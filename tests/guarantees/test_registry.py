"""The catalogue and the format of a guarantee's file."""

from pathlib import Path

import pytest

from mqverify.errors import UsageError
from mqverify.guarantees.explain import explain_guarantee
from mqverify.guarantees.planned import PLANNED
from mqverify.guarantees.registry import catalogue, find, load_guarantee, parse_guarantee

GOOD = """-- MQ901 my_own
-- promise: Something good.
-- meaning: It is so
--   and so.
-- untested: nothing good could happen.
-- needs: readings, shared clock
-- parameters: within: duration required; at_least: count = consumers; state: text
-- cannot: never.
-- mends: nothing.

-- obligations
SELECT run, 1 AS obligations FROM runs;

-- violations
-- a comment of its own
SELECT 1;
"""


def test_a_file_is_read_whole() -> None:
    guarantee = parse_guarantee(GOOD, "my.sql")
    assert (guarantee.code, guarantee.name) == ("MQ901", "my_own")
    assert guarantee.meaning == "It is so and so."
    assert guarantee.needs == ("readings", "shared clock")
    assert [(one.name, one.kind, one.default, one.required) for one in guarantee.parameters] == [
        ("within", "duration", None, True), ("at_least", "count", "consumers", False), ("state", "text", None, False),
    ]  # fmt: skip
    assert guarantee.untested == "nothing good could happen."
    assert not guarantee.wants_parameter
    assert guarantee.obligations == "SELECT run, 1 AS obligations FROM runs"
    assert guarantee.violations == "-- a comment of its own\nSELECT 1"


@pytest.mark.parametrize(("old", "new", "message"), [
    ("-- MQ901 my_own", "SELECT 1", r"my.sql:1: a guarantee begins with its code"),
    ("-- needs: readings, shared clock", "-- needs: luck", r"`luck` is no evidence"),
    ("-- cannot: never.\n", "", r"the header lacks `-- cannot:`"),
    ("-- cannot:", "-- canot:", r"my.sql:8: `canot:` is not a field"),
    ("-- mends: nothing.", "some text", r"my.sql:9: neither"),
    ("within: duration required", "within duration", r"`within duration` is not"),
    ("duration required", "hours required", r"KIND one of duration, count"),
    ("duration required", "duration >= 1 required", r"behind `count` also `>= LEAST`"),
    ("-- obligations\n", "", r"no line `-- obligations`"),
    ("SELECT 1;", "", r"my.sql:14|no query|SELECT"),
    ("-- cannot: never.", "-- unsupported: sharing: no\n-- cannot: never.", r"`sharing: no` is not `DELIVERY: reason`"),
    ("-- cannot: never.", "-- unsupported: without luck: no\n-- cannot: never.", r"FEATURE one of expected_revision"),
    ("-- violations", "-- obligations", r"my.sql:14: a second `-- obligations`"),
])  # fmt: skip
def test_mistakes_are_named_with_file_and_line(old: str, new: str, message: str) -> None:
    text = GOOD.replace(old, new, 1)
    if old == "SELECT 1;":
        text = text.replace("-- a comment of its own\n", "")
    with pytest.raises(UsageError, match=message):
        parse_guarantee(text, "my.sql")


def test_a_header_says_where_the_guarantee_means_nothing() -> None:
    line = "-- unsupported: competing: there is no order;\n--   without expected_revision: there is no revision\n"
    guarantee = parse_guarantee(GOOD.replace("-- cannot:", f"{line}-- cannot:"), "my.sql")
    assert guarantee.unsupported("competing") == "there is no order"
    assert guarantee.unsupported("exclusive") is None
    assert guarantee.unsupported("own", system_has=()) == "there is no revision"
    assert parse_guarantee(GOOD, "my.sql").unsupported("competing", system_has=()) is None
    assert "unsupported: competing: there is no order; without expected_revision:" in explain_guarantee(guarantee)


@pytest.mark.parametrize(("name", "delivery", "has"), [
    ("per_partition_ordering", "competing", ["expected_revision"]),
    ("legal_resume", "competing", ["expected_revision"]),
    ("optimistic_concurrency", "exclusive", []),
])  # fmt: skip
def test_some_guarantees_mean_nothing_somewhere(name: str, delivery: str, has: list[str]) -> None:
    assert catalogue()[name].unsupported(delivery, has)
    assert catalogue()[name].unsupported("own", ["expected_revision"]) is None
    others = set(catalogue()) - {"per_partition_ordering", "legal_resume", "optimistic_concurrency"}
    assert not any(catalogue()[other].unsupported(delivery, has) for other in others)


def test_an_empty_file_and_one_that_is_not_there_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a guarantee begins"):
        parse_guarantee("", "my.sql")
    with pytest.raises(UsageError, match="cannot be read"):
        load_guarantee(tmp_path / "none.sql")
    (tmp_path / "own.sql").write_text(GOOD, encoding="utf-8")
    assert load_guarantee(tmp_path / "own.sql").name == "my_own"


def test_the_catalogue_is_in_order_of_codes_and_planned_ones_are_not_in_it() -> None:
    codes = [one.code for one in catalogue().values()]
    assert codes == sorted(codes)
    assert not set(PLANNED) & set(catalogue())
    assert not {one.code for one in PLANNED.values()} & set(codes)
    assert {name: one.name for name, one in catalogue().items()} == {name: name for name in catalogue()}


def test_a_guarantee_is_found_by_code_or_name() -> None:
    for asked in ("MQ101", "mq101", "at_least_once", "at-least-once"):
        found = find(asked)
        assert found is not None
        assert found.code == "MQ101"
    assert find("nonsense") is None


@pytest.mark.parametrize("name", list(catalogue()))
def test_an_explanation_holds_header_and_queries(name: str) -> None:
    guarantee = catalogue()[name]
    text = explain_guarantee(guarantee)
    assert text.startswith(f"{guarantee.code} {name}\n")
    for query in (guarantee.obligations, guarantee.violations):
        assert all(line.strip() in text for line in query.splitlines())
    assert guarantee.untested.split()[-1] in text
    for word in ("promise:", "untested:", "needs:", "cannot:", "mends:"):
        assert word in text


@pytest.mark.parametrize("name", list(catalogue()))
def test_each_says_in_a_short_sentence_why_nothing_put_it_to_the_test(name: str) -> None:
    untested = catalogue()[name].untested
    assert 0 < len(untested) <= 160
    assert untested.startswith("no")
    assert "{" not in untested, "nobody puts a system's words there"


def test_a_count_may_have_a_least_value_below_which_nothing_is_tested() -> None:
    guarantee = parse_guarantee(GOOD.replace("count = consumers", "count >= 2 = consumers"), "my.sql")
    assert [(one.name, one.least, one.default) for one in guarantee.parameters] == [
        ("within", 0, None), ("at_least", 2, "consumers"), ("state", 0, None),
    ]  # fmt: skip
    assert "at_least: count >= 2 = consumers" in explain_guarantee(guarantee)
    assert [(one.name, one.least) for one in catalogue()["bounded_redelivery"].parameters] == [("at_most", 1)]
    assert "at_most: count >= 1, required" in explain_guarantee(catalogue()["bounded_redelivery"])


def test_a_guarantee_may_want_at_least_one_of_its_parameters() -> None:
    footprint = catalogue()["footprint"]
    assert footprint.wants_parameter
    assert [one.name for one in footprint.parameters] == ["partitions", "streams", "folders", "bytes"]
    assert "at least one of partitions: count; streams: count" in explain_guarantee(footprint)


def test_of_the_parameters_that_one_is_wanted_of_those_with_a_default_are_none() -> None:
    latency = catalogue()["latency"]
    assert latency.wants_parameter
    text = explain_guarantee(latency)
    assert "at least one of p50: duration; p95: duration;" in " ".join(text.split())
    assert "; also outside_faults: flag = false" in " ".join(text.split())


def test_a_guarantee_may_say_what_it_measured() -> None:
    figures = "SELECT run, 'most' AS figure, 1.0 AS value, '1' AS shown FROM runs"
    guarantee = parse_guarantee(f"{GOOD}\n-- figures\n{figures};\n", "my.sql")
    assert (guarantee.figures, guarantee.violations) == (figures, "-- a comment of its own\nSELECT 1")
    assert "figures:\n\n    SELECT run, 'most'" in explain_guarantee(guarantee)
    assert parse_guarantee(GOOD, "my.sql").figures is None
