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
}


def load(text: str) -> Spec:
    return load_text(text, "benchmark.yaml", engine.registry())


def scenario(text: str, label: str) -> Scenario:
    return Scenario(0, load(text), label)


def deliveries_per_second(label: str, settle: str, messages: int, groups: str) -> float:
    """Of a whole run: sending, delivering, handling, settling, recording, and reading the log afresh."""
    one = scenario(DELIVERIES.format(messages=messages, settle=settle, groups=groups), label)
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


def main() -> None:
    for settle, aim in (("after_batch", 100_000), ("after_handling", 30_000)):
        for groups, words in (("[one]", "1 group"), ("[a, b, c, d, e]", "5 groups")):
            for label in ("kafka", "persistent", "catch_up"):
                best = max(deliveries_per_second(label, settle, 10_000, groups) for _ in range(3))
                aimed = f" (aim {aim:,})" if label == "kafka" else ""
                print(
                    f"simulated deliveries a second and core, recorded: {label}, {settle}, {words}: {best:,.0f}{aimed}"
                )
    for label in ("kafka", "persistent"):
        for jobs in (1, 2):
            rate = runs_per_second(label, jobs, 800)
            print(f"runs a second, 100 messages, 3 consumers, 1 crash, all verdicts: {label}, {jobs} processes: "
                  f"{rate:.0f} (aim 100)")  # fmt: skip
    for label in ("kafka", "persistent", "catch_up"):
        one = scenario(WEEK, label)
        began = time.process_time()
        run_simulated_parts([(one, range(25))])
        print(f"25 runs of eight days with three idle consumers alive, judged: {label}: "
              f"{time.process_time() - began:.2f} s (aim < 1)")  # fmt: skip
    one = scenario(STREAMS, "catch_up")
    began = time.process_time()
    rows, _ = run_simulated(one, seed=1)
    print(f"{len(rows.tables['places']):,} streams appended, handled, and read back three ways: "
          f"{time.process_time() - began:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
