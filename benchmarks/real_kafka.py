"""A worker process on a real Kafka beside bare kafka-python, and beside Kafka's own performance tools.

    python -m benchmarks.real_kafka [--messages N] [--pairs N] [--profile producer|consumer]

Bare and worker do the same on one broker: same messages, keys and settings, one producer with callbacks, one consumer
that commits after each batch. They take turns, each in a process of its own, and what is told is the median of their
ratios: a machine with other work to do disturbs both of a pair alike. Seconds on the wall are from the first send to
the last acknowledgement (from the first batch to the last commit), seconds of CPU are all of the client's life, the
start of Python and its imports left out, since a longer run has them only once too. Both make a message's bytes when
they send it.
"""

import argparse
import cProfile
import json
import pickle
import pstats
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mqverify import engine
from mqverify.backends.base import Endpoint
from mqverify.backends.kafka.jars import find_java
from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import BackendUnavailable
from mqverify.history.recorder import RunRows
from mqverify.history.replay import replay
from mqverify.history.tables import TABLES
from mqverify.spec.load import load_text
from mqverify.user_folders import cache_folder
from mqverify.workload.groups import consumers_of, producers_of
from mqverify.workload.plan import Plan, draw_plan
from mqverify.worlds import worker_process
from mqverify.worlds.base import Before, Scenario, backend_of
from mqverify.worlds.board import Board
from mqverify.worlds.children import WorkerTask
from mqverify.worlds.clock import RunClock

SPEC = """
spec: speed
workload: {{messages: {messages}, keys: 200, payload: 200B, settle: after_batch, handler: {{takes: 0s}}}}
backends: {{kafka: {{partitions: 6, auto_offset_reset: earliest, acks: all}}}}
expect: {{at_least_once: held}}
"""
AIM = 0.8
TOOLS = ("org.apache.kafka", "kafka-tools", "4.3.1")  # 4.4.0 is not published
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Took(NamedTuple):
    wall: float
    cpu: float


def scenario_of(messages: int) -> Scenario:
    return Scenario(0, load_text(SPEC.format(messages=messages), "speed.yaml", engine.registry()), "kafka", "local")


# --- in a process of its own ---------------------------------------------------------------------------------------


def bare_producer(plan: Plan, bootstrap: str, topic: str) -> float:
    """What an application does that sends the plan's messages and wants to hear of each; seconds on the wall."""
    import kafka

    library: Any = kafka
    producer = library.KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    acked: list[Any] = []
    began = time.perf_counter()
    for message, key in enumerate(plan.keys):
        value = plan.payloads.encode(message)
        producer.send(topic, key=key.encode(), value=value).add_callback(acked.append)
    producer.flush()
    wall = time.perf_counter() - began
    producer.close()
    assert len(acked) == len(plan.keys)
    return wall


def bare_consumer(plan: Plan, bootstrap: str, topic: str) -> float:
    """What an application does that commits after each batch; seconds on the wall."""
    import kafka

    library: Any = kafka
    group = f"{topic}-bare"
    consumer = library.KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    got, began = 0, 0.0
    while got < len(plan.keys):
        batches = consumer.poll(500)
        if not batches:
            continue
        began = began or time.perf_counter()
        for records in batches.values():
            for record in records:
                got += len(record.value) == plan.workload.payload
        consumer.commit(
            {place: library.OffsetAndMetadata(records[-1].offset + 1, "", -1) for place, records in batches.items()}
        )
    wall = time.perf_counter() - began
    consumer.close()
    return wall


def work_as(task: WorkerTask, records: Path) -> None:
    """Be the worker process of `task` until it has sent, or consumed, all; nothing but its start is left out."""
    stop = threading.Event()
    if task.worker.kind == "consumer":
        told = worker_process.RealContext.idle

        def idle(self: Any, progress: Any) -> None:
            told(self, progress)
            if progress and sum(progress.values()) == task.scenario.spec.workload.messages:
                stop.set()

        worker_process.RealContext.idle = idle  # type: ignore[method-assign]
    ending, detail, _ = worker_process._work(task, records, stop)
    assert ending == "finished", detail


