"""Links, and the kernel's postponed timers."""

from mqverify.simulation.kernel import SECOND, Kernel
from mqverify.simulation.network import LEAST_LATENCY, MOST_LATENCY, Link
from mqverify.simulation.renewals import always


def test_a_link_keeps_the_order_and_takes_its_time() -> None:
    kernel = Kernel(4)
    link = Link(kernel, "a-b", kernel.process("b"))
    arrived: list[tuple[int, int]] = []
    for number in range(200):
        link.send(lambda number=number: arrived.append((number, kernel.now)))
    kernel.run()
    assert [number for number, _ in arrived] == list(range(200))
    assert all(LEAST_LATENCY <= at <= MOST_LATENCY for _, at in arrived)


def test_messages_wait_for_a_paused_process_and_are_lost_on_a_dead_one() -> None:
    kernel = Kernel(4)
    paused, dead = kernel.process("paused"), kernel.process("dead")
    arrived: list[tuple[str, int]] = []
    for name, process in (("paused", paused), ("dead", dead)):
        Link(kernel, name, process).send(lambda name=name: arrived.append((name, kernel.now)))
    paused.pause()
    dead.kill()
    kernel.call_at(SECOND, paused.resume)
    kernel.run()
    assert arrived == [("paused", SECOND)]


def test_a_postponed_timer_falls_due_at_its_last_time() -> None:
    kernel = Kernel(0)
    fired: list[int] = []
    timer = kernel.call_at(SECOND, lambda: fired.append(kernel.now))
    for at in range(2, 6):
        kernel.call_at((at - 1) * SECOND - 1, kernel.postpone, timer, at * SECOND)
    kernel.run()
    assert fired == [5 * SECOND]


def test_a_postponed_renewal_is_shifted_with_the_others() -> None:
    kernel = Kernel(0)
    fired: list[tuple[str, int]] = []
    watchdog = kernel.call_at(10 * SECOND, lambda: fired.append(("watchdog", kernel.now)), renews=always)
    kernel.call_at(5 * SECOND, kernel.postpone, watchdog, 15 * SECOND)
    kernel.call_at(1000 * SECOND, lambda: fired.append(("substance", kernel.now)))
    kernel.run()
    assert fired == [("watchdog", 1000 * SECOND), ("substance", 1000 * SECOND)]
