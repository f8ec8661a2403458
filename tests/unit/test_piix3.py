"""82371SB function 0: interrupt routing and reset control."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.piix3 import Piix3


class System:
    def __init__(self):
        self.causes = []

    def reset_request(self, cause):
        self.causes.append(cause)


@pytest.fixture
def bridge():
    return Piix3([Line(lambda level: None) for _ in range(16)], System())


def high(bridge):
    return [n for n, line in bridge._irqs.items() if line.level]


def test_slots_take_turns_at_the_pirqs(bridge):
    bridge.config_write(0x60, 4, 0x0B0A0B0A)
    bridge.config_write(0x62, 2, 0x0903)  # PIRQC to 3, PIRQD to 9
    for slot, pin, irq in ((1, 1, 10), (1, 2, 11), (2, 1, 11), (3, 1, 3), (4, 1, 9), (5, 1, 10)):
        line = bridge.line(slot, pin)
        line.set(True)
        assert high(bridge) == [irq]
        line.set(False)
        assert high(bridge) == []


def test_shared_interrupts_stay_up_until_the_last_lets_go(bridge):
    bridge.config_write(0x60, 4, 0x0B0B0B0B)
    lines = [bridge.line(slot, 1) for slot in (2, 3, 6)]
    for line in lines:
        line.set(True)
    for line in lines:
        assert high(bridge) == [11]
        line.set(False)
    assert high(bridge) == []


def test_a_pending_interrupt_follows_the_routing(bridge):
    bridge.line(1, 1).set(True)
    assert high(bridge) == []
    for route, irqs in ((10, [10]), (5, [5]), (0x8A, []), (2, []), (13, []), (16, [])):
        bridge.config_write(0x60, 1, route)
        assert high(bridge) == irqs


def test_reset_control_resets_and_remembers_the_kind(bridge):
    bridge.reset_control.write(0, 1, 2)
    assert (bridge.reset_control.read(0, 1), bridge.system.causes) == (2, [])
    bridge.reset_control.write(0, 1, 6)
    assert (bridge.reset_control.read(0, 1), bridge.system.causes) == (2, ["guest-reset"])


def test_reset_and_state(bridge):
    bridge.line(1, 1).set(True)
    bridge.config_write(0x60, 1, 10)
    bridge.reset_control.write(0, 1, 2)
    state = bridge.save()
    bridge.reset()
    assert (high(bridge), bridge.config[0x60], bridge.reset_type) == ([], 0x80, 0)
    bridge.load(state)
    assert (high(bridge), bridge.config[0x60], bridge.reset_type) == ([10], 10, 2)
