"""The code of every mistake that a spec can have, with the page that `mqverify explain CODE` prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of mistake: what is wrong, why that matters, what it looks like and what to write instead."""

    code: str
    title: str
    explanation: str
    wrong: str
    right: str


def _code(code: str, title: str, explanation: str, wrong: str, right: str) -> Code:
    return Code(code, title, " ".join(explanation.split()), wrong, right)


_FILES: Final = (
    _code(
        "MQ001",
        "a file that cannot be read",
        """A spec is a regular file that the user may read. Devices, pipes and sockets are refused before they are
        opened for reading, so that none of them can make mqverify wait.""",
        "mqverify check /dev/stdin",
        "mqverify check specs/orders.yaml",
    ),
    _code(
        "MQ002",
        "a file that is too large",
        "A spec has at most 1 MiB. Specs may come from anybody, and a file of this size is no spec.",
        "mqverify check dump.yaml",
        "mqverify check specs/",
    ),
    _code(
        "MQ003",
        "a file that is not UTF-8",
        """Specs are read as UTF-8. The place is the first byte that is none; the file was probably saved as UTF-16
        or Latin-1.""",
        "about: Bestellungen f\\xfcr Kunden   (saved as Latin-1)",
        "about: Bestellungen für Kunden       (saved as UTF-8)",
    ),
    _code(
        "MQ004",
        "a control character in the file",
        """Characters that a terminal or an editor obeys (NUL, escape, U+2028 and so on) are invisible and can make
        a spec look different from what it is. They often come from copying out of a web page.""",
        "spec: orders\\x1b[2J",
        "spec: orders",
    ),
    _code(
        "MQ005",
        "not YAML",
        """The file breaks a rule of YAML's. Frequent causes: a text with ': ' or ' #' that is not quoted, a tab
        used to indent, a bracket or a quote that is not closed, a line that is indented otherwise than its
        neighbours.""",
        "about: order: the first one",
        'about: "order: the first one"',
    ),
    _code(
        "MQ006",
        "nested too deeply",
        """A spec is nested ten deep at most; 50 is the limit. Deeper files are refused before anything is made of
        them.""",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "faults: [{crash: consumer}]",
    ),
    _code(
        "MQ007",
        "too many values or aliases",
        """Aliases (*name) are written out when they are read, and a few lines of aliases of aliases become more
        values than a computer can hold. At most 1000 aliases and 20000 values, aliases written out, are read;
        an alias needs an anchor before it and cannot contain itself.""",
        "a: &a [x, x, x]\nb: &b [*a, *a, *a]   # and so on",
        "handler: &fast {takes: 1ms}",
    ),
    _code(
        "MQ008",
        "a YAML tag",
        """Tags (!!python/object, !include, !!str) tell a YAML reader to make something else of a value. A spec is
        plain data, and none is needed.""",
        "messages: !!int '500'",
        "messages: 500",
    ),
    _code(
        "MQ009",
        "a key that is there twice",
        """Most YAML readers keep the last of two equal keys and drop the first without a word, so one of the two
        would not be what you believe it to be.""",
        "expect:\n  durable: held\n  durable: {violated: by retention}",
        "expect:\n  durable: {violated: by retention}",
    ),
    _code(
        "MQ010",
        "several documents in one file",
        """One spec a file: '---' begins a second document. Cases, reports and links to a line all name a spec by
        its file.""",
        "spec: one\n---\nspec: two",
        "spec: one   # and two.yaml: 'spec: two'",
    ),
    _code(
        "MQ011",
        "a word that YAML reads as something else",
        """YAML 1.1 takes on, off, yes and no for booleans, 1:30 for the number 90, 012 for the number 10, 1e3 for
        a float and 2026-01-01 for a date; YAML 1.2 does not. mqverify never guesses: quote what is a text, and
        write numbers plainly.""",
        "for: 1:30",
        "for: 1m30s",
    ),
    _code(
        "MQ012",
        "a key that is not a word",
        """Keys of a spec are words. YAML also allows lists, mappings and nothing at all as keys; usually a '?', a
        '[' or a stray ':' stands where none was meant.""",
        "workload:\n  : 500",
        "workload:\n  messages: 500",
    ),
    _code(
        "MQ013",
        "a merge key",
        """'<<: *other' is an extension of YAML 1.1 that many readers do not have and that hides which value wins.
        Write out what is meant.""",
        "kafka:\n  <<: *defaults",
        "kafka:\n  partitions: 6",
    ),
    _code(
        "MQ014",
        "a YAML file that is not a spec (warning)",
        """A spec begins with 'spec:' and its name. YAML files without that key are skipped, so that specs may lie
        beside other files; this warning is there so that none is skipped unnoticed.""",
        "name: orders",
        "spec: orders survive a crash",
    ),
    _code(
        "MQ021",
        "an unknown default of an option",
        """[tool.mqverify] of the nearest pyproject.toml, or a mqverify.toml, gives defaults for the options of
        `mqverify check`, by their long names; a table such as [tool.mqverify.trace] those of another command. A flag of
        the command line and an MQVERIFY_* variable go before them.""",
        '[tool.mqverify]\noutputformat = "json"',
        '[tool.mqverify]\noutput-format = "json"',
    ),
    _code(
        "MQ022",
        "a wrong default of an option",
        """A default is written as TOML writes it: numbers without quotes, texts in quotes, lists for options that may
        be repeated, true or false for those without a value.""",
        '[tool.mqverify]\nseed = "seven"',
        "[tool.mqverify]\nseed = 7",
    ),
    _code(
        "MQ023",
        "a file of defaults that is not TOML",
        "Defaults of options are read from pyproject.toml or mqverify.toml, which have to be TOML (https://toml.io).",
        "[tool.mqverify\nseed = 7",
        "[tool.mqverify]\nseed = 7",
    ),
)

