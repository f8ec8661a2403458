from itertools import pairwise

import pytest
from pyemu.machine.i8254 import FREQUENCY, Pit
from pyemu.machine.line import Line

TICK = 1e9 / FREQUENCY  # ns


class Rig:
    def __init__(self, clock):
        self.clock = clock
        self.rises, self.falls = [], []
        self.pit = Pit(clock, Line(self.edge))
        self.passed = 0.0

    def edge(self, level):
        (self.rises if level else self.falls).append(self.clock.now())

    def pass_(self, ticks):
        """Let ticks pass, and stay in the middle of one."""
        self.passed += ticks
        self.clock.advance(round((self.passed + 0.5) * TICK) - self.clock.now())

    def program(self, channel, mode, count, access=3, bcd=0):
        self.pit.write(3, 1, channel << 6 | access << 4 | mode << 1 | bcd)
        self.count(channel, count)

    def count(self, channel, count):
        self.pit.write(channel, 1, count & 0xFF)
        self.pit.write(channel, 1, count >> 8)

    def latch(self, channel):
        self.pit.write(3, 1, channel << 6)
        return self.pit.read(channel, 1) | self.pit.read(channel, 1) << 8

    def values(self, channel, n):
        values = []
        for _ in range(n):
            self.pass_(1)
            values.append(self.latch(channel))
        return values

    def outs(self, channel, n):
        levels = []
        for _ in range(n):
            self.pass_(1)
            levels.append(self.out(channel))
        return "".join("-" if level else "_" for level in levels)

    def status(self, channel):
        self.pit.write(3, 1, 0xE0 | 2 << channel)
        return self.pit.read(channel, 1)

    def out(self, channel):
        return self.status(channel) >> 7

    def gate(self, level):
        self.pit.port61.write(0, 1, int(level))


@pytest.fixture
def rig(clock):
    rig = Rig(clock)
    rig.pass_(0)
    return rig


@pytest.fixture
def gated(rig):
    """Counter 2 with its gate open."""
    rig.gate(True)
    return rig


# The waveforms of the datasheet (figures 15 to 20), one column a tick after the count is written.

@pytest.mark.parametrize(("mode", "count", "values", "outs"), [
    (0, 4, [4, 3, 2, 1, 0, 0xFFFF, 0xFFFE], "____---"),
    (2, 3, [3, 2, 1, 3, 2, 1, 3], "--_--_-"),
    (3, 4, [4, 2, 4, 2, 4, 2, 4], "--__--_"),
    (3, 5, [4, 2, 0, 4, 2, 4, 2], "---__--"),
    (4, 3, [3, 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD], "---_---"),
    (6, 3, [3, 2, 1, 3, 2, 1, 3], "--_--_-"),
    (7, 4, [4, 2, 4, 2, 4, 2, 4], "--__--_"),
])
def test_waveforms(gated, mode, count, values, outs):
    gated.program(2, mode, count)
    assert gated.values(2, 7) == values
    gated.program(2, mode, count)
    assert gated.outs(2, 7) == outs


@pytest.mark.parametrize(("mode", "outs"), [(1, "___---"), (5, "---_--")])
def test_a_rising_gate_triggers_modes_1_and_5(rig, mode, outs):
    rig.program(2, mode, 3)
    assert rig.outs(2, 3) == "---"
    for _ in range(2):
        rig.gate(False)
        rig.gate(True)
        assert rig.outs(2, 6) == outs


def test_mode_1_is_retriggerable(gated):
    gated.program(2, 1, 3)
    for _ in range(3):
        gated.gate(False)
        gated.gate(True)
        assert gated.outs(2, 2) == "__"
    assert gated.outs(2, 2) == "_-"


@pytest.mark.parametrize("mode", [0, 4])
def test_gate_pauses_modes_0_and_4(gated, mode):
    gated.program(2, mode, 9)
    gated.pass_(4)
    gated.gate(False)
    assert gated.values(2, 3) == [6, 6, 6]
    gated.gate(True)
    assert gated.values(2, 2) == [5, 4]


