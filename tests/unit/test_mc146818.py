from calendar import timegm

import pytest
from pyemu.machine.line import Line
from pyemu.machine.mc146818 import Rtc

SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM = range(6)
WEEKDAY, DAY, MONTH, YEAR, A, B, C, D = range(6, 14)
CENTURY = 0x32
SET, PIE, AIE, UIE, BINARY, HOUR_24 = 0x80, 0x40, 0x20, 0x10, 0x04, 0x02
IRQF, PF, AF, UF = 0x80, 0x40, 0x20, 0x10
TIME = (CENTURY, YEAR, MONTH, DAY, HOURS, MINUTES, SECONDS)


class Rig:
    def __init__(self, clock, *date, cmos=None):
        self.clock = clock
        self.irqs = []
        irq = Line(lambda level: level and self.irqs.append(clock.now()))
        epoch = timegm(date or (2024, 2, 28, 23, 59, 58))
        self.rtc = Rtc(clock, irq, epoch, cmos or {})

    def get(self, index):
        self.rtc.write(0, 1, index)
        return self.rtc.read(1, 1)

    def set(self, index, value):
        self.rtc.write(0, 1, index)
        self.rtc.write(1, 1, value)

    def time(self):
        return " ".join(f"{self.get(index):02x}" for index in TIME)

    def set_time(self, *values):
        for index, value in zip(TIME, values, strict=True):
            self.set(index, value)


@pytest.fixture
def rig(clock):
    return Rig(clock)


def test_it_shows_the_time_in_bcd(rig):
    assert rig.time() == "20 24 02 28 23 59 58"
    assert rig.get(WEEKDAY) == 4
    assert rig.get(D) == 0x80 and rig.get(A) == 0x26


@pytest.mark.parametrize(("date", "after"), [
    ((2024, 2, 28, 23, 59, 59), "20 24 02 29 00 00 00"),
    ((2023, 2, 28, 23, 59, 59), "20 23 03 01 00 00 00"),
    ((2000, 2, 28, 23, 59, 59), "20 00 02 29 00 00 00"),
    ((1999, 12, 31, 23, 59, 59), "20 00 01 01 00 00 00"),
    ((2024, 4, 30, 23, 59, 59), "20 24 05 01 00 00 00"),
])
def test_calendar(clock, date, after):
    rig = Rig(clock, *date)
    clock.advance(seconds=1)
    assert rig.time() == after


def test_binary(rig):
    rig.set(B, BINARY | HOUR_24)
    assert [rig.get(index) for index in TIME] == [20, 24, 2, 28, 23, 59, 58]


@pytest.mark.parametrize(("hour", "shown"), [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92),
                                             (13, 0x81), (23, 0x91)])
def test_12_hours(clock, hour, shown):
    rig = Rig(clock, 2024, 1, 1, hour, 0, 0)
    rig.set(B, 0)
    assert rig.get(HOURS) == shown
    rig.set(HOURS, shown)
    rig.set(B, HOUR_24)
    assert rig.get(HOURS) == hour // 10 << 4 | hour % 10


def test_setting_the_time(clock, rig):
    clock.advance(ms=300)
    rig.set(B, SET | HOUR_24)
    rig.set_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58)
    rig.set(WEEKDAY, 6)
    clock.advance(seconds=5)
    assert rig.time() == "19 99 12 31 23 59 58"
    rig.set(B, HOUR_24)
    clock.advance(ms=600)
    assert rig.time() == "19 99 12 31 23 59 58"
    clock.advance(ms=100)  # SET does not disturb the phase
    assert rig.time() == "19 99 12 31 23 59 59"
    clock.advance(seconds=1)
    assert rig.time() == "20 00 01 01 00 00 00" and rig.get(WEEKDAY) == 7


def test_writes_without_set_take_effect_too(clock, rig):
    rig.set(MINUTES, 0x30)
    clock.advance(seconds=2)
    assert rig.time() == "20 24 02 28 23 31 00"


def test_the_first_update_comes_half_a_second_after_the_divider_starts(clock, rig):
    clock.advance(ms=123)
    rig.set(A, 0x76)
    clock.advance(seconds=9)
    assert rig.time() == "20 24 02 28 23 59 58"
    rig.set(A, 0x26)
    clock.advance(ms=499)
    assert rig.time() == "20 24 02 28 23 59 58"
    clock.advance(ms=2)
    assert rig.time() == "20 24 02 28 23 59 59"


def test_uip_244_us_before_the_update(clock, rig):
    clock.advance(us=999_700)
    assert not rig.get(A) & 0x80
    clock.advance(us=100)
    assert rig.get(A) & 0x80
    rig.set(B, SET | HOUR_24)
    assert not rig.get(A) & 0x80
    rig.set(B, HOUR_24)
    rig.set(A, 0xA6)
    clock.advance(us=200)
    assert rig.get(A) == 0x26


@pytest.mark.parametrize(("rate", "hertz"), [(0, 0), (1, 256), (2, 128), (3, 8192), (6, 1024),
                                             (15, 2)])
def test_periodic_rates(clock, rig, rate, hertz):
    rig.set(A, 0x20 | rate)
    rig.set(B, PIE | HOUR_24)
    served = 0
    while (deadline := rig.rtc.timer.deadline) is not None and deadline <= 1e9:
        clock.advance(deadline - clock.now())
        assert rig.rtc.irq.level
        assert rig.get(C) & (IRQF | PF) == IRQF | PF
        served += 1
    assert served == hertz