_WORDS: Final = (
    _code(
        "MQ201",
        "a key is missing",
        "What is named has to be there, since no default could be right for it.",
        "workload: {keys: 20}",
        "workload: {messages: 500, keys: 20}",
    ),
    _code(
        "MQ202",
        "another kind of value is expected",
        """A mapping where a list belongs, a text where a number belongs, or nothing at all. Numbers and the words
        true and false have to be quoted where a text is meant.""",
        "faults: {crash: consumer}",
        "faults:\n  - crash: consumer",
    ),
    _code(
        "MQ203",
        "an unknown key",
        """Keys that mqverify does not know are never skipped: a misspelt key would leave a default in force that
        you believe to have changed.""",
        "workload: {mesages: 500}",
        "workload: {messages: 500}",
    ),
    _code(
        "MQ204",
        "an unknown word",
        "Here one of a few words is possible; the help lists them, or says which is closest.",
        "settle: after_handeling",
        "settle: after_handling",
    ),
    _code(
        "MQ205",
        "a quantity without its unit, or not a quantity",
        """Durations, sizes, rates and shares carry their unit, so that nobody takes milliseconds for seconds:
        20us, 2ms, 5s, 10m, 1h30m, 8d; 200B, 16KiB, 10MB, 1GiB; 1000/s, 10/min; 20%. Ranges have two dots:
        1ms..20ms, 20%..60%. A setting without bound is 'unlimited'.""",
        "session_timeout: 6000",
        "session_timeout: 6s",
    ),
    _code(
        "MQ206",
        "a value out of range",
        "The value can be read, and it is more or less than is possible here.",
        "when: {handled: 120%}",
        "when: {handled: 20%..60%}",
    ),
    _code(
        "MQ207",
        "words that contradict each other",
        "Each of them is right by itself; together there is no way to do both.",
        "- slow: consumer\n  handler: 40s\n  for: 10s\n  times: 3",
        "- slow: consumer\n  handler: 40s\n  times: 3",
    ),
    _code(
        "MQ208",
        "a name or text that cannot be one",
        """Labels and groups become parts of topic names and of command lines, so they are letters a to z, digits,
        '-', '_' and '.'. Names of specs, reasons and tags are printed, so they have one line and no control
        characters.""",
        "groups: [billing/eu]",
        "groups: [billing-eu]",
    ),
    _code(
        "MQ210",
        "an unknown fault",
        "Each line of 'faults:' begins with a kind of fault. 'mqverify list' shows them all.",
        "- crsh: consumer",
        "- crash: consumer",
    ),
    _code(
        "MQ211",
        "nobody to hit",
        """A fault hits consumer, consumer-2, leader, all consumers, producer or producer-1, and for some faults a
        broker. It has to be there: consumer-9 is not, in a group of three.""",
        "consumers: 3 … crash: consumer-9",
        "consumers: 3 … crash: consumer-3",
    ),
    _code(
        "MQ212",
        "a consumer that could be in several groups",
        "Each group has a consumer-1 of its own, so the group has to be named where there are several.",
        "groups: [billing, shipping] … crash: consumer-2",
        "groups: [billing, shipping] … crash: billing/consumer-2",
    ),
    _code(
        "MQ213",
        "a point that the loop does not have",
        """With 'settle: automatic' the client settles inside a later poll, and the loop never sees it happen:
        there is no in_settle and no after_settle. With 'settle: with_effect' the effect settles: nothing lies
        between the two, so there is no before_settle and no in_settle. A producer has none of these points.""",
        "settle: automatic … point: after_settle",
        "settle: automatic … point: before_settle",
    ),
    _code(
        "MQ214",
        "not a moment",
        """A fault waits for one thing: sent, acked, delivered, handled or settled reaches a count, a share or a
        range; a time since the start; or 'drained'. Anchor faults to events where you can: a time hits another
        place on every machine.""",
        "when: handled",
        "when: {handled: 20%..60%}",
    ),
    _code(
        "MQ215",
        "a fault that never happens",
        """Counts are of distinct messages, so a fault that waits for more of them than the workload has would leave
        every run undecided. A share of the messages stays right when their number changes.""",
        "messages: 500 … when: {handled: 9000}",
        "messages: 500 … when: {handled: 50%}",
    ),
    _code(
        "MQ216",
        "no more partitions than before",
        "'add_partitions' says the new total. Kafka cannot take partitions away.",
        "partitions: 6 … add_partitions: 6",
        "partitions: 6 … add_partitions: 12",
    ),
    _code(
        "MQ217",
        "no link",
        """Workers talk to the broker, and not to each other, so a cut and a delay have a worker at one end and the
        broker at the other. With 'one_way: true' the order says which way is stopped.""",
        "cut: [consumer-1, consumer-2]",
        "cut: [consumer-1, broker]",
    ),
    _code(
        "MQ218",
        "not as many consumers",
        """Consumers that leave have to be there: those that the group begins with, and those that add_consumers
        brings. The consumers of a group with 'shard: key' each own a share of the keys, so their number stays.""",
        "consumers: 3 … remove_consumers: 4",
        "consumers: 3 … remove_consumers: 1",
    ),
    _code(
        "MQ220",
        "an unknown guarantee",
        """Guarantees are named as 'mqverify list' shows them; 'mqverify explain NAME' prints what each promises.""",
        "expect: {at_least_onze: held}",
        "expect: {at_least_once: held}",
    ),
    _code(
        "MQ221",
        "an unknown parameter of a guarantee",
        """Inside an expectation stand the guarantee's parameters, and 'violated' or 'unsupported' with its reason.
        A reason that has a comma must be quoted there: the comma would end it.""",
        "exactly_once: {violated: a crash, then a second try}",
        'exactly_once: {violated: "a crash, then a second try"}',
    ),
    _code(
        "MQ222",
        "a parameter of a guarantee is missing",
        """Without it the guarantee promises nothing that could be checked. A backend's own expectation replaces
        the spec's, so the parameter has to be repeated there.""",
        "recovery: held",
        "recovery: {within: 60s}",
    ),
    _code(
        "MQ223",
        "a waiver without a reason",
        "What is expected to be violated or unsupported is a decision, and reports print its reason.",
        "exactly_once: violated",
        "exactly_once: {violated: duplicates after a crash are accepted}",
    ),
)