@pytest.mark.parametrize("mode", [2, 3])
def test_gate_restarts_modes_2_and_3(gated, mode):
    gated.program(2, mode, 8)
    gated.pass_(8)
    gated.gate(False)
    assert gated.outs(2, 3) == "---"
    gated.gate(True)
    gated.pass_(1)
    assert gated.latch(2) == 8


def test_a_new_count_in_mode_2_waits_for_the_end_of_the_period(gated):
    gated.program(2, 2, 4)
    gated.pass_(2)
    gated.count(2, 3)
    assert gated.status(2) & 0x40
    assert gated.values(2, 6) == [2, 1, 3, 2, 1, 3]
    assert not gated.status(2) & 0x40


def test_a_new_count_in_mode_3_waits_for_the_end_of_the_half_period(gated):
    gated.program(2, 3, 8)
    gated.pass_(2)
    gated.count(2, 4)
    assert gated.outs(2, 8) == "--__--__"
    gated.count(2, 8)
    assert gated.outs(2, 8) == "----____"


def test_mode_0_falls_when_a_count_is_written(gated):
    gated.program(2, 0, 2)
    gated.pass_(5)
    assert gated.out(2) == 1
    gated.pit.write(2, 1, 9)
    assert gated.out(2) == 0
    gated.pit.write(2, 1, 0)
    assert gated.outs(2, 10) == "_________-"


def test_bcd(gated):
    gated.program(2, 0, 0x0100, bcd=1)
    assert gated.values(2, 2) == [0x0100, 0x0099]
    gated.program(2, 0, 0, bcd=1)
    assert gated.values(2, 2) == [0x0000, 0x9999]


def test_count_0_is_65536(gated):
    gated.program(2, 2, 0)
    assert gated.values(2, 2) == [0, 0xFFFF]


@pytest.mark.parametrize(("access", "count", "shown"), [(1, 0x34, 0x33), (2, 0x12, 0x11)])
def test_single_byte_access(gated, access, count, shown):
    gated.pit.write(3, 1, 0x80 | access << 4 | 4)
    gated.pit.write(2, 1, count)
    gated.pass_(2)
    assert {gated.pit.read(2, 1), gated.pit.read(2, 1)} == {shown}


def test_two_byte_reads_alternate(gated):
    gated.program(2, 2, 0x1234)
    gated.pass_(1)
    assert [gated.pit.read(2, 1) for _ in range(4)] == [0x34, 0x12, 0x34, 0x12]


def test_a_latched_count_is_held_until_read(gated):
    gated.program(2, 2, 0x1234)
    gated.pass_(1)
    gated.pit.write(3, 1, 0x80)
    gated.pass_(4)
    gated.pit.write(3, 1, 0x80)  # ignored
    assert [gated.pit.read(2, 1) for _ in range(4)] == [0x34, 0x12, 0x30, 0x12]


def test_read_back_gives_the_status_before_the_count(gated):
    gated.program(2, 3, 0x1234, bcd=1)
    gated.program(1, 2, 18)
    gated.pass_(1)
    gated.pit.write(3, 1, 0xCC)
    gated.pass_(5)
    assert [gated.pit.read(2, 1) for _ in range(3)] == [0xB7, 0x34, 0x12]
    assert [gated.pit.read(1, 1) for _ in range(3)] == [0xB4, 18, 0]


def test_null_count_until_the_first_count(rig):
    rig.pit.write(3, 1, 0x34)
    assert rig.status(0) == 0xF4
    rig.count(0, 100)
    assert rig.status(0) == 0xB4


def test_the_control_port_cannot_be_read(rig):
    assert rig.pit.read(3, 1) == 0


