"""Links, and the kernel's postponed timers."""

from mqverify.simulation.kernel import SECOND, Kernel
from mqverify.simulation.network import LEAST_LATENCY, MOST_LATENCY, Network
from mqverify.simulation.renewals import always


def test_a_link_keeps_the_order_and_takes_its_time() -> None:
    kernel = Kernel(4)
    link = Network(kernel).link("a-b", kernel.process("a"), kernel.process("b"))
    arrived: list[tuple[int, int]] = []
    for number in range(200):
        link.send(lambda number=number: arrived.append((number, kernel.now)))
    kernel.run()
    assert [number for number, _ in arrived] == list(range(200))
    assert all(LEAST_LATENCY <= at <= MOST_LATENCY for _, at in arrived)


def test_messages_wait_for_a_paused_process_and_are_lost_on_a_dead_one() -> None:
    kernel = Kernel(4)
    network, sender = Network(kernel), kernel.process("sender")
    paused, dead = kernel.process("paused"), kernel.process("dead")
    arrived: list[tuple[str, int]] = []
    for name, process in (("paused", paused), ("dead", dead)):
        network.link(name, sender, process).send(lambda name=name: arrived.append((name, kernel.now)))
    paused.pause()
    dead.kill()
    kernel.call_at(SECOND, paused.resume)
    kernel.run()
    assert arrived == [("paused", SECOND)]


def test_a_cut_holds_what_is_sent_and_lets_it_go_in_order() -> None:
    kernel = Kernel(4)
    network = Network(kernel)
    up = network.link("up", kernel.process("a#1"), kernel.process("b"))
    down = network.link("down", up.destination, up.source)
    cut = network.cut(["a"], ["b"])
    arrived: list[tuple[str, int]] = []
    for number in range(5):
        up.send(lambda number=number: arrived.append((f"up {number}", kernel.now)))
    down.send(lambda: arrived.append(("down", kernel.now)))
    assert not network.passes(up.source, up.destination)
    assert network.passes(down.source, down.destination)
    kernel.call_at(SECOND, network.lift, cut)
    kernel.run()
    assert [name for name, _ in arrived] == ["down", *(f"up {number}" for number in range(5))]
    assert all(at > SECOND for name, at in arrived if name != "down")


def test_what_a_cut_holds_is_forgotten_with_its_link() -> None:
    kernel = Kernel(4)
    network = Network(kernel)
    link = network.link("up", kernel.process("a"), kernel.process("b"))
    cut = network.cut(["a"], ["b"])
    arrived: list[str] = []
    link.send(arrived.append, "held")
    link.drop()
    network.lift(cut)
    kernel.run()
    assert arrived == []


def test_a_delay_makes_late_and_keeps_the_order() -> None:
    kernel = Kernel(4)
    network = Network(kernel)
    link = network.link("up", kernel.process("a"), kernel.process("b"))
    late = network.delay(["a"], ["b"], iter((5 * SECOND, SECOND)).__next__)
    arrived: list[tuple[int, int]] = []
    for number in range(2):
        link.send(lambda number=number: arrived.append((number, kernel.now)))
    network.lift(late)
    link.send(lambda: arrived.append((2, kernel.now)))
    kernel.run()
    assert [number for number, _ in arrived] == [0, 1, 2]
    assert all(at >= 5 * SECOND for _, at in arrived)


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
