"""The producer loop against a made-up client: the order of sends, and what is sent again."""

from collections.abc import Callable

from mqverify.spec.model import Keys, Workload
from mqverify.workload.client import Unsure
from mqverify.workload.plan import draw_plan
from mqverify.workload.producer import ProducerDuties, produce


class Script:
    """A client and a context in one; the outcomes of `lost` messages are unknown so many times."""

    def __init__(self, lost: dict[int, int]) -> None:
        self.said: list[str] = []
        self.unsure: list[Unsure] = []
        self._lost = dict(lost)
        self._time = 0

    def send(self, message: int, attempt: int = 1, expected: int | None = None) -> None:
        self.said.append(f"{message}.{attempt}" + ("" if expected is None else f"@{expected}"))
        if self._lost.get(message, 0) > 0:
            self._lost[message] -= 1
            self.unsure.append((message, attempt, expected))

    def wait(self) -> None:
        pass

    def close(self) -> None:
        self.said.append("close")

    def now(self) -> int:
        return self._time

    def sleep(self, duration: int) -> None:
        self._time += duration

    def marker(self, metric: str) -> Callable[[int], None]:
        return lambda message: None

    def stopping(self) -> bool:
        return False


def run(duties: ProducerDuties, lost: dict[int, int]) -> list[str]:
    script = Script(lost)
    produce(script, script, duties)  # type: ignore[arg-type]
    return script.said


def test_what_is_in_doubt_is_left_unless_the_application_sends_it_again() -> None:
    assert run(ProducerDuties([0, 1, 2]), {1: 2}) == ["0.1", "1.1", "2.1", "close"]
    again = ProducerDuties([0, 1, 2], retry_unsure=True)
    assert run(again, {1: 2}) == ["0.1", "1.1", "1.2", "1.3", "2.1", "close"]


def test_it_gives_up_after_ten_tries() -> None:
    said = run(ProducerDuties([0], retry_unsure=True), {0: 99})
    assert said == [*(f"0.{attempt}" for attempt in range(1, 11)), "close"]


def test_a_restarted_producer_sends_first_what_its_former_self_left_in_doubt() -> None:
    duties = ProducerDuties([5], retry_unsure=True, unsure=[(3, 1, 7)])
    assert run(duties, {}) == ["3.2@7", "5.1", "close"]


def test_writers_of_a_key_take_turns() -> None:
    plan = draw_plan(Workload(messages=60, keys=Keys(count=3), producers=4, writers_per_key=2), 1)
    for key in range(3):
        of_key = [plan.producers[message] for message in range(60) if plan.key_numbers[message] == key]
        assert set(of_key[0::2]) == {2 * key % 4}
        assert set(of_key[1::2]) == {(2 * key + 1) % 4}
