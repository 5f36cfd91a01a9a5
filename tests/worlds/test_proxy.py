"""The proxy before real brokers, with plain sockets at both its ends: what each of its rules does, and to whom."""

import base64
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from mqverify.backends.base import Request
from mqverify.backends.kafka.frames import KafkaConversation, read_request
from mqverify.worlds.proxy import Proxy
from mqverify.worlds.proxy.rules import Countdown, Disturbance, Hold, Loss, Rules
from mqverify.worlds.proxy.tunnel import END, Tunnel

PRODUCE, FETCH, COMMIT, METADATA = 0, 1, 8, 3
SECOND = 1_000_000_000
BOTH = ("up", "down")


def request(key: int, number: int, acks: int = -1, version: int = 8, client: str = "c") -> bytes:
    """A request of Kafka's protocol, as long as a real one."""
    body = key.to_bytes(2, "big") + version.to_bytes(2, "big") + number.to_bytes(4, "big")
    body += len(client).to_bytes(2, "big") + client.encode()
    if key == PRODUCE and version >= 9:
        body += b"\0" + b"\5abcd"  # no tagged fields, a transactional id
    elif key == PRODUCE and version >= 3:
        body += b"\xff\xff"
    body += acks.to_bytes(2, "big", signed=True) + bytes(30)
    return len(body).to_bytes(4, "big") + body


def reply(number: int, size: int = 20) -> bytes:
    return (4 + size).to_bytes(4, "big") + number.to_bytes(4, "big") + bytes(size)


class Harness:
    """A proxy before one broker, which is a listening socket of the test."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.proxy = Proxy([self.address], KafkaConversation)
        self.sockets = [self.listener]

    def ask(self, line: str, user: str = "", password: str = "") -> tuple[socket.socket, bytes]:
        worker = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=10)
        self.sockets.append(worker)
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        worker.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
        return worker, worker.recv(1000)

    def knock(self, name: str) -> socket.socket:
        """A worker's connection to the broker, as far as the worker knows."""
        url = urlsplit(self.proxy.url(name))
        worker, answer = self.ask(f"CONNECT {self.address}", url.username or "", url.password or "")
        assert answer.startswith(b"HTTP/1.1 200 ")
        return worker

    def accept(self) -> socket.socket:
        accepted, _ = self.listener.accept()
        accepted.settimeout(10)
        self.sockets.append(accepted)
        return accepted

    def connect(self, name: str) -> tuple[socket.socket, socket.socket]:
        """The worker's end and the broker's."""
        return self.knock(name), self.accept()

    def until(self, condition: Callable[[], bool]) -> None:
        """Ask in the proxy's thread, between its events, until it is so."""
        deadline = time.monotonic() + 10
        while not self.proxy._order(condition):
            assert time.monotonic() < deadline

    def until_held(self, size: int) -> None:
        """Until so many bytes wait in the proxy."""

        def held() -> int:  # a worker hears that it is connected just before its connection is among them
            return sum(lane.queued for one in self.proxy._connections for lane in one.tunnel.lanes.values())

        self.until(lambda: held() == size)

    def silent(self, end: socket.socket) -> bool:
        """Whether nothing has come."""
        self.until(lambda: True)
        end.setblocking(False)
        try:
            end.recv(1)
        except BlockingIOError:
            return True
        finally:
            end.settimeout(10)
        return False

    def cut(self, *workers: str, ways: tuple[str, ...] = BOTH) -> Disturbance:
        cut = Disturbance(frozenset(workers), None, ways, None)  # type: ignore[arg-type]
        self.proxy.disturb(cut)
        return cut

    def close(self) -> None:
        self.proxy.check()
        self.proxy.close()
        for each in self.sockets:
            each.close()


@pytest.fixture
def harness() -> Iterator[Harness]:
    made = Harness()
    yield made
    made.close()


def passes(frame: bytes, source: socket.socket, destination: socket.socket) -> None:
    source.sendall(frame)
    assert destination.recv(len(frame), socket.MSG_WAITALL) == frame


def is_reset(end: socket.socket) -> bool:
    try:
        end.recv(1)
    except ConnectionResetError:
        return True
    return False


