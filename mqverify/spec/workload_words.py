"""The words of `workload:`, and how each becomes the one shape of the model."""

from collections.abc import Callable
from collections.abc import Mapping as Names
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from mqverify.spec.composites import OneOf, Record, Word
from mqverify.spec.issues import Issues
from mqverify.spec.model import Group, Handler, Keys, Settle, Workload
from mqverify.spec.nodes import Mapping, Node, Sequence, describe
from mqverify.spec.quantities import DURATION, DURATION_RANGE, ONE_IN, RATE, SIZE, EveryTimeOrCount
from mqverify.spec.shapes import INVALID, NAME_PATTERN, Choice, JsonSchema, Name, Quantity, Shape, Whole
from mqverify.spec.targets import Crew
from mqverify.units import UnitError, parse_share

__all__ = ["WORKLOAD", "Groups", "Made", "read_workload"]

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True)
class Made:
    """A shape whose value is made into something else; `make` is never handed a mistake."""

    shape: Shape
    make: Callable[[Any], Any]

    def read(self, node: Node, issues: Issues) -> Any:
        value = self.shape.read(node, issues)
        if value is INVALID or (isinstance(value, dict) and any(part is INVALID for part in value.values())):
            return INVALID
        try:
            return self.make(value)
        except ValidationError as error:
            issues.error("MQ206", error.errors()[0]["msg"], node)
            return INVALID

    def schema(self) -> JsonSchema:
        return self.shape.schema()


def _distribution(text: str) -> tuple[str, float | None]:
    """`uniform`, `zipf 1.1` or `hot 90%`."""
    word, _, amount = " ".join(text.split()).partition(" ")
    if word == "uniform" and not amount:
        return word, None
    if word == "hot" and amount:
        share = parse_share(amount)
        if share > 0:
            return word, share
    if word == "zipf" and amount.replace(".", "", 1).isdecimal() and amount.isascii() and len(amount) < 10:
        exponent = float(amount)
        if 0 < exponent <= 10:
            return word, exponent
    raise UnitError(f"'{text[:40]}' is not a distribution", "write uniform, zipf 1.1, or hot 90%")


_DISTRIBUTION: Final = Quantity(
    _distribution, "a distribution such as zipf 1.1", r"^(uniform|zipf [0-9]+(\.[0-9]+)?|hot [0-9]+(\.[0-9]+)? ?%)$"
)


def _keys(value: Any) -> Keys:
    if isinstance(value, int):
        return Keys(count=value)
    kind, skew = value.get("distribution", ("uniform", None))
    return Keys.model_validate({"count": value["count"], "distribution": kind, "skew": skew})


def _handler(value: dict[str, Any]) -> Handler:
    renamed = {("poison_one_in" if name == "poison" else name): part for name, part in value.items()}
    return Handler.model_validate(renamed)


def _settle(value: Any) -> Settle:
    if isinstance(value, str):
        return Settle.model_validate({"policy": value})
    time, count = value["every"]
    return Settle(policy="every", every_time=time, every_count=count)


