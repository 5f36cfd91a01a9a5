"""The words of a spec as they are explained: the same texts as in the JSON Schema, and defaults that are true."""

from mqverify.spec.model import Group, Handler, Workload
from mqverify.spec.schema import json_schema
from mqverify.spec.vocabulary import SpecWord, spec_words, words_called
from tests.spec.registries import REGISTRY


def one(name: str) -> SpecWord:
    (word,) = words_called(name, REGISTRY)
    return word


def test_every_word_says_what_the_schema_says() -> None:
    described = str(json_schema(REGISTRY))
    for word in spec_words(REGISTRY):
        assert word.about
        assert repr(word.about)[1:-1] in described, word.path


def test_every_place_is_there_once_and_no_word_of_the_schema_is_missing() -> None:
    paths = [word.path for word in spec_words(REGISTRY)]
    assert len(set(paths)) == len(paths)
    workload = json_schema(REGISTRY)["properties"]["workload"]["properties"]
    assert {path[1] for path in paths if path[0] == "workload" and len(path) == 2} == set(workload)
    assert {path[1] for path in paths if path[0] == "faults" and len(path) > 1} <= set(REGISTRY.fault_kinds)


def test_a_word_is_called_by_its_name_or_by_its_place() -> None:
    assert [word.path for word in words_called("settle", REGISTRY)] == [
        ("workload", "settle"),
        ("workload", "groups", "NAME", "settle"),
    ]
    assert one("workload.settle").default == "after_handling"
    assert one("groups.settle").path == ("workload", "groups", "NAME", "settle")
    assert all(word.required for word in words_called("settle.every", REGISTRY))
    assert one("crash.when").path == one("faults.crash.when").path == ("faults", "crash", "when")
    assert words_called("crash.joins", REGISTRY) == []
    assert words_called("workload.", REGISTRY) == []


def test_values_and_keys() -> None:
    assert one("loop").values == "poll, iterator"
    assert one("workload.consumers").values == "a number of consumers, from 1 to 1000"
    assert one("workload.keys").keys == ("count", "distribution")
    assert "faults" in one("faults").path
    assert "crash" in one("faults").keys
    assert "restart_after" in {word.name for word in spec_words(REGISTRY)}
    for word in spec_words(REGISTRY):
        assert word.values or word.keys or word.path[0] == "backends", word.path


def test_defaults_are_those_of_the_model() -> None:
    models = {("workload",): Workload(messages=1), ("workload", "handler"): Handler(),
              ("workload", "groups", "NAME"): Group()}  # fmt: skip
    checked = 0
    for word in spec_words(REGISTRY):
        model = models.get(word.path[:-1])
        default = getattr(model, word.name, None)
        if isinstance(default, str) or (isinstance(default, int) and word.name not in {"messages", "payload"}):
            checked += 1
            assert word.default.partition(",")[0] == str(default), word.path
    assert checked >= 13
