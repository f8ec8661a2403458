"""82093AA I/O APIC: 24 interrupt inputs that become messages to the local APIC.

Two memory-mapped registers, a selector and a window on the one selected, and (version 0x20) a
third that takes the vector of an interrupt whose end is to be declared.
Source: 82093AA datasheet (290566-001); Intel 82801 family for the EOI register.
"""
from functools import partial
from typing import Protocol

from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_ioapic_clear_remote_irr,
    trace_ioapic_eoi_broadcast,
    trace_ioapic_mem_read,
    trace_ioapic_mem_write,
    trace_ioapic_set_irq,
    trace_ioapic_set_remote_irr,
)

SIZE = 0x1000
PINS = 24

# Memory-mapped
IOREGSEL, IOWIN, EOI = 0x00, 0x10, 0x40
OFFSET_MASK = 0xFF

# Selected
ID, VERSION, ARBITRATION, REDIRECTION = 0x00, 0x01, 0x02, 0x10
REDIRECTION_END = REDIRECTION + 2 * PINS  # low and high half of each pin

VERSION_VALUE = 0x20 | PINS - 1 << 16
ID_SHIFT = 24
ID_MASK = 0xF

# Redirection entry, 64 bits
VECTOR = 0xFF
MODE_SHIFT = 8
LOGICAL_SHIFT = 11
REMOTE_IRR = 1 << 14
LEVEL = 1 << 15
MASKED = 1 << 16
DESTINATION_SHIFT = 56
# Delivery status (bit 12) never shows, for messages are not kept waiting. The polarity (bit 13)
# is kept but does not turn the pin round: a Line is high when it asks, whichever way its wire is.
WRITABLE = 0xFF << DESTINATION_SHIFT | 0x1AFFF
HALF = 0xFFFFFFFF

FIXED, LOWEST = 0, 1  # the delivery modes that know levels


class Deliver(Protocol):
    """Where messages go: `LocalApic.receive`."""

    def __call__(self, vector: int, delivery_mode: int, level_triggered: bool, dest: int,
                 dest_mode: int) -> None: ...


class IoApic(Chip):
    """The window of its page, and the inputs `line(n)`."""

    STATE = ("id", "select", "entries", "levels")

    def __init__(self, deliver: Deliver):
        self.deliver = deliver
        self.levels = [False] * PINS
        self._lines = [Line(partial(self._input, n)) for n in range(PINS)]
        self.reset()

    def reset(self) -> None:
        self.id = 0
        self.select = 0
        self.entries = [MASKED] * PINS

    def restored(self) -> None:
        for line, level in zip(self._lines, self.levels, strict=True):
            line.level = level

    def line(self, n: int) -> Line:
        """Input n, 0..23."""
        return self._lines[n]

    def _input(self, n: int, level: bool) -> None:
        if trace_ioapic_set_irq:
            trace_ioapic_set_irq(n, level)
        self.levels[n] = level
        if level:
            self._serve(n)

    def _serve(self, n: int) -> None:
        """A pin has risen, or is high by level: send its message if nothing forbids.

        An edge on a masked pin is lost. A level waits: for its mask, and for the end of the
        interrupt that it caused before.
        """
        entry = self.entries[n]
        if entry & (MASKED | REMOTE_IRR):
            return
        mode = entry >> MODE_SHIFT & 7
        level_triggered = entry & LEVEL != 0 and mode in (FIXED, LOWEST)
        if level_triggered:
            self.entries[n] = entry | REMOTE_IRR
            if trace_ioapic_set_remote_irr:
                trace_ioapic_set_remote_irr(n)
        self.deliver(entry & VECTOR, mode, level_triggered, entry >> DESTINATION_SHIFT,
                     entry >> LOGICAL_SHIFT & 1)

    def _serve_level(self, n: int) -> None:
        if self.levels[n] and self.entries[n] & LEVEL:
            self._serve(n)

    def eoi(self, vector: int) -> None:
        """The processor has ended that level-triggered interrupt; a pin still high asks again."""
        if trace_ioapic_eoi_broadcast:
            trace_ioapic_eoi_broadcast(vector)
        for n, entry in enumerate(self.entries):
            if entry & REMOTE_IRR and entry & VECTOR == vector:
                self.entries[n] = entry & ~REMOTE_IRR
                if trace_ioapic_clear_remote_irr:
                    trace_ioapic_clear_remote_irr(n, vector)
                self._serve_level(n)

    def read(self, offset: int, size: int) -> int:
        offset &= OFFSET_MASK
        if offset == IOREGSEL:
            value = self.select
        elif offset == IOWIN and size == 4:
            value = self._read_selected()
        else:
            value = 0
        if trace_ioapic_mem_read:
            trace_ioapic_mem_read(offset, self.select, size, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        offset &= OFFSET_MASK
        if trace_ioapic_mem_write:
            trace_ioapic_mem_write(offset, self.select, size, value)
        if offset == IOREGSEL:
            self.select = value & 0xFF
        elif size != 4:
            return
        elif offset == IOWIN:
            self._write_selected(value)
        elif offset == EOI:
            self.eoi(value & VECTOR)

    def _read_selected(self) -> int:
        select = self.select
        if REDIRECTION <= select < REDIRECTION_END:
            n, high = divmod(select - REDIRECTION, 2)
            return self.entries[n] >> 32 * high & HALF
        if select in (ID, ARBITRATION):
            return self.id << ID_SHIFT
        return VERSION_VALUE if select == VERSION else 0

    def _write_selected(self, value: int) -> None:
        select = self.select
        if REDIRECTION <= select < REDIRECTION_END:
            self._write_half_entry(*divmod(select - REDIRECTION, 2), value)
        elif select == ID:
            self.id = value >> ID_SHIFT & ID_MASK

    def _write_half_entry(self, n: int, high: int, value: int) -> None:
        old = self.entries[n]
        shift = 32 * high
        entry = old & ~(HALF << shift) | value << shift
        entry = entry & WRITABLE | old & REMOTE_IRR
        if not entry & LEVEL:
            entry &= ~REMOTE_IRR
        self.entries[n] = entry
        self._serve_level(n)