_COUNT_OF_KEYS: Final = Whole(1, 10_000_000, "a number of keys")
KEYS: Final = Made(
    OneOf(
        scalar=_COUNT_OF_KEYS,
        mapping=Record(
            {
                "count": Word(_COUNT_OF_KEYS, "how many keys there are", required=True),
                "distribution": Word(
                    _DISTRIBUTION, "how messages fall on keys: uniform, zipf 1.1, hot 90%. Default: uniform"
                ),
            },
            "'keys'",
        ),
        what="a number of keys, or {count: 1000, distribution: zipf 1.1}",
    ),
    _keys,
)
HANDLER: Final = Made(
    Record(
        {
            "takes": Word(DURATION_RANGE, "how long a handling takes: 2ms, or a range 1ms..20ms. Default: 1ms"),
            "poison": Word(ONE_IN, "that share of the messages fails every time: 1 in 1000"),
            "attempts": Word(Whole(1, 1_000_000), "how often a message is tried before on_failure. Default: 1"),
            "on_failure": Word(
                Choice(("retry", "skip", "park", "stop", "crash"), "way to fail"),
                "after the attempts: retry (for ever), skip, park, stop (the exception leaves the loop), "
                "crash (the process dies of it). Default: retry",
            ),
            "close": Word(
                Choice(("always", "clean_only", "never"), "way to close"),
                "with on_failure: stop, whether the client is closed: always (finally), clean_only (with), never. "
                "Default: always",
            ),
            "restart_after": Word(
                DURATION,
                "with on_failure: stop or crash, when a supervisor starts the consumer again; it gives up after 20 "
                "restarts without anything new handled. Default: never",
            ),
        },
        "'handler'",
    ),
    _handler,
)
SETTLE: Final = Made(
    OneOf(
        scalar=Choice(
            ("before_handling", "before_batch", "after_handling", "after_batch", "automatic", "with_effect"),
            "way to settle",
            {
                "every": "write settle: {every: 5s}, or {every: 100}",
                "auto": "did you mean 'automatic'?",
                "after_each": "did you mean 'after_handling'?",
            },
            beside="{every: 5s}",
        ),
        mapping=Record(
            {"every": Word(EveryTimeOrCount(), "a time such as 5s, or a number of messages", required=True)}, "'settle'"
        ),
        what="a way to settle, or {every: 5s}",
    ),
    _settle,
)
COMMIT: Final = Choice(("sync", "async"), "way to commit")
SINK: Final = Choice(("plain", "idempotent", "transactional"), "sink")
CONSUMERS: Final = Whole(1, 1_000, "a number of consumers")

_GROUP: Final = Made(
    Record(
        {
            "consumers": Word(CONSUMERS, "how many consumers this group has. Default: the workload's"),
            "joins": Word(
                Choice(("start", "drained"), "moment to join"),
                "when its consumers join: at the start, or when drained. Default: start",
            ),
            "start": Word(
                Choice(("beginning", "end"), "place to start"), "where it starts reading. Default: the backend's own"
            ),
            "settle": Word(SETTLE, "when its consumers settle. Default: the workload's"),
            "commit": Word(COMMIT, "whether a commit is waited for. Default: the workload's"),
            "handler": Word(HANDLER, "its handler, in place of the workload's"),
            "sink": Word(SINK, "what stands behind its handler. Default: the workload's"),
        },
        "a group",
        empty=True,
    ),
    Group.model_validate,
)


@dataclass(frozen=True)
class Groups:
    """`[billing, shipping]`, or a mapping to settle each apart."""

    group: Shape = _GROUP
    what: str = "[billing, shipping], or {billing: {settle: automatic}, shipping: }"

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        named: list[tuple[Any, Any]]
        if isinstance(node, Sequence):
            named = [(item, Group()) for item in node.items]
        elif isinstance(node, Mapping):
            named = [(entry.key, self.group.read(entry.value, issues)) for entry in node.entries]
        else:
            issues.error(
                "MQ202", f"expected a list of groups, found {describe(node)}", node, "write [billing, shipping]"
            )
            return INVALID
        if not 1 <= len(named) <= 100:
            issues.error("MQ206", f"{len(named)} groups", node, "from 1 to 100 are possible")
            return INVALID
        groups: dict[str, Any] = {}
        for place, group in named:
            name = Name("a group's name").read(place, issues)
            if name in groups and name is not INVALID:
                issues.error("MQ009", f"the group '{name}' is there twice", place, "a group is named once")
                name = INVALID
            groups[name] = group
        return INVALID if INVALID in groups or INVALID in groups.values() else groups

    def schema(self) -> JsonSchema:
        names = {"type": "string", "pattern": NAME_PATTERN}
        return {
            "anyOf": [
                {"type": "array", "items": names, "minItems": 1, "uniqueItems": True},
                {
                    "type": "object",
                    "propertyNames": names,
                    "additionalProperties": self.group.schema(),
                    "minProperties": 1,
                },
            ]
        }