def test_mode_2_interrupts_without_drift(rig):
    rig.program(0, 2, 1193)
    start = rig.clock.now()
    rig.rises.clear()
    rig.clock.advance(seconds=10)
    assert len(rig.rises) == 10 * FREQUENCY // 1193
    assert abs(rig.rises[-1] - start - len(rig.rises) * 1193 * TICK) < 2 * TICK


def test_edges_that_are_late_come_quickly_one_by_one_and_then_on_the_grid(rig):
    rig.program(0, 2, 1000)
    start = rig.clock.now()
    rig.rises.clear()
    rig.clock.time += round(5500 * TICK)  # the host has slept
    rig.clock.run_due()
    assert len(rig.rises) == 1
    rig.clock.advance(round(502 * TICK))
    assert len(rig.rises) == 5
    rig.clock.advance(round(1000 * TICK))
    assert len(rig.rises) == 7
    assert abs(rig.rises[-1] - start - 7000 * TICK) < 2 * TICK


def test_edges_that_are_a_second_late_are_lost(rig):
    rig.program(0, 2, 1193)  # 1 ms
    rig.rises.clear()
    rig.clock.time += 3_600_000_000_000
    rig.clock.advance(seconds=1)
    assert 1950 < len(rig.rises) < 2050


def test_mode_0_interrupts_once_and_stays_high(rig):
    rig.program(0, 0, 1000)
    assert rig.pit.irq.level is False
    rig.rises.clear()
    rig.clock.advance(ms=100)
    assert len(rig.rises) == 1 and rig.pit.irq.level is True
    assert rig.pit.timer.deadline is None


def test_mode_4_interrupts_once(rig):
    rig.program(0, 4, 1000)
    rig.rises.clear()
    rig.clock.advance(ms=100)
    assert len(rig.rises) == 1


@pytest.mark.parametrize("mode", [2, 3])
def test_a_new_rate_starts_at_the_end_of_the_period(rig, mode):
    rig.program(0, mode, 10_000)
    rig.pass_(8_000)
    rig.rises.clear()
    start = rig.clock.now()
    rig.count(0, 1000)
    rig.pass_(5_100)
    ticks = [round((rise - start) / TICK) for rise in rig.rises]
    assert [b - a for a, b in pairwise(ticks)] == [1000] * 3
    assert abs(ticks[0] - 2000) <= 1


@pytest.mark.parametrize("mode", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_periods_do_not_choke_the_machine(rig, mode, count):
    rig.program(0, mode, count)
    rig.rises.clear()
    rig.clock.advance(ms=1)
    assert len(rig.rises) <= 50


def test_port_61_reads_back_gate_and_enables(rig):
    rig.pit.port61.write(0, 1, 0xFF)
    assert rig.pit.port61.read(0, 1) & 0xCF == 0x0F


def test_port_61_shows_out_2(gated):
    gated.program(2, 0, 3)
    levels = []
    for _ in range(5):
        gated.pass_(1)
        levels.append(gated.pit.port61.read(0, 1) >> 5 & 1)
    assert levels == [0, 0, 0, 1, 1]


def test_the_refresh_toggles_every_15_us(rig):
    rig.clock.advance(us=5)
    toggles = []
    for _ in range(6):
        toggles.append(rig.pit.port61.read(0, 1) >> 4 & 1)
        rig.clock.advance(us=15.085)
    assert toggles in ([0, 1] * 3, [1, 0] * 3)


def test_save_and_load(clock, rig):
    rig.program(0, 3, 1000)
    rig.gate(True)
    rig.program(2, 2, 500, bcd=0)
    rig.pass_(100)
    other = Rig(clock)
    other.pit.load(rig.pit.save())
    assert other.pit.save() == rig.pit.save()
    assert other.latch(2) == rig.latch(2) and other.pit.timer.deadline == rig.pit.timer.deadline
    assert other.pit.port61.read(0, 1) == rig.pit.port61.read(0, 1)
