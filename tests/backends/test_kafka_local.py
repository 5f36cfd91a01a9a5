"""What is known of local clusters without starting one: their layout, what their logs tell, where they come from."""

import sys
from types import ModuleType

import pytest

from mqverify.backends.kafka import container, site
from mqverify.backends.kafka.broker_logs import UncleanElection, log_tail, unclean_elections
from mqverify.backends.kafka.container import IMAGE, ContainerBroker, why_no_container
from mqverify.backends.kafka.jars import NoKafka
from mqverify.backends.kafka.layout import CONTROLLER, Layout, free_ports
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.registry import real_system
from mqverify.errors import BackendUnavailable


def properties(layout, node):
    lines = (line for line in layout.properties(node).splitlines() if not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_one_broker_is_its_own_controller_and_several_have_one_apart():
    alone, several = Layout({1: 20001}, {}, 20002), Layout({1: 20001, 2: 20003, 3: 20004}, {}, 20002)
    assert properties(alone, 1)["process.roles"] == "broker,controller"
    assert properties(alone, 1)["offsets.topic.replication.factor"] == "1"
    assert (several.brokers, several.controller) == ([1, 2, 3], CONTROLLER)
    assert [properties(several, node)["process.roles"] for node in several.nodes] == ["broker"] * 3 + ["controller"]
    assert {properties(several, node)["controller.quorum.voters"] for node in several.nodes} == {"100@127.0.0.1:20002"}
    assert properties(several, 2)["advertised.listeners"] == "CLIENTS://127.0.0.1:20003"
    assert properties(several, 2)["offsets.topic.replication.factor"] == "3"


def test_settings_of_a_spec_go_before_ours():
    layout = Layout({1: 20001}, {}, 20002, {"group.min.session.timeout.ms": "7"})
    assert properties(layout, 1)["group.min.session.timeout.ms"] == "7"


def test_ports_are_not_those_of_outgoing_connections():
    """A client that looks for a dead broker would otherwise be given the broker's own port, sooner or later."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 for port in ports)


@pytest.mark.parametrize(
    ("target", "reached"), [("local", True), ("local:3", True), ("local:0", False), ("local:", False)]
)
def test_a_target_says_how_many_brokers(target, reached):
    assert real_system("kafka").reaches(target) is reached


LINE = (
    "[2026-11-28T18:16:19.827Z] INFO [QuorumController id=100] UNCLEAN partition change for {} with topic ID "
    "pwDcnGQpQMyuW3vHDuIsDg: {}, partitionEpoch: 2 -> 3 (ReplicationControlManager)\n"
)
RECOVERING = "leaderRecoveryState: RECOVERED -> RECOVERING, leaderEpoch: 1 -> 2"


def test_unclean_elections_are_read_from_the_controllers_log(tmp_path):
    log = tmp_path / "broker.log"
    log.write_text(
        LINE.format("unc-0", f"isr: [] -> [3], leader: -1 -> 3, {RECOVERING}, elr: [2] -> [], lastKnownElr: [2] -> []")
        + LINE.format("unc-0", "isr: [3] -> [3, 2]")  # still recovering, nobody new
        + LINE.format("unc-1", "isr: [] -> [2], leader: -1 -> 2, leaderEpoch: 1 -> 2, elr: [1, 2] -> [1]")  # Kafka 4.1
        + LINE.format("unc-2-0", f"isr: [1] -> [2], leader: 1 -> 2, {RECOVERING}")
        + LINE.format("unc-12", f"isr: [1] -> [2], leader: 1 -> 2, {RECOVERING}")
    )
    assert unclean_elections(log, "unc") == [
        UncleanElection(0, 1_795_889_779_827_000_000, 3),
        UncleanElection(12, 1_795_889_779_827_000_000, 2),
    ]
    assert unclean_elections(log, "unc-2") == [UncleanElection(0, 1_795_889_779_827_000_000, 2)]
    assert unclean_elections(tmp_path / "none", "unc") == []


def test_the_tail_of_a_log_is_whole_lines_without_settings(tmp_path):
    (tmp_path / "a.log").write_text("x" * 5000 + "\n[1] INFO settings:\n\tpassword = hidden\n[2] ERROR it broke\n")
    assert log_tail(tmp_path / "none", tmp_path / "a.log") == "[1] INFO settings:\n[2] ERROR it broke"
    assert log_tail(tmp_path / "none") == ""


# --- containers: no engine runs here, so with stand-ins for docker and testcontainers ---------------------------------


class Engine:
    """A container as docker's client shows it."""

    def __init__(self):
        self.status = "running"
        self.did = []

    def reload(self):
        pass

    def wait(self):
        pass

    def logs(self):
        return b"what it wrote"

    def _do(self, name, status):
        self.did.append(name)
        self.status = status

    def kill(self, how):
        self._do(f"kill {how}", "exited")

    def start(self):
        self._do("start", "running")

    def pause(self):
        self._do("pause", "paused")

    def unpause(self):
        self._do("unpause", "running")


class Container:
    made: list["Container"] = []  # noqa: RUF012 - of the test at hand

    def __init__(self, image):
        self.image, self.ports, self.environment, self.engine, self.stopped = image, {}, {}, Engine(), False
        Container.made.append(self)

    def with_envs(self, **environment):
        self.environment = environment

    def start(self):
        pass

    def get_wrapped_container(self):
        return self.engine

    def stop(self):
        self.stopped = True


@pytest.fixture
def docker(monkeypatch):
    """An engine that answers."""
    fake, core, client = ModuleType("docker"), ModuleType("testcontainers.core.container"), ModuleType("client")
    client.ping = client.close = lambda: None
    fake.from_env = lambda **_: client
    core.DockerContainer = Container
    Container.made = []
    for name, module in {
        "docker": fake,
        "testcontainers": ModuleType("testcontainers"),
        "testcontainers.core": ModuleType("testcontainers.core"),
        "testcontainers.core.container": core,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(container, "await_whole", lambda *_: None)
    return fake


@pytest.fixture
def no_kafka(monkeypatch):
    def start(_self, _tell):
        raise NoKafka("there is no Java")

    monkeypatch.setattr(LocalCluster, "start", start)


def test_a_container_is_started_where_there_is_no_java(docker, no_kafka, tmp_path):
    started = site.start_local(1, {"log.retention.ms": 5}, lambda _: None)
    (made,) = Container.made
    address = started.endpoint.address
    port = int(address.partition(":")[2])
    assert made.image == IMAGE
    assert made.ports == {f"{port}/tcp": ("127.0.0.1", port)}
    assert made.environment["KAFKA_ADVERTISED_LISTENERS"] == f"CLIENTS://{address}"
    assert made.environment["KAFKA_LISTENERS"].startswith(f"CLIENTS://0.0.0.0:{port},CONTROLLER://127.0.0.1:")
    assert made.environment["KAFKA_LOG_RETENTION_MS"] == "5"
    assert "in a container" in started.details["broker"]
    started.keep_logs(tmp_path)
    assert (tmp_path / "broker.log").read_bytes() == b"what it wrote"
    started.close()
    assert made.stopped


def test_faults_of_a_broker_in_a_container_are_those_of_the_container(docker):
    broker = ContainerBroker({})
    broker.start(lambda _: None)
    broker.kill(1)
    assert (broker.alive(), broker.gone()) == ([], [])
    broker.restart(1)
    broker.pause(1)
    assert broker.alive() == [1]
    broker.make_whole()
    (made,) = Container.made
    assert made.engine.did == ["kill SIGKILL", "start", "pause", "unpause"]
    made.engine.status = "exited"
    assert broker.gone() == [1]


def test_three_brokers_need_a_machine_with_java(docker, no_kafka):
    with pytest.raises(BackendUnavailable, match=r"(?s)no Java.*Docker.*one broker only"):
        site.start_local(3, {}, lambda _: None)


def test_an_engine_that_does_not_answer_is_said(docker, no_kafka):
    def refuse(**_):
        raise OSError("no such socket")

    docker.from_env = refuse
    with pytest.raises(BackendUnavailable, match=r"(?s)no Java.*Docker.*no engine answers: no such socket"):
        site.start_local(1, {}, lambda _: None)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    assert "mqverify[docker]" in why_no_container()