WORKLOAD: Final = Record(
    {
        "messages": Word(Whole(1, 10_000_000, "a number of messages"), "how many messages are sent", required=True),
        "keys": Word(KEYS, "how many aggregates (orders) there are, and how messages fall on them. Default: 1"),
        "producers": Word(Whole(1, 1_000), "how many producers; a key belongs to one of them. Default: 1"),
        "consumers": Word(CONSUMERS, "how many consumers each group has. Default: 1"),
        "groups": Word(Groups(), "groups that each get all messages: [billing, shipping], or a mapping. Default: one"),
        "rate": Word(RATE, "messages sent over all producers: 1000/s. Default: as fast as possible"),
        "payload": Word(SIZE, "the size of a message's payload. Default: 100B"),
        "handler": Word(HANDLER, "what consumers do with a message: how long it takes, which fail, what happens then"),
        "settle": Word(SETTLE, "when a consumer tells the broker that it is done. Default: after_handling"),
        "commit": Word(COMMIT, "whether a commit is waited for. Default: sync"),
        "loop": Word(Choice(("poll", "iterator"), "loop"), "how consumers receive. Default: poll"),
        "start": Word(
            Choice(("consumers_first", "together", "producers_first"), "order to start in"),
            "who starts first. Default: consumers_first, where producers wait until every group knows its positions",
        ),
        "shard": Word(
            Choice(("key",), "way to shard"), "consumers of a catch-up subscription share keys among themselves"
        ),
        "sink": Word(
            SINK,
            "what stands behind the handlers, one a group: plain, where every handling has its effect; idempotent, "
            "where a message has one; transactional, which keeps positions too and refuses what lies behind them. "
            "Default: plain, or transactional with settle: with_effect",
        ),
        "writers_per_key": Word(Whole(1, 1_000), "how many producers send messages of one key. Default: 1"),
        "in_flight": Word(
            Choice(("pipelined", "one"), "way to send"),
            "one: wait for each acknowledgement. Default: pipelined, the client's own way",
        ),
        "batch": Word(Whole(1, 100_000), "messages appended in one batch"),
        "transaction": Word(Whole(1, 100_000), "messages in one transaction"),
        "expected_revision": Word(
            Choice(("any", "exact", "no_stream", "exists"), "expected revision"),
            "what an append expects of its stream. Default: any",
        ),
        "on_unknown": Word(
            Choice(("leave", "retry"), "answer to an unknown outcome"),
            "what the application does after a time-out: leave it, or retry: send again. Default: leave",
        ),
    },
    "'workload'",
    elsewhere={"partitions": "partitions are a setting of a backend: write it under backends", "runs": "at the top"},
)


def read_workload(node: Node, issues: Issues) -> tuple[Workload | None, Crew | None]:
    """The workload, None if there is a mistake in it; and who there is for faults to hit, as far as that is said."""
    values = WORKLOAD.read(node, issues)
    if values is INVALID:
        return None, None
    crew = _crew(values)
    if any(value is INVALID for value in values.values()) or "messages" not in values:
        return None, crew
    return _build(Workload, values, node, issues), crew


def _crew(values: Names[str, Any]) -> Crew | None:
    producers, consumers = values.get("producers", 1), values.get("consumers", 1)
    groups = values.get("groups", {"group": Group()})
    if INVALID in (producers, consumers) or groups is INVALID:
        return None
    return Crew(producers, {name: group.consumers or consumers for name, group in groups.items()})


def _build(model: type[_M], values: Names[str, Any], node: Node, issues: Issues) -> _M | None:
    """The model, or None with the mistakes at the keys that hold them."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            entry = node.get(name) if isinstance(node, Mapping) else None
            issues.error("MQ206", f"'{name}': {problem['msg']}", entry.value if entry else node)
        return None