# -- who may pass ----------------------------------------------------------------------------------------------------


def test_all_passes_both_ways_and_an_end_ends_the_other(harness: Harness) -> None:
    worker, broker = harness.connect("billing/consumer-2")
    passes(request(METADATA, 1), worker, broker)
    passes(reply(1), broker, worker)
    worker.close()
    assert broker.recv(1) == b""
    broker.close()
    worker, broker = harness.connect("billing/consumer-2")
    broker.close()
    assert worker.recv(1) == b""


def test_what_comes_with_the_greeting_is_not_lost(harness: Harness) -> None:
    url = urlsplit(harness.proxy.url("a"))
    credentials = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    worker = socket.create_connection(("127.0.0.1", harness.proxy.port), timeout=10)
    harness.sockets.append(worker)
    head = f"CONNECT {harness.address} HTTP/1.1\r\nproxy-authorization: basic {credentials}\r\n\r\n"
    worker.sendall(head.encode() + request(METADATA, 1))
    assert harness.accept().recv(1000) == request(METADATA, 1)


@pytest.mark.parametrize(
    ("line", "own_password", "answer"),
    [
        ("CONNECT {address}", False, b"407"),
        ("CONNECT example.org:443", True, b"403"),
        ("CONNECT 127.0.0.1:22", True, b"403"),
        ("GET http://example.org/", True, b"405"),
        ("nonsense", True, b"405"),
    ],
)
def test_it_is_no_open_proxy(harness: Harness, line: str, own_password: bool, answer: bytes) -> None:
    url = urlsplit(harness.proxy.url("a"))
    password = (url.password or "") if own_password else "guess"
    worker, told = harness.ask(line.format(address=harness.address), url.username or "", password)
    assert told.split()[1] == answer
    assert worker.recv(1) == b"", "and it is hung up on"


def test_a_broker_that_is_not_there_breaks_the_connection(harness: Harness) -> None:
    harness.listener.close()
    assert harness.knock("a").recv(1) == b""


def test_a_worker_that_does_not_read_stalls_nobody_else(harness: Harness) -> None:
    _stopped, its_broker = harness.connect("stopped")
    worker, broker = harness.connect("another")
    its_broker.settimeout(0.2)
    with pytest.raises(TimeoutError):  # until the proxy takes no more of it
        its_broker.sendall(reply(1, 60_000_000))
    passes(request(METADATA, 1), worker, broker)
    passes(reply(1), broker, worker)


# -- cuts ------------------------------------------------------------------------------------------------------------


