"""MC146818 real-time clock with 128 bytes of battery-backed CMOS memory.

Two ports: the index (bit 7 masks NMI) and the byte it selects. Nothing counts here: the time is
computed when asked for, flags are brought up to date when register C is read, and a timer is
armed only for the next interrupt that is enabled and not pending already.
Sources: Motorola MC146818A datasheet; 82371AB (290562) 6.3, RTC registers; ACPI 6.5, 5.2.9 for
the century. The daylight-saving bit is kept but has no effect, as in QEMU and in later chipsets.
"""
import datetime
from collections.abc import Callable, Mapping

from pyemu.clock import SECOND, Clock
from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_rtc_interrupt,
    trace_rtc_read,
    trace_rtc_set_time,
    trace_rtc_write,
)

SIZE = 128  # bytes of CMOS, the registers among them
INDEX, DATA = 0, 1  # port offsets
NMI_MASK = 0x80

SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM = range(6)
WEEKDAY, DAY, MONTH, YEAR, A, B, C, D = range(6, 14)
CENTURY = 0x32
TIME = (SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY)
ALARM = (SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM)

UIP = 0x80  # A: an update is about to happen
DIVIDER = 0x70
DIVIDER_RUNS = 0x20  # for a crystal of 32768 Hz; every other setting stops the clock
RATE = 0x0F

SET = 0x80  # B: no updates, the program sets the time
PIE, AIE, UIE = 0x40, 0x20, 0x10  # interrupt enables, each at the place of its flag in C
BINARY = 0x04  # else BCD
HOUR_24 = 0x02  # else 12-hour, with PM in bit 7
PM = 0x80

IRQF = 0x80  # C
PF, AF, UF = PIE, AIE, UIE
ENABLES = PIE | AIE | UIE

VALID = 0x80  # D: the battery is good

ANY = 0xC0  # alarm bytes from here match everything

UIP_NS = 244_141  # how long UIP is set before an update
CRYSTAL = 32768  # Hz
HALF_SECOND = SECOND // 2  # from the divider's start to the first update
DAY_SECONDS = 86400
EPOCH_DAYS = datetime.date(1970, 1, 1).toordinal()
EPOCH_WEEKDAY = 4  # 1 January 1970 was a Thursday; registers count from 1, Sunday


