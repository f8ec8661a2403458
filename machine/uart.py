"""16550A UART: one serial port of a PC.

Eight byte-wide registers; with DLAB (bit 7 of the line control register) set, the first two are
the divisor of the 1.8432 MHz crystal. Characters written go to the character device at once, so
that a guest is not bound to its baud rate; only the receiver's time-out counts character times.
Source: National Semiconductor PC16550D datasheet, section 8.
"""
from collections.abc import Callable
from typing import Any

from pyemu.trace.hooks import trace_serial_read, trace_serial_update_parameters, trace_serial_write

from .chip import Chip
from .line import Line

CRYSTAL = 1_843_200  # Hz
SECOND = 1_000_000_000  # ns
FIFO_SIZE = 16

# Interrupt enable register
IER_RECEIVED, IER_EMPTY, IER_LINE, IER_MODEM = 0x01, 0x02, 0x04, 0x08
IER_MASK = 0x0f

# Interrupt identification register, in order of priority
IIR_LINE, IIR_TIMEOUT, IIR_RECEIVED, IIR_EMPTY, IIR_MODEM, IIR_NONE = 6, 0xc, 4, 2, 0, 1
IIR_FIFOS = 0xc0

# FIFO control register
FCR_ENABLE, FCR_CLEAR_RECEIVER = 0x01, 0x02
FCR_KEPT = 0xc9  # enable, DMA mode, trigger level
TRIGGER_LEVELS = (1, 4, 8, 14)

# Line control register
LCR_DATA_BITS, LCR_TWO_STOP, LCR_PARITY, LCR_EVEN, LCR_DLAB = 0x03, 0x04, 0x08, 0x10, 0x80

# Modem control register
MCR_DTR, MCR_RTS, MCR_OUT1, MCR_OUT2, MCR_LOOP = 0x01, 0x02, 0x04, 0x08, 0x10
MCR_MASK = 0x1f

# Line status register
LSR_READY, LSR_OVERRUN, LSR_BREAK, LSR_EMPTY, LSR_FIFO_ERROR = 0x01, 0x02, 0x10, 0x60, 0x80

# Modem status register: the lower half says what changed since it was last read
MSR_DELTA_CTS, MSR_DELTA_DSR, MSR_TRAILING_RI, MSR_DELTA_DCD = 0x01, 0x02, 0x04, 0x08
MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD = 0x10, 0x20, 0x40, 0x80
MSR_DELTAS = 0x0f

BROKEN = 0x100  # beside a character in the FIFO: it came with a break
BYTES = tuple(bytes((value,)) for value in range(256))