def test_the_line_stays_high_and_the_timer_off_until_c_is_read(clock, rig):
    rig.set(B, PIE | HOUR_24)
    clock.advance(ms=100)
    assert len(rig.irqs) == 1 and rig.rtc.irq.level and rig.rtc.timer.deadline is None
    assert rig.get(C) == IRQF | PF
    assert not rig.rtc.irq.level and rig.get(C) == 0


def test_flags_are_set_without_their_enables(clock, rig):
    assert rig.get(C) == 0
    clock.advance(ms=999)
    assert rig.get(C) == PF
    clock.advance(ms=2)
    assert rig.get(C) == PF | UF
    assert rig.irqs == []


def test_enabling_an_interrupt_whose_flag_is_set(clock, rig):
    clock.advance(seconds=1)
    rig.set(B, UIE | HOUR_24)
    assert rig.rtc.irq.level
    rig.set(B, HOUR_24)
    assert not rig.rtc.irq.level


def test_update_ended_interrupts(clock, rig):
    rig.set(B, UIE | HOUR_24)
    for _ in range(3):
        clock.advance(seconds=1)
        rig.get(C)
    assert rig.irqs == [1_000_000_000, 2_000_000_000, 3_000_000_000]


def test_set_clears_uie(rig):
    rig.set(B, SET | UIE)
    assert rig.get(B) == SET


ANY = 0xFF


@pytest.mark.parametrize(("hour", "minute", "second", "after"), [
    (ANY, ANY, ANY, [1, 2, 3]),
    (ANY, ANY, 0x05, [7, 67, 127]),
    (ANY, 0x01, 0xC0, [62, 63, 64]),
    (ANY, 0x59, 0x58, [3600, 7200, 10800]),
    (0x00, 0x00, 0x00, [2, 86402, 172802]),
    (0x23, 0x59, 0x58, [86400, 172800, 259200]),
    (0x23, ANY, 0x00, [82802, 82862, 82922]),
])
def test_alarm(clock, rig, hour, minute, second, after):
    rig.set(HOURS_ALARM, hour)
    rig.set(MINUTES_ALARM, minute)
    rig.set(SECONDS_ALARM, second)
    rig.set(B, AIE | HOUR_24)
    for seconds in after:
        clock.advance(rig.rtc.timer.deadline - clock.now())
        assert clock.now() == seconds * 1_000_000_000
        assert rig.get(C) & (IRQF | AF) == IRQF | AF


def test_an_alarm_that_never_comes(rig):
    rig.set(HOURS_ALARM, 0x24)
    rig.set(B, AIE | HOUR_24)
    assert rig.rtc.timer.deadline is None


def test_alarm_in_12_hour_format(clock):
    rig = Rig(clock, 2024, 1, 1, 11, 59, 59)
    rig.set(HOURS_ALARM, 0x92)
    rig.set(B, AIE)
    clock.advance(seconds=1)
    assert rig.get(C) & AF


def test_reset_disables_interrupts_and_keeps_the_time(clock, rig):
    rig.set(B, PIE | HOUR_24)
    rig.set(0x40, 0x5A)
    clock.advance(seconds=1)
    rig.rtc.reset()
    assert not rig.rtc.irq.level and rig.get(B) == HOUR_24 and rig.get(0x40) == 0x5A
    assert rig.time() == "20 24 02 28 23 59 59"


def test_index_port(clock):
    rig = Rig(clock, cmos={0x7F: 0x42})
    rig.rtc.write(0, 1, 0xFF)
    assert rig.rtc.nmi_masked and rig.rtc.read(1, 1) == 0x42 and rig.rtc.read(0, 1) == 0xFF
    rig.rtc.write(0, 1, 0)
    assert not rig.rtc.nmi_masked


def test_c_and_d_are_read_only(rig):
    rig.set(C, 0xFF)
    rig.set(D, 0)
    assert (rig.get(C), rig.get(D)) == (0, 0x80)


@pytest.mark.parametrize("mode", [0, BINARY, HOUR_24, BINARY | HOUR_24])
@pytest.mark.parametrize("value", [0, 0x1A, 0x99, 0xFF])
def test_nonsense_in_every_register_does_no_harm(clock, rig, mode, value):
    for index in range(0x33):
        rig.set(index, value)
    rig.set(A, 0x26)
    rig.set(B, mode | AIE | UIE)
    for index in TIME:
        rig.set(index, value)
    for _ in range(3):
        clock.advance(seconds=86400)
        rig.time()
        rig.get(C)


def test_save_and_load(clock, rig):
    rig.set(B, UIE | HOUR_24)
    rig.set(MINUTES, 0x10)
    clock.advance(ms=100)
    other = Rig(clock, 1990, 1, 1, 0, 0, 0)
    other.rtc.load(rig.rtc.save())
    assert other.rtc.save() == rig.rtc.save() and other.time() == rig.time()
    clock.advance(seconds=1)
    assert other.rtc.irq.level


def test_the_guest_sets_the_time_and_the_host_hears_of_it(clock):
    offsets = []
    rtc = Rtc(clock, Line(lambda level: None), timegm((2020, 1, 1, 12, 0, 0)), {}, offsets.append)
    clock.advance(seconds=5)
    for index, value in ((B, SET | HOUR_24), (YEAR, 0x30), (B, HOUR_24), (MINUTES, 0x10)):
        rtc.write(0, 1, index)
        rtc.write(1, 1, value)
    assert offsets == [315619200, 315619800]