def days_since_epoch(year: int, month: int, day: int) -> int:
    """Days from 1 January 1970. Months and days out of range run over into the next."""
    year = min(max(year + (month - 1) // 12, datetime.MINYEAR), datetime.MAXYEAR)
    first = datetime.date(year, (month - 1) % 12 + 1, 1)
    return first.toordinal() - EPOCH_DAYS + day - 1


class Rtc(Chip):
    """The window of the two ports.

    irq: high while an enabled interrupt is pending, until register C is read.
    epoch: what the clock shows at virtual time 0, in seconds since 1970 (UTC or local time,
    whichever the guest expects).
    cmos: contents of CMOS bytes other than the clock's registers.
    on_change(offset): the guest has set the time, to so many seconds after what it was from epoch.
    """

    STATE = ("index", "nmi_masked", "ram", "base", "phase", "weekday_shift", "checked")

    def __init__(self, clock: Clock, irq: Line, epoch: int, cmos: Mapping[int, int],
                 on_change: Callable[[int], None] = lambda offset: None):
        self.clock = clock
        self.epoch = epoch
        self.on_change = on_change
        self.irq = irq
        self.timer = clock.timer(self._event, "rtc")
        self.index = 0
        self.nmi_masked = False
        self.ram = bytearray(SIZE)
        for address, value in cmos.items():
            self.ram[address] = value
        self.ram[A] = DIVIDER_RUNS | 6
        self.ram[B] = HOUR_24
        self.ram[D] = VALID
        # While the clock runs, it shows base + (now + phase) // SECOND.
        self.base = epoch
        self.phase = 0  # ns
        self.weekday_shift = 0  # what the guest has set against what the date says
        self.checked = clock.now()  # flags in C are up to date until then
        self.reset()

    def reset(self) -> None:
        """RESET disables the interrupts. Time and memory live on the battery."""
        self._check()
        self.index = 0
        self.nmi_masked = False
        self.ram[B] &= ~ENABLES
        self.ram[C] = 0
        self._update_irq()

    def restored(self) -> None:
        self._update_irq()

    def change_memory(self, settings: Mapping[int, tuple[int, int]]) -> None:
        """By address: which bits of the byte are set, and to what."""
        for address, (mask, value) in settings.items():
            self.ram[address] = self.ram[address] & ~mask | value

    # Ports

    def read(self, offset: int, size: int) -> int:
        if offset == INDEX:
            return 0xFF  # write-only
        index = self.index
        if index in TIME and self._running():
            value = self._time_registers()[index]
        elif index == A:
            value = self.ram[A] | (UIP if self._updating() else 0)
        elif index == C:
            self._check()
            value = self.ram[C]
            self.ram[C] = 0
            self._update_irq()
        else:
            value = self.ram[index]
        if trace_rtc_read:
            trace_rtc_read(index, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == INDEX:
            self.index = value & ~NMI_MASK
            self.nmi_masked = bool(value & NMI_MASK)
            return
        index = self.index
        if trace_rtc_write:
            trace_rtc_write(index, value)
        if index in TIME:
            self._write_time(index, value)
        elif index in ALARM or index in (A, B):
            self._write_control(index, value)
        elif index not in (C, D):
            self.ram[index] = value

    def _write_time(self, index: int, value: int) -> None:
        if self._running():
            self._check()
            self._freeze(self._time_registers())
            self.ram[index] = value
            self._start()
            self._update_irq()
        else:
            self.ram[index] = value

    def _write_control(self, index: int, value: int) -> None:
        """A, B or an alarm byte: what was to happen until now happens by the old settings."""
        self._check()
        had_divider = self._divided()
        shown = self._time_registers() if self._running() else None
        if index == A:
            value &= ~UIP
        elif index == B and value & SET:
            value &= ~UIE
        self.ram[index] = value
        if self._divided() and not had_divider:
            self.phase = (HALF_SECOND - self.clock.now()) % SECOND
        if self._running():
            if shown is None:
                self._start()
        elif shown is not None:
            self._freeze(shown)
        self._update_irq()

    # Time

    def _divided(self) -> bool:
        return self.ram[A] & DIVIDER == DIVIDER_RUNS

    def _running(self) -> bool:
        return self._divided() and not self.ram[B] & SET

    def _chain(self) -> int:
        """The divider chain in ns: its whole seconds are the updates."""
        return self.clock.now() + self.phase

    def _updating(self) -> bool:
        return self._running() and self._chain() % SECOND >= SECOND - UIP_NS

    def _freeze(self, registers: dict[int, int]) -> None:
        for index, value in registers.items():
            self.ram[index] = value

    def _start(self) -> None:
        """Run on from what is in the registers; the chain keeps its phase."""
        ram = self.ram
        year = self._decode(ram[YEAR]) + 100 * self._decode(ram[CENTURY])
        days = days_since_epoch(year, self._decode(ram[MONTH]), self._decode(ram[DAY]))
        seconds = (days * DAY_SECONDS + self._decode_hour(ram[HOURS]) * 3600
                   + self._decode(ram[MINUTES]) * 60 + self._decode(ram[SECONDS]))
        if trace_rtc_set_time:
            trace_rtc_set_time(seconds)
        self.base = seconds - self._chain() // SECOND
        weekday = (seconds // DAY_SECONDS + EPOCH_WEEKDAY) % 7 + 1
        self.weekday_shift = (self._decode(ram[WEEKDAY]) - weekday) % 7
        self.on_change(seconds - self.epoch - self.clock.now() // SECOND)

    def _seconds(self, chain: int) -> int:
        return self.base + chain // SECOND

    def _time_registers(self) -> dict[int, int]:
        """What the clock shows now, by register."""
        days, second = divmod(self._seconds(self._chain()), DAY_SECONDS)
        last = datetime.date.max.toordinal()
        date = datetime.date.fromordinal(min(max(days + EPOCH_DAYS, 1), last))
        minute, hour = second // 60, second // 3600
        encode = self._encode
        return {
            SECONDS: encode(second % 60),
            MINUTES: encode(minute % 60),
            HOURS: self._encode_hour(hour),
            WEEKDAY: encode((days + EPOCH_WEEKDAY + self.weekday_shift) % 7 + 1),
            DAY: encode(date.day),
            MONTH: encode(date.month),
            YEAR: encode(date.year % 100),
            CENTURY: encode(date.year // 100),
        }

    def _encode(self, value: int) -> int:
        return value if self.ram[B] & BINARY else value // 10 << 4 | value % 10

    def _decode(self, value: int) -> int:
        return value if self.ram[B] & BINARY else (value >> 4) * 10 + (value & 15)

    def _encode_hour(self, hour: int) -> int:
        if self.ram[B] & HOUR_24:
            return self._encode(hour)
        return self._encode((hour - 1) % 12 + 1) | (PM if hour >= 12 else 0)

    def _decode_hour(self, value: int) -> int:
        if self.ram[B] & HOUR_24:
            return self._decode(value)
        return self._decode(value & ~PM) % 12 + (12 if value & PM else 0)

    # Interrupts

    def _period(self) -> int:
        """Crystal ticks from one periodic interrupt to the next; 0 if there are none."""
        rate = self.ram[A] & RATE
        if rate == 0 or not self._divided():
            return 0
        return 1 << (rate - 1 if rate > 2 else rate + 6)

    def _next_periodic(self, chain: int) -> int | None:
        """The chain's ns at the first periodic event after `chain`."""
        period = self._period()
        if not period:
            return None
        ticks = (chain * CRYSTAL // SECOND // period + 1) * period
        return -(-ticks * SECOND // CRYSTAL)

    def _next_update(self, chain: int) -> int | None:
        return (chain // SECOND + 1) * SECOND if self._running() else None

    def _next_alarm(self, chain: int) -> int | None:
        """The first update after `chain` that brings the time of the alarm."""
        if not self._running():
            return None
        alarms = [self.ram[register] for register in ALARM]
        second, minute = (None if byte >= ANY else self._decode(byte) for byte in alarms[:2])
        hour = None if alarms[2] >= ANY else self._decode_hour(alarms[2])
        if (second or 0) > 59 or (minute or 0) > 59 or (hour or 0) > 23:
            return None
        start = self._seconds(chain)
        time = start + 1
        while True:
            if hour is not None and time // 3600 % 24 != hour:
                time += (hour - time // 3600) % 24 * 3600 - time % 3600
            elif minute is not None and time // 60 % 60 != minute:
                time += (minute - time // 60) % 60 * 60 - time % 60
            elif second is not None and time % 60 != second:
                time += (second - time) % 60
            else:
                return (chain // SECOND + time - start) * SECOND

    def _check(self) -> None:
        """Set the flags of all that has happened since the last check, enabled or not."""
        chain = self._chain()
        since = self.checked + self.phase
        self.checked = self.clock.now()
        for flag, upcoming in ((PF, self._next_periodic), (UF, self._next_update),
                               (AF, self._next_alarm)):
            if not self.ram[C] & flag:
                event = upcoming(since)
                if event is not None and event <= chain:
                    self.ram[C] |= flag

    def _update_irq(self) -> None:
        """Drive the line, and arm the timer for the next event that could change it."""
        pending = self.ram[B] & self.ram[C] & ENABLES
        if pending:
            self.ram[C] |= IRQF
        else:
            self.ram[C] &= ~IRQF
        if trace_rtc_interrupt and bool(pending) != self.irq.level:
            trace_rtc_interrupt(self.ram[C])
        self.irq.set(bool(pending))
        event = None if pending else self._next_enabled()
        if event is None:
            self.timer.cancel()
        else:
            self.timer.at(event - self.phase)

    def _next_enabled(self) -> int | None:
        enables, chain = self.ram[B], self.checked + self.phase
        events = [upcoming(chain) for enable, upcoming in (
            (PIE, self._next_periodic), (UIE, self._next_update), (AIE, self._next_alarm))
            if enables & enable]
        return min((event for event in events if event is not None), default=None)

    def _event(self) -> None:
        self._check()
        self._update_irq()
