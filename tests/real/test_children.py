"""Worker processes as the parent sees them: a stand-in that does what no worker should."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqverify.backends.base import Endpoint
from mqverify.errors import BackendLost, InternalError
from mqverify.workload.groups import Worker
from mqverify.worlds import children
from mqverify.worlds.base import Before, Ended, Struck
from mqverify.worlds.children import Child, wait_for_any
from mqverify.worlds.clock import RunClock
from mqverify.worlds.workforce import Workforce

WORKER = Worker("consumer-1", "consumer", 1, "group", 1)

STAND_IN = """
import json, os, pickle, signal, sys, time
task = pickle.loads(sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big")))
def tell(*words):
    os.write(task.notices, json.dumps(words).encode() + b"\\n")
def die(number):
    os.kill(os.getpid(), number)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Start a child that does what the lines say, after it has read its task."""
    started = []
    popen = subprocess.Popen

    def start(lines):
        def instead(command, **options):
            return popen([sys.executable, "-c", STAND_IN + lines], **options)

        monkeypatch.setattr(children.subprocess, "Popen", instead)
        task = {
            "scenario": None, "seed": 0, "worker": WORKER, "endpoint": Endpoint(""), "prefix": "",
            "clock": RunClock.starting_now(tmp_path), "folder": tmp_path, "before": Before(),
            "keeps_effects": False,
        }  # fmt: skip
        started.append(Child(len(started), task))
        return started[-1]

    yield start
    for child in started:
        child.signal(signal.SIGKILL)
        child.wait_until_dead()
        child.close()


def all_notices(child):
    found = []
    deadline = time.monotonic() + 20
    while not child.over:
        assert time.monotonic() < deadline
        wait_for_any([child], 0.01)
        found += child.notices()
    return found


@pytest.mark.parametrize(("wait", "what"), [("wait_until_stopped", "SIGSTOP"), ("wait_until_dead", "SIGKILL")])
def test_who_does_not_obey_is_told_and_does_not_count(stand_in, monkeypatch, wait, what):
    child = stand_in("time.sleep(1000)")
    with monkeypatch.context() as patch:
        patch.setattr(children, "_STOP_SECONDS", 0.05)
        with pytest.raises(BackendLost, match=rf"consumer-1 \(pid {child.pid}\) did not obey {what} .* run again"):
            getattr(child, wait)()


def test_who_obeys_is_waited_for(stand_in):
    child = stand_in("time.sleep(1000)")
    child.signal(signal.SIGSTOP)
    child.wait_until_stopped()
    assert not child.is_dead()
    child.signal(signal.SIGKILL)
    child.wait_until_dead()
    assert all_notices(child) == [Ended(WORKER, "crashed")]


def test_a_crash_that_was_announced_is_one(stand_in):
    child = stand_in("tell('struck', 7); tell('dies'); die(signal.SIGKILL)")
    assert all_notices(child) == [Struck(7, WORKER), Ended(WORKER, "crashed")]


@pytest.mark.parametrize(
    ("lines", "kind", "why"),
    [
        ("die(signal.SIGKILL)", BackendLost, r"killed by SIGKILL, which no fault asked for: .* memory .* run again"),
        ("tell('struck', 7); die(signal.SIGKILL)", BackendLost, "killed by SIGKILL"),  # it was to pause only
        ("die(signal.SIGTERM)", BackendLost, "killed by SIGTERM"),
        ("die(signal.SIGSEGV)", InternalError, r"killed by SIGSEGV, .* see \S+000-consumer-1.1.stderr"),
        ("tell('dies'); die(signal.SIGSEGV)", InternalError, "killed by SIGSEGV"),
    ],
)
def test_a_death_that_nobody_asked_for_is_no_crash_of_the_spec(stand_in, lines, kind, why):
    with pytest.raises(kind, match=why):
        all_notices(stand_in(lines))


class Deaf:
    """A child that no signal reaches."""

    over = False

    def __init__(self):
        self.signals, self.closed = [], False

    def signal(self, number):
        self.signals.append(number)

    def wait_until_dead(self):
        raise BackendLost("it did not obey")

    def close(self):
        self.closed = True


def test_one_who_does_not_die_keeps_the_others_from_nothing(stand_in):
    workforce = Workforce({}, [], None, None, None, lambda: None)
    others = [stand_in("time.sleep(1000)"), stand_in("time.sleep(1000)")]
    deaf = Deaf()
    workforce._children = [others[0], deaf, others[1]]
    with pytest.raises(BackendLost, match="did not obey"):
        workforce.end_all()
    assert deaf.closed
    assert all(child.is_dead() and child.over for child in others)


def test_what_cannot_be_started_says_what_to_do(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(children.subprocess, "Popen", full)
    common = {"scenario": None, "seed": 0, "prefix": "", "clock": RunClock.starting_now(tmp_path), "folder": tmp_path}
    workforce = Workforce(common, [], None, SimpleNamespace(endpoint=Endpoint("")), None, lambda: None)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(BackendLost, match="consumer-1 cannot be started: Too many open files; ask for fewer workers"):
        workforce.launch(WORKER, Before())
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_thousand_workers_can_be_listened_to(stand_in):
    """`select` knows no file number from 1024 on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_000:
        pytest.skip("the system allows no such file number")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    child = stand_in("tell('busy'); time.sleep(1000)")
    low = child.pipe
    try:
        child.pipe = fcntl.fcntl(low, fcntl.F_DUPFD, 1_500)
        wait_for_any([child], 20.0)
        assert [type(notice).__name__ for notice in child.notices()] == ["Busy"]
    finally:
        with suppress(OSError):
            os.close(low)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("lines", "killed"),
    [("time.sleep(1000)", True), ("tell('ended', 'finished', '')\ntime.sleep(1000)", False), ("", False)],
)
def test_who_was_through_by_himself_was_not_killed(stand_in, lines, killed):
    """A crash that comes too late is none: nothing was left for it to break off."""
    child = stand_in(lines)
    if not killed:
        wait_for_any([child], 20)
        while not lines and not child.is_dead():
            time.sleep(0.001)
    child.signal(signal.SIGKILL)
    child.wait_until_dead()
    with suppress(InternalError):  # the one that only ended
        child.notices()
    assert child.was_killed == killed