def test_a_cut_holds_what_is_sent_until_it_is_lifted(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    other, its_broker = harness.connect("b")
    cut = harness.cut("a")
    worker.sendall(request(METADATA, 1))
    broker.sendall(reply(1))
    harness.until_held(len(request(METADATA, 1) + reply(1)))
    assert harness.silent(worker)
    assert harness.silent(broker)
    passes(request(METADATA, 1), other, its_broker)
    harness.proxy.lift(cut)
    assert broker.recv(1000) == request(METADATA, 1)
    assert worker.recv(1000) == reply(1)


def test_a_cut_tells_whether_anything_was_to_pass_it(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    passes(request(METADATA, 1), worker, broker)
    idle, one_way = harness.cut("a"), harness.cut("a", ways=("up",))
    assert not harness.proxy.lift(idle), "nothing was sent while it lasted"
    passes(reply(1), broker, worker)
    assert not harness.proxy.lift(one_way), "only the other way"
    delay = Disturbance(frozenset("a"), None, BOTH, lambda: 0)  # type: ignore[arg-type]
    harness.proxy.disturb(delay)
    passes(request(METADATA, 2), worker, broker)
    assert harness.proxy.lift(delay)
    before_it_connects = harness.cut("b")
    harness.knock("b")
    assert harness.proxy.lift(before_it_connects)


@pytest.mark.parametrize("way", BOTH)
def test_a_cut_may_be_one_way(harness: Harness, way: str) -> None:
    worker, broker = harness.connect("a")
    cut = harness.cut("a", ways=(way,))
    up, down = (request(METADATA, 1), worker, broker), (reply(1), broker, worker)
    held, free = (up, down) if way == "up" else (down, up)
    passes(*free)
    held[1].sendall(held[0])
    harness.until_held(len(held[0]))
    assert harness.silent(held[2])
    harness.proxy.lift(cut)
    assert held[2].recv(1000) == held[0]


def test_of_two_cuts_both_must_be_lifted(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    first, second = harness.cut("a"), harness.cut("a", ways=("up",))
    worker.sendall(request(METADATA, 1))
    harness.until_held(len(request(METADATA, 1)))
    harness.proxy.lift(first)
    assert harness.silent(broker)
    harness.proxy.lift(second)
    assert broker.recv(1000) == request(METADATA, 1)


@pytest.mark.parametrize("way", BOTH)
def test_a_new_connection_hangs_in_a_cut_either_way(harness: Harness, way: str) -> None:
    cut = harness.cut("a", ways=(way,))
    worker = harness.knock("a")
    worker.sendall(request(METADATA, 1))
    harness.until_held(len(request(METADATA, 1)))
    harness.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        harness.listener.accept()
    harness.listener.settimeout(10)
    harness.proxy.lift(cut)
    assert harness.accept().recv(1000) == request(METADATA, 1)


def test_nothing_comes_of_a_connection_that_was_given_up_before_it_was_made(harness: Harness) -> None:
    cut = harness.cut("a")
    worker = harness.knock("a")
    worker.sendall(request(METADATA, 1))
    worker.close()
    harness.until(lambda: not harness.proxy._connections)
    harness.proxy.lift(cut)
    harness.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        harness.listener.accept()


def test_what_a_closed_connection_left_behind_comes_once_the_cut_is_over(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    cut = harness.cut("a")
    worker.sendall(request(PRODUCE, 1))
    worker.close()
    harness.until_held(len(request(PRODUCE, 1)))
    assert harness.silent(broker)
    harness.proxy.lift(cut)
    assert broker.recv(1000) == request(PRODUCE, 1)
    assert broker.recv(1) == b""


def tunnel(*disturbances: Disturbance) -> Tunnel:
    made = Tunnel(Rules(list(disturbances)), "a", "b", KafkaConversation(), 0)
    made.opened = True
    return made


def test_what_a_closed_connection_left_behind_is_given_up_after_a_while() -> None:
    for seconds, left in ((99, [request(PRODUCE, 1), END]), (101, [])):
        cut = Disturbance(frozenset("a"), None, BOTH, None)  # type: ignore[arg-type]
        made = tunnel(cut)
        made.from_worker(request(PRODUCE, 1), 0)
        made.ended("up", 0)
        made._rules.disturbances.clear()
        made.release(seconds * SECOND)
        assert list(made.lanes["up"].take(200 * SECOND)) == left


def test_what_a_reset_connection_had_not_got_through_is_gone() -> None:
    made = tunnel(Disturbance(frozenset("a"), None, BOTH, None))  # type: ignore[arg-type]
    made.from_worker(request(PRODUCE, 1), 0)
    made.ended("up", 0, abruptly=True)
    made._rules.disturbances.clear()
    made.release(SECOND)
    assert list(made.lanes["up"].take(SECOND)) == [END]


# -- delays ----------------------------------------------------------------------------------------------------------


def test_each_message_is_late_by_a_time_of_its_own_and_none_overtakes() -> None:
    times = iter([0, 5, 30, 10])  # the first is for the connection itself
    made = tunnel(Disturbance(frozenset("a"), None, ("up",), lambda: next(times)))
    frames = [request(METADATA, number) for number in range(3)]
    made.from_worker(frames[0] + frames[1], 100)
    made.from_worker(frames[2], 101)
    assert list(made.lanes["up"].take(104)) == []
    assert list(made.lanes["up"].take(105)) == frames[:1]
    assert made.next_due() == 130
    assert list(made.lanes["up"].take(129)) == []
    assert list(made.lanes["up"].take(130)) == frames[1:], "the third was drawn for 111 and waits for the second"
    made.from_broker(reply(0), 200)
    assert list(made.lanes["down"].take(200)) == [reply(0)], "the other way is as it was"


def test_a_late_message_arrives(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    harness.proxy.disturb(Disturbance(frozenset("a"), None, BOTH, lambda: 1_000_000))  # type: ignore[arg-type]
    passes(request(METADATA, 1), worker, broker)
    passes(reply(1), broker, worker)
    worker, broker = harness.connect("a")
    passes(request(METADATA, 1), worker, broker)


def test_the_rest_of_a_reply_comes_with_its_beginning() -> None:
    times = iter([0, 10])
    made = tunnel(Disturbance(frozenset("a"), None, ("down",), lambda: next(times)))
    made.from_broker(reply(1)[:12], 0)
    made.from_broker(reply(1)[12:], 3)
    assert b"".join(made.lanes["down"].take(10)) == reply(1)


# -- lost replies ----------------------------------------------------------------------------------------------------


class Losing:
    def __init__(self, harness: Harness, kind: str = "append", times: int = 1, skip: int = 0) -> None:
        self.struck: list[str] = []
        harness.proxy.lose(Loss(frozenset("ab"), kind, self.struck.append, times, skip))  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "key"), [("append", PRODUCE), ("settle", COMMIT)])
def test_a_lost_reply_breaks_the_connection_over_a_request_that_is_done(harness: Harness, kind: str, key: int) -> None:
    losing = Losing(harness, kind)
    worker, broker = harness.connect("a")
    passes(request(METADATA, 1), worker, broker)
    passes(reply(1), broker, worker)
    passes(request(key, 2), worker, broker)
    assert harness.silent(worker)
    assert losing.struck == [], "not before the broker has answered"
    broker.sendall(reply(2))
    assert is_reset(worker)
    assert losing.struck == ["a"]
    worker, broker = harness.connect("a")
    passes(request(key, 3), worker, broker)
    passes(reply(3), broker, worker)


def test_what_is_under_way_behind_a_lost_reply_is_done_and_not_answered_either(harness: Harness) -> None:
    losing = Losing(harness)
    worker, broker = harness.connect("a")
    for number in range(3):
        passes(request(PRODUCE, number), worker, broker)
    broker.sendall(reply(0))
    harness.until(lambda: losing.struck == ["a"])
    assert harness.silent(worker), "two of its requests are not done yet"
    broker.sendall(reply(1) + reply(2))
    assert is_reset(worker)


def test_replies_are_lost_in_a_row_from_the_nth_request_on(harness: Harness) -> None:
    losing = Losing(harness, times=2, skip=2)
    worker, broker = harness.connect("a")
    for number, key in enumerate((PRODUCE, COMMIT, PRODUCE)):
        passes(request(key, number), worker, broker)
        passes(reply(number), broker, worker)
    for lost in (1, 2):
        passes(request(PRODUCE, 3), worker, broker)
        broker.sendall(reply(3))
        assert is_reset(worker)
        assert losing.struck == ["a"] * lost
        worker, broker = harness.connect("a")
    passes(request(PRODUCE, 4), worker, broker)
    passes(reply(4), broker, worker)


def test_a_reply_that_never_came_is_not_lost_and_another_is(harness: Harness) -> None:
    losing = Losing(harness)
    worker, broker = harness.connect("a")
    passes(request(PRODUCE, 1), worker, broker)
    worker.close()
    assert broker.recv(1) == b""
    worker, broker = harness.connect("b")
    passes(request(PRODUCE, 1), worker, broker)
    broker.sendall(reply(1))
    assert is_reset(worker)
    assert losing.struck == ["b"]


def test_a_request_that_nobody_answers_is_not_waited_for(harness: Harness) -> None:
    losing = Losing(harness)
    worker, broker = harness.connect("a")
    passes(request(PRODUCE, 1, acks=0), worker, broker)
    passes(request(METADATA, 2), worker, broker)
    passes(reply(2), broker, worker)
    assert losing.struck == []


# -- resets and the n-th request -------------------------------------------------------------------------------------


def test_a_reset_breaks_all_connections_of_those_whom_it_means(harness: Harness) -> None:
    ends = [end for _ in range(2) for end in harness.connect("a")]
    other, its_broker = harness.connect("b")
    assert harness.proxy.reset({"a", "c"}, None) == ["a"]
    assert all(map(is_reset, ends))
    passes(request(METADATA, 1), other, its_broker)
    passes(request(METADATA, 1), *harness.connect("a"))


def test_a_reset_may_mean_some_brokers_only(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    assert harness.proxy.reset({"a"}, {"127.0.0.1:1"}) == []
    passes(request(METADATA, 1), worker, broker)
    assert harness.proxy.reset({"a"}, {harness.address}) == ["a"]


def test_a_cut_begins_with_the_nth_request_of_any_of_them(harness: Harness) -> None:
    (one, its_broker), (other, others_broker) = harness.connect("a"), harness.connect("b")
    cut = Disturbance(frozenset("ab"), None, BOTH, None)  # type: ignore[arg-type]
    begun: list[str] = []

    def begin(worker: str) -> None:
        begun.append(worker)
        harness.proxy.disturb_here(cut)

    harness.proxy.count_down(Countdown(frozenset("ab"), None, 3, begin))
    passes(request(METADATA, 1), one, its_broker)
    passes(request(METADATA, 1), other, others_broker)
    one.sendall(request(METADATA, 2))
    harness.until(lambda: begun == ["a"])
    assert harness.silent(its_broker)
    harness.proxy.lift(cut)
    assert its_broker.recv(1000) == request(METADATA, 2)


def test_a_reset_with_the_nth_request_does_not_pass_it_on(harness: Harness) -> None:
    worker, broker = harness.connect("a")
    harness.proxy.count_down(Countdown(frozenset("a"), None, 2, lambda _: harness.proxy.reset_here({"a"}, None)))  # type: ignore[arg-type, return-value]
    passes(request(METADATA, 1), worker, broker)
    worker.sendall(request(PRODUCE, 2))
    assert is_reset(worker)
    assert is_reset(broker)


# -- in settle -------------------------------------------------------------------------------------------------------


def test_the_reply_to_a_settlement_is_held_until_it_may_go(harness: Harness) -> None:
    free: list[object] = []
    armed = [False]

    def take(_worker: str) -> bool:
        was, armed[0] = armed[0], False
        return was

    def held(worker: str, let_go: object) -> None:
        free.extend((worker, let_go))

    harness.proxy.hold(Hold(frozenset("ab"), lambda _: armed[0], take, held))
    worker, broker = harness.connect("a")
    passes(request(COMMIT, 1), worker, broker)
    passes(reply(1), broker, worker)
    armed[0] = True
    passes(request(METADATA, 2), worker, broker)
    passes(reply(2), broker, worker)
    passes(request(COMMIT, 3), worker, broker)
    broker.sendall(reply(3) + reply(4))
    harness.until_held(len(reply(3) + reply(4)))
    assert harness.silent(worker)
    assert free[0] == "a"
    harness.proxy.let_go(free[1])  # type: ignore[arg-type]
    assert worker.recv(1000) == reply(3) + reply(4)


# -- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 7, 11, 64, 10_000])
def test_frames_are_found_however_they_are_cut(size: int) -> None:
    frames = [request(PRODUCE, 1), request(FETCH, 2), request(COMMIT, 3)]
    replies = [reply(1), reply(2, 0), reply(3, 500)]
    conversation = KafkaConversation()
    sent, came = b"".join(frames), b"".join(replies)
    found = [pair for at in range(0, len(sent), size) for pair in conversation.requests(sent[at : at + size])]
    assert [frame for frame, _ in found] == frames
    assert [asked for _, asked in found] == [
        Request(1, "append", True), Request(2, "other", True), Request(3, "settle", True),
    ]  # fmt: skip
    pieces = [pair for at in range(0, len(came), size) for pair in conversation.replies(came[at : at + size])]
    assert b"".join(piece for piece, _ in pieces) == came
    assert [number for _, number in pieces if number is not None] == [1, 2, 3]


@pytest.mark.parametrize("version", [2, 3, 8, 9, 13])
@pytest.mark.parametrize("acks", [-1, 0, 1])
@pytest.mark.parametrize("client", ["", "producer-1"])
def test_a_produce_request_tells_whether_anybody_answers(version: int, acks: int, client: str) -> None:
    assert read_request(request(PRODUCE, 7, acks, version, client)) == Request(7, "append", acks != 0)