def in_process() -> None:
    """What a child does: a job comes on stdin, its CPU seconds and perhaps those on the wall go to stdout."""
    what, arguments, profile = pickle.loads(sys.stdin.buffer.read())
    profiler = cProfile.Profile()
    if what == "worker":
        task, records = arguments
        module: Any = worker_process
        inner = module.work
        spent = []

        def measured(*given: Any) -> None:
            began = time.process_time()
            if profile:
                profiler.runcall(inner, *given)
            else:
                inner(*given)
            spent.append(time.process_time() - began)

        module.work = measured
        work_as(task, records)
        if profile:
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(35)
        print(json.dumps([0.0, spent[0]]))
        return
    messages, bootstrap, topic = arguments
    plan = draw_plan(scenario_of(messages).spec.workload, 0)
    call: Callable[..., float] = bare_producer if what == "producer" else bare_consumer
    import kafka  # noqa: F401 - the start is left out

    plan.payloads.remembers = False  # likewise, and as in a worker
    began = time.process_time()
    wall = call(plan, bootstrap, topic)
    print(json.dumps([wall, time.process_time() - began]))


def run_child(what: str, arguments: Any, profile: bool = False) -> Took:
    job = pickle.dumps((what, arguments, profile))
    child = subprocess.run(
        [sys.executable, "-c", "from benchmarks.real_kafka import in_process; in_process()"],
        input=job, stdout=subprocess.PIPE, check=True, pass_fds=[arguments[0].notices] if what == "worker" else [],
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    return Took(*json.loads(child.stdout.splitlines()[-1]))


# --- worker and bare, side by side ---------------------------------------------------------------------------------


class Bench:
    """One broker, and topics with equal messages on it."""

    def __init__(self, broker: LocalCluster, messages: int, folder: Path) -> None:
        self.broker = broker
        self.messages = messages
        self.scenario = scenario_of(messages)
        self.plan = draw_plan(self.scenario.spec.workload, 0)
        self._folder = folder
        self._notices = (folder / "notices").open("wb")

    def create(self, prefix: str) -> None:
        """Make the topic `PREFIXmessages`."""
        import kafka

        endpoint = Endpoint(self.broker.bootstrap)
        adapter = backend_of(self.scenario).bind(
            kafka, endpoint, self.scenario.settings, self.plan, prefix, lambda unix: unix
        )
        admin = adapter.admin()
        admin.create(RunRows(), time.monotonic_ns)
        admin.close()

    def bare(self, kind: str, prefix: str) -> Took:
        return run_child(kind, (self.messages, self.broker.bootstrap, f"{prefix}messages"))

    def worker(self, kind: str, prefix: str, profile: bool = False) -> Took:
        group = self.scenario.groups[0] if kind == "consumer" else None
        folder = self._folder / f"{prefix}{kind}"
        folder.mkdir()
        Board(folder / "board", self.messages, self.scenario.groups, self.scenario.everybody, ())
        task = WorkerTask(
            scenario=self.scenario, seed=0, endpoint=Endpoint(self.broker.bootstrap), prefix=prefix,
            worker=(consumers_of(group) if group else producers_of(self.plan.workload))[0],
            clock=RunClock.starting_now(folder), folder=folder, before=Before(),
            keeps_effects=False, parent=0, notices=self._notices.fileno(),
        )  # fmt: skip
        cpu = run_child("worker", (task, folder / "records"), profile).cpu
        rows = RunRows()
        replay(folder / "records", rows, self.plan, list(dict.fromkeys(self.plan.keys)))
        shutil.rmtree(folder)
        return Took(self._wall(rows, kind), cpu)

    def _wall(self, rows: RunRows, kind: str) -> float:
        """Seconds from the first send to the last acknowledgement, or from the first delivery to the last commit."""
        sends, deliveries, settlements = (
            [dict(zip(TABLES[table].column_names[2:], row, strict=True)) for row in rows.tables[table]]
            for table in ("sends", "deliveries", "settlements")
        )
        if kind == "producer":
            began, ended = sends[0]["invoked_at"], max(row["completed_at"] for row in sends)
            assert [row["outcome"] for row in sends].count("acked") == self.messages
        else:
            began, ended = deliveries[0]["delivered_at"], max(row["completed_at"] for row in settlements)
            assert [row["result"] for row in deliveries].count("handled") == self.messages
        return float(ended - began) / 1e9


def compare(bench: Bench, pairs: int) -> dict[str, float]:
    """Print the ratios worker to bare; of the bare ones the median rates, messages a second."""
    took: dict[str, list[Took]] = {}
    for number in range(pairs):
        prefixes = {name: f"{name}-{number}-" for name in ("bare", "worker")}
        for prefix in prefixes.values():
            bench.create(prefix)
        order = ("bare", "worker") if number % 2 == 0 else ("worker", "bare")
        for kind in ("producer", "consumer"):
            for name in order:
                run = getattr(bench, name)
                took.setdefault(f"{name} {kind}", []).append(run(kind, prefixes[name]))
    rates = {}
    for kind, does in (("producer", "produced"), ("consumer", "consumed")):
        bare, worker = took[f"bare {kind}"], took[f"worker {kind}"]
        for measure in ("wall", "cpu"):
            pair = [getattr(b, measure) / getattr(w, measure) for b, w in zip(bare, worker, strict=True)]
            rate_bare, rate_worker = (
                bench.messages / statistics.median(getattr(one, measure) for one in those) for those in (bare, worker)
            )
            words = f"{does} by a worker, of bare kafka-python, {'wall clock' if measure == 'wall' else 'CPU'}"
            aim = f", aim {AIM}" if measure == "wall" else ""
            print(
                f"{words:60} {statistics.median(pair):6.2f} ({rate_worker:9,.0f}/s of {rate_bare:9,.0f}/s, "
                f"pairs {min(pair):.2f} … {max(pair):.2f}{aim})",
                flush=True,
            )
        rates[f"bare {kind}"] = bench.messages / statistics.median(one.wall for one in bare)
        rates[f"worker {kind}"] = bench.messages / statistics.median(one.wall for one in worker)
    return rates


# --- Kafka's own tools ---------------------------------------------------------------------------------------------


def tools_folder() -> Path | str:
    """The folder with the jars of Kafka's tools, fetched by Maven at first use; or why there is none."""
    folder = cache_folder() / f"kafka-tools-{TOOLS[2]}"
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        return "there is no Maven to fetch them"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        group, artifact, version = TOOLS
        pom, libs = Path(scratch) / "pom.xml", Path(scratch) / "libs"
        pom.write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>mqverify</groupId><artifactId>tools</artifactId><version>1</version><packaging>pom</packaging>"
            f"<dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency></dependencies></project>\n"
        )
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom), COPY]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            return f"Maven did not fetch them: {(done.stdout + done.stderr).strip()[:300]}"
        libs.rename(folder)
    return folder