_BACKENDS: Final = (
    _code(
        "MQ301",
        "a backend of unknown system",
        """A backend's label is yours to choose; where it is not itself the name of a system, 'system:' says which
        it is.""",
        "backends: {compacted: {partitions: 6}}",
        "backends: {compacted: {system: kafka, partitions: 6}}",
    ),
    _code(
        "MQ302",
        "an unknown setting",
        """Settings have the system's own names with dots as underscores and without a time unit, because the value
        carries it: 'retention: 7d' is retention.ms. The native spelling, 'retention.ms: 604800000', means the
        same. 'mqverify explain kafka' lists them all.""",
        "kafka: {retention_ms: 604800000}",
        "kafka: {retention: 7d}",
    ),
    _code(
        "MQ303",
        "one setting twice",
        "The short and the native spelling of one setting are both there, and only one can be in force.",
        "kafka: {retention: 7d, retention.ms: 86400000}",
        "kafka: {retention: 7d}",
    ),
    _code(
        "MQ304",
        "settings that the system refuses together",
        """The broker or the client library would reject this configuration when it starts or joins, so there is
        nothing to verify. The help says which of them to change.""",
        "kafka: {session_timeout: 3s}   # the broker accepts 6s and more",
        "kafka: {session_timeout: 3s, group_min_session_timeout: 1s, heartbeat_interval: 1s}",
    ),
    _code(
        "MQ305",
        "a native setting with a unit",
        """The native spelling takes what the system itself takes: a bare number in the unit that its name or
        manual says, -1 for no bound. With a unit, use the short name.""",
        "kafka: {retention.ms: 7d}",
        "kafka: {retention: 7d}",
    ),
)

_ADVICE: Final = (
    _code(
        "MQ401",
        "a fault that may never happen (warning)",
        """A fault that takes effect in no run makes the verdicts inconclusive: the promise was not put to the
        test. The range that this one draws from ends beyond the workload's messages, or it waits for a point that
        nobody reaches any more.""",
        "messages: 500 … when: {handled: 100..9000}",
        "messages: 500 … when: {handled: 20%..100%}",
    ),
    _code(
        "MQ402",
        "recovery that is faster than noticing (warning)",
        """A group gives a dead consumer's share to another after the session time-out. A 'recovery' that asks for
        less is violated by every crash.""",
        "session_timeout: 45s … recovery: {within: 10s}",
        "session_timeout: 6s … recovery: {within: 20s}",
    ),
    _code(
        "MQ403",
        "nobody is left in the group (warning)",
        """All consumers of a group are removed. From then on it is owed only what it had settled or handled: what comes
        later, and what waited, puts nothing to the test.""",
        "consumers: 2 … remove_consumers: 2",
        "consumers: 2 … remove_consumers: 1",
    ),
)

CODES: Final[Mapping[str, Code]] = {page.code: page for page in (*_FILES, *_WORDS, *_BACKENDS, *_ADVICE)}
"""Every code with its page, in order."""
