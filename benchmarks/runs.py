"""Simulated deliveries a second and core, and judged runs a second, through the same way as `mqverify check`."""

import time

from mqverify import engine
from mqverify.search.executors import make_executor
from mqverify.spec.load import load_text
from mqverify.spec.model import Spec
from mqverify.worlds.base import Scenario
from mqverify.worlds.chunk import run_simulated, run_simulated_parts

DELIVERIES = """
spec: deliveries
workload: {{messages: {messages}, keys: 200, producers: 2, consumers: 3, settle: {settle}, groups: {groups}}}
backends:
  kafka: {{partitions: 6, auto_offset_reset: earliest}}
  persistent: {{system: eventstore, subscribe: persistent, strategy: round_robin}}
  catch_up: {{system: eventstore, subscribe: catch_up}}
expect: {{at_least_once: held}}
"""

# What the other runs do not have: effects in a sink, and a network on which something is wrong all the time.
SINK = """
spec: effects
workload: {{messages: 10000, keys: 200, producers: 2, consumers: 3, settle: {settle}, sink: {sink}}}
backends: {{kafka: {{partitions: 6, auto_offset_reset: earliest}}}}
expect: {{exactly_once_effects: held}}
"""

LOSSY = """
spec: a lossy network
workload: {messages: 10000, keys: 200, producers: 2, consumers: 3, settle: after_batch}
backends:
  kafka: {partitions: 6, auto_offset_reset: earliest}
  persistent: {system: eventstore, subscribe: persistent, strategy: round_robin}
  catch_up: {system: eventstore, subscribe: catch_up}
faults:
  - {delay: [consumer-1, broker], by: 1ms..20ms, for: 1h}
  - {lose: ack, of: producer, times: 20, when: {acked: 0%..90%}}
expect: {at_least_once: held}
"""

CRASH = """
spec: one crash
workload: {messages: 100, keys: 20, consumers: 3, settle: after_handling}
backends:
  kafka: {partitions: 6, auto_offset_reset: earliest, session_timeout: 6s, heartbeat_interval: 1s}
  persistent: {system: eventstore, subscribe: persistent, strategy: round_robin}
faults: [{crash: consumer, when: {handled: 20%%..60%%}, point: before_settle, restart_after: 5s}]
expect: {%s}
"""

WEEK = """
spec: a week
workload: {messages: 100, keys: 20, consumers: 3}
backends:
  kafka: {partitions: 6, auto_offset_reset: earliest}
  persistent: {system: eventstore, subscribe: persistent}
  catch_up: {system: eventstore, subscribe: catch_up}
faults: [{pass: 8d, when: drained}]
expect: {durable: held}
"""


STREAMS = """
spec: a hundred thousand streams
workload: {messages: 100000, keys: 100000, consumers: 1}
backends: {catch_up: {system: eventstore, subscribe: catch_up, read: all}}
expect: {at_least_once: held}
"""

PARAMETERS = {
    "scales_with_consumers": "{at_least: 2}",
    "footprint": "{partitions: 9}",
    "bounded_redelivery": "{at_most: 9}",
    "no_head_of_line_blocking": "{within: 5s}",
    "recovery": "{within: 30s, drain: 60s}",
    "balanced": "{at_most: 2}",
    "latency": "{p99: 30s}",
}


def load(text: str) -> Spec:
    return load_text(text, "benchmark.yaml", engine.registry())


def scenario(text: str, label: str) -> Scenario:
    return Scenario(0, load(text), label)


def deliveries_per_second(text: str, label: str) -> float:
    """Of a whole run: sending, delivering, handling, settling, recording, and reading the log afresh."""
    one = scenario(text, label)
    began = time.process_time()
    rows, _ = run_simulated(one, seed=1)
    spent = time.process_time() - began
    return len(rows.tables["deliveries"]) / spent


def runs_per_second(label: str, jobs: int, runs: int) -> float:
    names = [f"{name}: {PARAMETERS.get(name, 'held')}" for name in engine.catalogue()]
    spec = load(CRASH % ", ".join(names))
    only = [(label, None)]
    with make_executor(jobs) as executor:
        list(engine.check([spec], engine.Options(only, runs=25 * jobs), executor))  # start the workers up
        began = time.perf_counter()
        list(engine.check([spec], engine.Options(only, runs=runs), executor))
        return runs / (time.perf_counter() - began)


def tell_deliveries(text: str, label: str, words: str, aimed: str = "") -> None:
    best = max(deliveries_per_second(text, label) for _ in range(3))
    print(f"{'deliveries/s and core, ' + label + ', ' + words:68} {best:10,.0f}{aimed}", flush=True)


def main() -> None:
    for settle, aim in (("after_batch", 100_000), ("after_handling", 30_000)):
        for groups, words in (("[one]", "1 group"), ("[a, b, c, d, e]", "5 groups")):
            for label in ("kafka", "persistent", "catch_up"):
                text = DELIVERIES.format(messages=10_000, settle=settle, groups=groups)
                tell_deliveries(text, label, f"{settle}, {words}", f" (aim {aim:,})" if label == "kafka" else "")
    for settle, sink in (("after_batch", "plain"), ("after_batch", "idempotent"), ("with_effect", "transactional")):
        tell_deliveries(SINK.format(settle=settle, sink=sink), "kafka", f"{settle}, {sink} sink")
    for label in ("kafka", "persistent", "catch_up"):
        tell_deliveries(LOSSY, label, "after_batch, lossy network")
    for label in ("kafka", "persistent"):
        for jobs in (1, 2):
            rate = runs_per_second(label, jobs, 800)
            words = f"runs/s, 100 messages, 1 crash, all verdicts, {label}, {jobs} processes"
            print(f"{words:68} {rate:10,.0f} (aim 100)", flush=True)
    for label in ("kafka", "persistent", "catch_up"):
        one = scenario(WEEK, label)
        began = time.process_time()
        run_simulated_parts([(one, range(25))])
        words = f"25 runs of eight days, three idle consumers, judged, {label}"
        print(f"{words:68} {time.process_time() - began:10.2f} s (aim < 1)", flush=True)
    one = scenario(STREAMS, "catch_up")
    began = time.process_time()
    rows, _ = run_simulated(one, seed=1)
    words = f"{len(rows.tables['places']):,} streams appended, handled, and read back three ways"
    print(f"{words:68} {time.process_time() - began:10.2f} s")


if __name__ == "__main__":
    main()
