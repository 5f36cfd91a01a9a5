"""`mqverify compare --worlds`: what agrees, what does not, what is known not to; and what is no comparison at all."""

import io
import json
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mqverify.backends.kafka.local import LocalCluster
from mqverify.engine import Options
from mqverify.engine import compare as module
from mqverify.engine.compare import Comparison, Known, Pair, compare_worlds, read_known
from mqverify.errors import UsageError
from mqverify.events import CheckFinished, Result, ScenarioFinished, Summary, VerdictName
from mqverify.report.compare import agreement_line, write_comparison, write_comparison_as_json
from tests.check.test_check import mqverify
from tests.report.samples import HELD, WITNESS

ROOT = Path(__file__).parents[2]


def result(verdict: VerdictName, world: Any, **more: Any) -> Result:
    witness = WITNESS if verdict == "violated" else None
    return replace(HELD, verdict=verdict, world=world, witness=witness, reason=f"{verdict} there", **more)


def pair(simulated: VerdictName, real: VerdictName, known: Known | None = None) -> Pair:
    return Pair(result(simulated, "simulated"), result(real, "real"), known)


KNOWN = Known("settling/crash.yaml", "at_least_once", "the model has no such thing")


@pytest.mark.parametrize(
    ("simulated", "real", "agreement", "code"),
    [
        ("held", "held", "agree", 0),
        ("violated", "violated", "agree", 0),
        ("held", "violated", "disagree", 1),
        ("violated", "held", "disagree", 1),  # an expected violation that was not seen is no agreement
        ("held", "inconclusive", "undecided", 3),
        ("inconclusive", "inconclusive", "undecided", 3),
        ("held", "unsupported", "unsupported", 3),  # nothing was compared
    ],
)
def test_what_two_verdicts_come_to(simulated: VerdictName, real: VerdictName, agreement: str, code: int) -> None:
    one = pair(simulated, real)
    assert one.agreement == agreement
    assert Comparison((one,)).exit_code == code


def test_what_is_known_fails_nothing_and_what_agrees_in_spite_of_it_is_told() -> None:
    comparison = Comparison((pair("held", "violated", KNOWN), pair("held", "held", KNOWN), pair("held", "held")))
    assert comparison.exit_code == 0
    assert (len(comparison.known), len(comparison.stale), len(comparison.agreed)) == (1, 1, 2)


def test_a_disagreement_outranks_what_is_undecided() -> None:
    assert Comparison((pair("held", "violated"), pair("held", "inconclusive"))).exit_code == 1


def test_the_text_shows_both_witnesses_and_the_share() -> None:
    pairs = (
        pair("violated", "held"),
        pair("held", "held"),
        pair("held", "unsupported"),
        pair("held", "violated", KNOWN),
    )
    comparison = Comparison(pairs, {"broker": "Apache Kafka 4.4.0"}, 1500)
    stream = io.StringIO()
    write_comparison(comparison, stream, width=120)
    text = stream.getvalue()
    assert "broker: Apache Kafka 4.4.0" in text
    assert "at_least_once of specs/settling/crash.yaml on kafka: simulated violated, real held" in text
    assert WITNESS.sentence in text
    assert "held there" in text
    assert "unsupported real: unsupported there" in text
    assert KNOWN.why in text
    assert text.endswith(
        "both worlds: 1 of 3 verdicts agree (33.3 %), 1 known to differ, 1 unsupported in one world or both in 1.5 s\n"
    )


def test_the_json_has_all_pairs_with_both_results() -> None:
    stream = io.StringIO()
    write_comparison_as_json(Comparison((pair("violated", "held"), pair("held", "held"))), stream)
    document = json.loads(stream.getvalue())
    assert [one["agreement"] for one in document["pairs"]] == ["disagree", "agree"]
    assert document["pairs"][0]["simulated"]["witness"]["sentence"] == WITNESS.sentence
    assert document["summary"] == {
        "agree": 1, "compared": 2, "disagree": 1, "known": 0, "undecided": 0, "unsupported": 0,
    }  # fmt: skip
    assert document["exit_code"] == 1


def test_nothing_compared_has_no_share() -> None:
    assert agreement_line(Comparison(())) == "both worlds: 0 of 0 verdicts agree in 0.0 s"


def test_each_world_is_checked_and_its_results_are_put_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def check(specs: Any, options: Options, executor: Executor) -> Any:
        asked.append(options.backends)
        world: Any = "real" if options.backends[0][1] else "simulated"
        both = (result("held", world), result("violated", world, guarantee="exactly_once"))
        yield ScenarioFinished(
            0, HELD.spec, HELD.file, "kafka", both[: 2 if world == "real" else 1], (("world", world),)
        )
        yield CheckFinished(Summary(), 0, 100)

    monkeypatch.setattr(module, "check", check)
    heard: list[Any] = []
    executor: Any = None
    comparison = compare_worlds([], Options((("kafka", "local"),)), executor, [KNOWN], heard.append)
    assert asked == [(("kafka", None),), (("kafka", "local"),)]
    [only] = comparison.pairs
    assert (only.simulated.world, only.real.world, only.known) == ("simulated", "real", KNOWN)
    assert comparison.wall_ms == 200
    assert len(heard) == 4


def test_known_differences_are_rows_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "known.md"
    file.write_text(
        "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| spec | guarantee | why |\n|---|---|---|\n"
        "| `specs/a.yaml` | `durable` | because |\n"
    )
    assert read_known(str(file)) == [Known("specs/a.yaml", "durable", "because")]
    file.write_text("no table\n")
    with pytest.raises(UsageError, match="no table with the columns"):
        read_known(str(file))
    with pytest.raises(UsageError, match="cannot be read"):
        read_known(str(tmp_path / "missing.md"))


def test_docs_fidelity_names_differences_that_there_are_specs_and_guarantees_for() -> None:
    from mqverify.guarantees.registry import catalogue

    for known in read_known(str(ROOT / "docs/fidelity.md")):
        assert list(ROOT.glob(known.spec)), f"{known.spec} is no shipped spec"
        assert known.guarantee in catalogue()
        assert known.why


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "There is --worlds"),
        (("--worlds",), "-b kafka=local"),
        (("--worlds", "-b", "kafka"), "-b kafka=TARGET"),
        (("--worlds", "-b", "kafka=local", "-k", "no such spec"), "nothing was run"),
        (("--worlds", "-b", "kafka=local", "--known", "/no/such/file"), "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_a_mistake(arguments: tuple[str, ...], told: str) -> None:
    ran = mqverify("compare", ROOT / "specs/settling/after-batch.yaml", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr


@pytest.mark.real_kafka
def test_the_worlds_agree_on_a_crash_in_mid_batch(kafka_broker: LocalCluster) -> None:
    where = ("-b", f"kafka={kafka_broker.bootstrap}")
    ran = mqverify("compare", ROOT / "specs/settling/after-batch.yaml", "--worlds", *where, "--output-format", "json")
    document = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert document["summary"]["compared"] == document["summary"]["agree"] > 0
    assert {one["real"]["world"] for one in document["pairs"]} == {"real"}
    assert "Apache Kafka" in document["details"]["broker"]
