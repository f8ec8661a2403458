"""IA-PC HPET specification 1.0a: what the counter and the three comparators do."""
import pytest
from pyemu.machine.hpet import Hpet
from pyemu.machine.line import Line

CAPABILITIES, CONFIG, STATUS, COUNTER = 0x00, 0x10, 0x20, 0xF0
ENABLE, LEGACY = 1, 2
LEVEL, INTERRUPT, PERIODIC, SET_VALUE, MODE_32 = 0x02, 0x04, 0x08, 0x40, 0x100
GSI_2 = 2 << 9
TICK = 10  # ns


class Rig:
    """`rises` are (line, tick): 0 and 8 the legacy interrupts, "a" to "c" the timers' routes."""

    def __init__(self, clock):
        self.clock = clock
        self.rises = []
        self.replaced = []
        self.lines = {name: Line(self.watch(name)) for name in (0, 8, "a", "b", "c")}
        lines = list(self.lines.values())
        self.hpet = Hpet(clock, lines[:2], lines[2:], self.replaced.append)
        self.origin = 0

    def watch(self, name):
        def changed(level):
            if level:
                self.rises.append((name, (self.clock.now() - self.origin) // TICK))
        return changed

    def read(self, register):
        return self.hpet.read(register, 8)

    def write(self, register, value):
        self.hpet.write(register, 8, value)

    def timer(self, n, config, *comparators):
        self.write(0x100 + 0x20 * n, config)
        for value in comparators:
            self.write(0x108 + 0x20 * n, value)

    def start(self, config=ENABLE):
        self.origin = self.clock.now()
        self.write(CONFIG, config)

    def pass_(self, ticks):
        self.clock.advance(ticks * TICK)


@pytest.fixture
def rig(clock):
    return Rig(clock)


def test_capabilities(rig):
    assert rig.read(CAPABILITIES) == 0x0098_9680_8086_A201
    assert [rig.read(0x100 + 0x20 * n) for n in range(4)] == [0x4_0000_0030] * 3 + [0]
    assert [rig.hpet.read(offset, 4) for offset in (0, 4, 0x104)] == [0x8086A201, 0x989680, 4]


def test_the_counter_counts_while_enabled(rig):
    rig.pass_(100)
    assert rig.read(COUNTER) == 0
    rig.write(COUNTER, 0xFFFF_FFF0)
    rig.start()
    rig.pass_(0x20)
    assert rig.read(COUNTER) == 0x1_0000_0010
    assert [rig.hpet.read(COUNTER + half, 4) for half in (0, 4)] == [0x10, 1]
    rig.write(COUNTER, 5)
    rig.pass_(1)
    rig.write(CONFIG, 0)
    rig.pass_(1000)
    assert rig.read(COUNTER) == 0x1_0000_0011


def test_the_counter_wraps_at_64_bits(rig):
    rig.hpet.write(COUNTER, 4, 0xFFFF_FFFF)
    rig.hpet.write(COUNTER + 4, 4, 0xFFFF_FFFF)
    rig.timer(2, INTERRUPT | GSI_2, 2)
    rig.start()
    rig.pass_(10)
    assert rig.read(COUNTER) == 9 and rig.rises == [("c", 3)]


def test_what_is_no_register(rig):
    for offset in (0x08, 0x18, 0x28, 0xE0, 0x110, 0x160, 0x3F8, 0xFF8):
        rig.write(offset, 0xFFFF_FFFF_FFFF_FFFF)
        assert rig.read(offset) == 0
    rig.hpet.write(CONFIG, 1, 3)
    rig.hpet.write(CONFIG, 2, 3)
    rig.write(CAPABILITIES, 0)
    assert rig.read(CONFIG) == 0 and rig.read(CAPABILITIES)
    rig.write(CONFIG, 0xFFFF_FFFF_FFFF_FFFF)
    assert rig.read(CONFIG) == 3


def test_one_shot(rig):
    rig.timer(2, INTERRUPT | GSI_2, 500)
    rig.start()
    rig.pass_(499)
    assert rig.rises == []
    rig.pass_(100_000)
    assert rig.rises == [("c", 500)] and rig.read(STATUS) == 0
    rig.timer(2, INTERRUPT | GSI_2, 200_000)
    rig.pass_(200_000)
    assert rig.rises[1:] == [("c", 200_000)]


def test_a_comparator_that_has_been_passed_matches_at_once(rig):
    rig.start()
    rig.pass_(1000)
    rig.timer(2, INTERRUPT | GSI_2, 900)
    rig.pass_(1)
    assert len(rig.rises) == 1


def test_level(rig):
    rig.timer(2, INTERRUPT | LEVEL | GSI_2, 500)
    rig.start()
    rig.pass_(600)
    assert rig.lines["c"].level and rig.read(STATUS) == 4
    rig.write(STATUS, 3)
    assert rig.lines["c"].level
    rig.write(STATUS, 4)
    assert not rig.lines["c"].level and rig.read(STATUS) == 0


@pytest.mark.parametrize("how", ["timer", "counter", "type", "reset"])
def test_what_takes_a_level_back(rig, how):
    rig.timer(2, INTERRUPT | LEVEL | GSI_2, 5)
    rig.start()
    rig.pass_(6)
    assert rig.lines["c"].level
    if how == "reset":
        rig.hpet.reset()
    elif how == "counter":
        rig.write(CONFIG, 0)
    else:
        rig.timer(2, GSI_2 | (LEVEL if how == "timer" else INTERRUPT))
    assert not rig.lines["c"].level and rig.read(STATUS) == 0


def test_only_the_route_of_the_capability_leads_anywhere(rig):
    rig.timer(2, INTERRUPT | LEVEL | 5 << 9, 5)
    rig.start()
    rig.pass_(6)
    assert rig.rises == [] and rig.read(STATUS) == 4
    rig.timer(2, INTERRUPT | LEVEL | GSI_2)
    assert rig.rises == [("c", 6)]


def test_periodic_as_linux_sets_it_up(rig):
    config = INTERRUPT | PERIODIC | MODE_32
    rig.start(ENABLE | LEGACY)
    rig.timer(0, config | SET_VALUE, 10_000, 400_000)
    assert rig.read(0x100) & SET_VALUE == 0
    for _ in range(9):
        rig.pass_(100_000)
    assert rig.rises == [(0, 10_000), (0, 410_000), (0, 810_000)]
    assert rig.read(0x108) == 1_210_000
    rig.timer(0, MODE_32 | PERIODIC)
    rig.pass_(1_000_000)
    assert len(rig.rises) == 3


def test_a_period_too_short_to_be_served(rig):
    rig.timer(2, INTERRUPT | PERIODIC | GSI_2 | SET_VALUE, 1, 1)
    rig.start()
    for _ in range(100):
        rig.pass_(1000)
    assert 40 <= len(rig.rises) <= 60


def test_periods_that_the_host_was_late_for_come_all_the_same(rig):
    rig.timer(2, INTERRUPT | PERIODIC | GSI_2 | SET_VALUE, 100_000, 100_000)
    rig.start()
    rig.clock.time += 550_000 * TICK  # the host has slept
    rig.clock.run_due()
    assert len(rig.rises) == 1
    rig.pass_(50_001)
    assert len(rig.rises) == 5
    rig.pass_(200_000)
    assert rig.rises[-2:] == [("c", 700_000), ("c", 800_000)] and len(rig.rises) == 8


def test_periods_that_are_a_second_late_are_lost(rig):
    rig.timer(2, INTERRUPT | PERIODIC | GSI_2 | SET_VALUE, 100_000, 100_000)  # 1 ms
    rig.start()
    rig.clock.time += 3_600_000_000_000
    rig.clock.advance(seconds=1)
    assert 1950 < len(rig.rises) < 2050
    assert rig.rises[-1][1] % 100_000 == 0


def test_32_bits_one_shot_interrupts_at_the_wrap_too(rig):
    rig.write(COUNTER, 0xFFFF_FF00)
    rig.timer(2, INTERRUPT | MODE_32 | GSI_2, 0x1_0000_0100)
    assert rig.read(0x148) == 0x100
    rig.start()
    for _ in range(8):
        rig.pass_(0x80)
    assert rig.rises == [("c", 0x100), ("c", 0x200)]


def test_a_match_far_away(rig):
    rig.timer(2, INTERRUPT | GSI_2, 1 << 62)
    rig.start()
    assert rig.hpet.timer2.timer.deadline < 1 << 63
    rig.clock.advance(rig.hpet.timer2.timer.deadline - rig.clock.now())
    assert rig.rises == [] and rig.hpet.timer2.timer.deadline


def test_legacy_replacement(rig):
    pit, rtc = rig.hpet.inputs
    pit.set(True)
    rtc.set(True)
    assert rig.rises == [(0, 0), (8, 0)] and not rig.replaced
    for n, config in ((0, INTERRUPT), (1, INTERRUPT | LEVEL), (2, INTERRUPT | GSI_2)):
        rig.timer(n, config, 5 + n)
    rig.start(ENABLE | LEGACY)
    assert rig.replaced == [True] and not rig.lines[0].level and not rig.lines[8].level
    pit.set(False)
    pit.set(True)
    rig.pass_(10)
    assert rig.rises[2:] == [(0, 5), (8, 6), ("c", 7)]
    rig.write(CONFIG, 0)
    assert rig.replaced == [True, False] and rig.lines[0].level and rig.lines[8].level
    rtc.set(False)
    assert not rig.lines[8].level


def test_reset_gives_the_interrupts_back(rig):
    rig.timer(0, INTERRUPT | PERIODIC | SET_VALUE, 5, 500_000)
    rig.start(ENABLE | LEGACY)
    rig.pass_(10)
    rig.hpet.reset()
    rig.pass_(1_000_000)
    assert rig.replaced == [True, False] and len(rig.rises) == 1
    assert rig.read(COUNTER) == rig.read(CONFIG) == 0 and rig.read(0x108) == (1 << 64) - 1


def test_a_pause_stops_the_counter(rig):
    rig.start()
    rig.pass_(10)
    rig.clock.pause()
    assert rig.read(COUNTER) == 10


def test_save_and_load(rig, clock):
    rig.timer(0, INTERRUPT | LEVEL, 5)
    rig.timer(2, INTERRUPT | PERIODIC | GSI_2 | SET_VALUE, 9000, 9000)
    rig.start(ENABLE | LEGACY)
    rig.pass_(10_000)
    state = rig.hpet.save()
    other = Rig(clock)
    other.hpet.load(state)
    assert other.replaced == [True] and other.lines[0].level and other.lines["c"].level
    assert other.hpet.save() == state
    other.pass_(10_000)
    assert [name for name, _ in other.rises].count("c") == 2