def tool(java: str, libs: Path, name: str, *arguments: str) -> str:
    command = [java, "-cp", f"{libs}/*", f"org.apache.kafka.tools.{name}", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout


def kafkas_own(bench: Bench, java: str, libs: Path) -> dict[str, float]:
    """Messages a second of ProducerPerformance and ConsumerPerformance, as they print it."""
    bench.create("tools-")
    reach = ("--bootstrap-server", bench.broker.bootstrap, "--topic", "tools-messages")
    count = str(bench.messages)
    told = tool(
        java, libs, "ProducerPerformance", *reach, "--num-records", count, "--record-size", "200", "--throughput", "-1",
        "--command-property", "acks=all",
    )  # fmt: skip
    produced = float(re.findall(r"([\d.]+) records/sec", told)[-1])
    told = tool(java, libs, "ConsumerPerformance", *reach, "--num-records", count, "--timeout", "30000")
    header, figures = ([part.strip() for part in line.split(",")] for line in told.strip().splitlines()[-2:])
    consumed = float(dict(zip(header, figures, strict=True))["fetch.nMsg.sec"])
    return {"producer": produced, "consumer": consumed}


def compare_with_tools(bench: Bench, rates: dict[str, float]) -> None:
    libs = tools_folder()
    if isinstance(libs, str):
        print(f"Kafka's own tools: skipped, {libs}")
        return
    own = kafkas_own(bench, find_java(), libs)
    for kind, name in (("producer", "ProducerPerformance"), ("consumer", "ConsumerPerformance")):
        worker, bare = rates[f"worker {kind}"] / own[kind], rates[f"bare {kind}"] / own[kind]
        print(f"{kind}, of Kafka's {name:47} {worker:6.3f} (of {own[kind]:,.0f}/s; bare kafka-python {bare:.3f})")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--profile", choices=("producer", "consumer"), help="where a worker spends its time, instead")
    arguments = options.parse_args()
    try:
        broker = LocalCluster()
        broker.start()
    except BackendUnavailable as error:
        print(f"skipped, no Kafka: {str(error).splitlines()[0]}")
        return
    with broker, tempfile.TemporaryDirectory(prefix="mqverify-bench-") as folder:
        bench = Bench(broker, arguments.messages, Path(folder))
        if arguments.profile:
            bench.create("profile-")
            bench.worker("producer", "profile-", arguments.profile == "producer")
            if arguments.profile == "consumer":
                bench.worker("consumer", "profile-", profile=True)
            return
        compare_with_tools(bench, compare(bench, arguments.pairs))


if __name__ == "__main__":
    main()