class Uart(Chip):
    """The registers and the receiver.

    irq: the INTR pin. As in QEMU it is not gated by OUT2, which a PC's wiring does.
    chardev: the far end; it is read as long as there is room.
    """

    STATE = ("divisor", "ier", "fcr", "lcr", "mcr", "scratch", "errors", "modem", "received",
             "holding", "empty_pending", "timed_out")

    def __init__(self, clock: Any, irq: Line, chardev: Any):
        self.clock = clock
        self.irq = irq
        self.chardev = chardev
        self.timer = clock.timer(self._time_out, "uart")
        self.readers: tuple[Callable[[], int], ...] = (
            self._read_data, self._read_ier, self._read_iir, lambda: self.lcr,
            lambda: self.mcr, self._read_lsr, self._read_msr, lambda: self.scratch)
        self.writers: tuple[Callable[[int], None], ...] = (
            self._write_data, self._write_ier, self._write_fcr, self._write_lcr,
            self._write_mcr, self._ignore, self._ignore, self._write_scratch)
        self.reset()
        chardev.on_readable = self._receive_more
        chardev.on_break = self.receive_break

    def reset(self) -> None:
        self.divisor = 12  # 9600 baud
        self.ier = self.fcr = self.lcr = self.mcr = self.scratch = 0
        self.errors = 0  # of LSR: overrun, break, error in FIFO
        self.modem = MSR_CTS | MSR_DSR | MSR_DCD  # the far end is always there and ready
        self.received: list[int] = []
        self.holding = 0  # what the receiver buffer register last held
        self.empty_pending = False  # THR empty, and IIR has not said so yet
        self.timed_out = False
        self.timer.cancel()
        self.irq.set(False)

    def restored(self) -> None:
        self._restart_timeout()
        self._update()

    def read(self, offset: int, size: int) -> int:
        value = self.readers[offset]()
        if trace_serial_read:
            trace_serial_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_serial_write:
            trace_serial_write(offset, value)
        self.writers[offset](value)

    def receive_break(self) -> None:
        """The far end holds the line low for longer than a character: a zero with BI set."""
        self._receive(BROKEN)
        self._update()

    # Data

    def _write_data(self, value: int) -> None:
        if self.lcr & LCR_DLAB:
            self.divisor = self.divisor & ~0xff | value
            self._trace_parameters()
            return
        if self.mcr & MCR_LOOP:
            self._receive(value & (1 << self._data_bits()) - 1)
            self._update()
        else:
            self.chardev.write(BYTES[value])
        if self.ier & IER_EMPTY:
            # THR was full for a moment: whoever watches for edges must see the line fall.
            self.empty_pending = False
            self._update()
            self.empty_pending = True
            self._update()

    def _read_data(self) -> int:
        if self.lcr & LCR_DLAB:
            return self.divisor & 0xff
        if self.received:
            self.holding = self.received.pop(0) & 0xff
            self._expose_break()
            self.timed_out = False
            self._restart_timeout()
            if len(self.received) < self._trigger():
                self._pull()
            self._update()
        return self.holding

    def _receive_more(self) -> None:
        self._pull()
        self._update()

    def _pull(self) -> None:
        """Take what the character device has, as far as there is room."""
        room = self._capacity() - len(self.received)
        if room > 0 and not self.mcr & MCR_LOOP and (data := self.chardev.read(room)):
            for byte in data:
                self._receive(byte)

    def _receive(self, character: int) -> None:
        """A character has come through the shift register."""
        if len(self.received) >= self._capacity():
            self.errors |= LSR_OVERRUN
            if self.fcr & FCR_ENABLE:
                return  # only the shift register is overwritten
            self.received.clear()
        self.received.append(character)
        if len(self.received) == 1:
            self._expose_break()
        elif character & BROKEN:
            self.errors |= LSR_FIFO_ERROR
        self._restart_timeout()

    def _expose_break(self) -> None:
        """LSR tells of a break when its character has come to the head of the FIFO."""
        if self.received and self.received[0] & BROKEN:
            self.received[0] &= 0xff
            self.errors |= LSR_BREAK | (LSR_FIFO_ERROR if self.fcr & FCR_ENABLE else 0)

    def _restart_timeout(self) -> None:
        """Four character times with something in the FIFO and nobody touching it."""
        if self.received and self.fcr & FCR_ENABLE and not self.timed_out:
            self.timer.at(self.clock.now() + 4 * self._character_time())
        else:
            self.timer.cancel()

    def _time_out(self) -> None:
        self.timed_out = True
        self._update()

    # Interrupts

    def _read_ier(self) -> int:
        return self.divisor >> 8 if self.lcr & LCR_DLAB else self.ier

    def _write_ier(self, value: int) -> None:
        if self.lcr & LCR_DLAB:
            self.divisor = value << 8 | self.divisor & 0xff
            self._trace_parameters()
            return
        enabled = value & ~self.ier
        self.ier = value & IER_MASK
        if enabled & IER_EMPTY:
            self.empty_pending = True  # THR is empty, always
        elif not value & IER_EMPTY:
            self.empty_pending = False
        self._update()

    def _read_iir(self) -> int:
        pending = self._pending()
        if pending == IIR_EMPTY:
            self.empty_pending = False
            self._update()
        return pending | (IIR_FIFOS if self.fcr & FCR_ENABLE else 0)

    def _pending(self) -> int:
        """The interrupt of the highest priority, as IIR names it."""
        ier = self.ier
        if ier & IER_LINE and self.errors & (LSR_OVERRUN | LSR_BREAK):
            return IIR_LINE
        if ier & IER_RECEIVED:
            if self.timed_out:
                return IIR_TIMEOUT
            if len(self.received) >= self._trigger():
                return IIR_RECEIVED
        if ier & IER_EMPTY and self.empty_pending:
            return IIR_EMPTY
        if ier & IER_MODEM and self.modem & MSR_DELTAS:
            return IIR_MODEM
        return IIR_NONE

    def _update(self) -> None:
        self.irq.set(self._pending() != IIR_NONE)

    # Control and status

    def _write_fcr(self, value: int) -> None:
        changed = (value ^ self.fcr) & FCR_ENABLE
        if changed or (value & FCR_ENABLE and value & FCR_CLEAR_RECEIVER):
            self.received.clear()
            self.errors &= ~LSR_FIFO_ERROR
            self.timed_out = False
            self.timer.cancel()
        # The other bits only count when written together with the enable bit.
        self.fcr = value & FCR_KEPT if value & FCR_ENABLE else 0
        self._pull()
        self._update()

    def _write_lcr(self, value: int) -> None:
        self.lcr = value
        self._trace_parameters()

    def _write_mcr(self, value: int) -> None:
        self.mcr = value & MCR_MASK
        if value & MCR_LOOP:
            lines = (bool(value & MCR_RTS) * MSR_CTS | bool(value & MCR_DTR) * MSR_DSR
                     | bool(value & MCR_OUT1) * MSR_RI | bool(value & MCR_OUT2) * MSR_DCD)
        else:
            lines = MSR_CTS | MSR_DSR | MSR_DCD
        changed = lines ^ self.modem
        deltas = self.modem & MSR_DELTAS
        deltas |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4
        if changed & self.modem & MSR_RI:
            deltas |= MSR_TRAILING_RI
        self.modem = lines | deltas
        self._pull()
        self._update()

    def _read_lsr(self) -> int:
        value = LSR_EMPTY | self.errors | (LSR_READY if self.received else 0)
        if self.errors:
            self.errors = 0
            if any(character & BROKEN for character in self.received):
                self.errors = LSR_FIFO_ERROR
            self._update()
        return value

    def _read_msr(self) -> int:
        value = self.modem
        if value & MSR_DELTAS:
            self.modem &= ~MSR_DELTAS
            self._update()
        return value

    def _write_scratch(self, value: int) -> None:
        self.scratch = value

    def _ignore(self, value: int) -> None:
        """The status registers: the datasheet reserves writing them for factory tests."""

    def _capacity(self) -> int:
        return FIFO_SIZE if self.fcr & FCR_ENABLE else 1

    def _trigger(self) -> int:
        return TRIGGER_LEVELS[self.fcr >> 6]

    # The frame on the wire

    def _data_bits(self) -> int:
        return 5 + (self.lcr & LCR_DATA_BITS)

    def _stop_bits(self) -> int:
        return 2 if self.lcr & LCR_TWO_STOP else 1

    def _baud(self) -> int:
        return CRYSTAL // (16 * (self.divisor or 1))

    def _character_time(self) -> int:
        """Nanoseconds from start bit to stop bit."""
        bits = 1 + self._data_bits() + bool(self.lcr & LCR_PARITY) + self._stop_bits()
        return bits * SECOND // max(1, self._baud())

    def _trace_parameters(self) -> None:
        if trace_serial_update_parameters:
            parity = "N" if not self.lcr & LCR_PARITY else "E" if self.lcr & LCR_EVEN else "O"
            trace_serial_update_parameters(
                self._baud(), ord(parity), self._data_bits(), self._stop_bits())
