"""Local APIC of a machine's one processor: 4 KiB of memory-mapped registers, 16 bytes apart.

Interrupts come from the I/O APIC, from the processor's own requests (ICR), from the timer and
from two pins: LINT0, where the 8259s' INTR is, and LINT1, the NMI button. The highest in IRR
reaches the processor once its class is above that of TPR and ISR.
The base address is fixed, whatever IA32_APIC_BASE says.
Source: Intel SDM volume 3A, chapter 11 "APIC"; version 0x14 of the xAPIC, six LVT entries.
"""
from collections.abc import Callable
from functools import partial

from pyemu.clock import Clock
from pyemu.machine.chip import Chip
from pyemu.machine.lapic_timer import MASKED, LapicTimer
from pyemu.trace.hooks import (
    trace_apic_accept,
    trace_apic_acknowledge,
    trace_apic_deliver_irq,
    trace_apic_eoi,
    trace_apic_error,
    trace_apic_local_deliver,
    trace_apic_mem_readl,
    trace_apic_mem_writel,
)

SIZE = 0x1000
STRIDE_SHIFT = 4
REGISTERS = SIZE >> STRIDE_SHIFT

# Register numbers: offsets in the page by 16
ID, VERSION, TPR, APR, PPR, EOI, REMOTE_READ = 0x02, 0x03, 0x08, 0x09, 0x0A, 0x0B, 0x0C
LDR, DFR, SVR, ISR, TMR, IRR, ESR = 0x0D, 0x0E, 0x0F, 0x10, 0x18, 0x20, 0x28
ICR_LOW, ICR_HIGH, LVT, INITIAL_COUNT, CURRENT_COUNT, DIVIDE = 0x30, 0x31, 0x32, 0x38, 0x39, 0x3E
BITMAP_REGISTERS = 8  # of ISR, TMR and IRR, 32 vectors each

VERSION_VALUE = 0x50014
TOP_BYTE_SHIFT = 24  # ID, logical ID and destinations are in bits 31-24
FLAT_MODEL = 0xF  # DFR bits 31-28
DFR_ONES = 0x0FFFFFFF
BROADCAST = 0xFF

SVR_ENABLE = 0x100
SVR_WRITABLE = 0x3FF
SVR_RESET = 0xFF

# LVT entries
TIMER, THERMAL, PERFORMANCE, LINT0, LINT1, ERROR = range(6)
VECTOR = 0xFF
MODE = 0x700
MODE_SHIFT = 8
REMOTE_IRR = 0x4000
LEVEL_TRIGGERED = 0x8000
LVT_WRITABLE = (0x300FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF)

# Delivery modes
FIXED, LOWEST, SMI, RESERVED, NMI, INIT, STARTUP, EXTINT = range(8)

# ICR
ICR_LOGICAL = 0x800
ICR_ASSERT = 0x4000
ICR_SHORTHAND_SHIFT = 18
TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS = range(4)
ICR_LOW_WRITABLE = 0xCCFFF

# ESR
SEND_ILLEGAL, RECEIVE_ILLEGAL, NO_SUCH_REGISTER = 0x20, 0x40, 0x80
FIRST_VECTOR = 16  # those below are illegal
MAXIMUM = 0xFFFFFFFF


Registers = tuple[list[Callable[[], int]], list[Callable[[int], None]]]  # to read, to write


class Processor:
    """What the APIC shares with its processor: TPR, at hand there as CR8, and IA32_APIC_BASE.

    on_task_priority(): CR8 was written while `interrupt_requested`.
    on_apic_enable(on): the APIC is switched on or off.
    """

    task_priority = 0
    interrupt_requested = False
    on_task_priority: Callable[[], None]
    on_apic_enable: Callable[[bool], None]


class LocalApic(Chip):
    """The window of the register page (32-bit accesses), and the processor's interrupt pins.

    processor: holds TPR; None: nobody else does.
    on_intr(level): INTR has changed; then `acknowledge()` gives the vector.
    pic_acknowledge(): the vector of the 8259s, for an interrupt in ExtINT mode.
    on_nmi(), on_init(): the processor gets an NMI, an INIT (this APIC is reset already).
    on_eoi(vector): a level-triggered interrupt has ended; for the I/O APIC.
    """

    STATE = ("id", "tpr", "ldr", "dfr", "svr", "isr", "tmr", "irr", "esr", "errors",
             "icr_low", "icr_high", "lvt", "lint", "extint", "output", "enabled",
             "timer")

    def __init__(self, clock: Clock, on_intr: Callable[[bool], None],
                 pic_acknowledge: Callable[[], int], on_nmi: Callable[[], None],
                 on_init: Callable[[], None], on_eoi: Callable[[int], None],
                 processor: Processor | None = None):
        self.processor = processor or Processor()
        self.processor.on_task_priority = self._update
        self.processor.on_apic_enable = self._enable
        self.on_intr = on_intr
        self.pic_acknowledge = pic_acknowledge
        self.on_nmi = on_nmi
        self.on_init = on_init
        self.on_eoi = on_eoi
        self.timer = LapicTimer(clock, partial(self._deliver_entry, TIMER))
        self.lint = [False, False]  # levels of the pins
        self.output = False
        self.enabled = True
        self._readers, self._writers = self._registers = self._map_registers()
        self._nothing: Registers = [partial(int, MAXIMUM)] * REGISTERS, [self._ignore] * REGISTERS
        self.reset()

    def _map_registers(self) -> Registers:
        """The tables that `read` and `write` look registers up in."""
        readers: list[Callable[[], int]] = [self._no_register] * REGISTERS
        writers: list[Callable[[int], None]] = [self._no_register_to_write] * REGISTERS
        for register, name in (
                (TPR, "tpr"), (PPR, "ppr"), (LDR, "ldr"), (DFR, "dfr"), (SVR, "svr"), (ESR, "esr"),
                (ICR_LOW, "icr_low"), (ICR_HIGH, "icr_high")):
            readers[register] = partial(getattr, self, name)
        readers[ID] = self._read_id
        readers[VERSION] = partial(int, VERSION_VALUE)
        readers[APR] = self._read_apr
        readers[EOI] = readers[REMOTE_READ] = int
        readers[INITIAL_COUNT] = partial(getattr, self.timer, "initial")
        readers[CURRENT_COUNT] = self.timer.current_count
        readers[DIVIDE] = partial(getattr, self.timer, "divide")
        for first, name in ((ISR, "isr"), (TMR, "tmr"), (IRR, "irr")):
            for n in range(BITMAP_REGISTERS):
                readers[first + n] = partial(self._read_bits, name, 32 * n)
                writers[first + n] = self._ignore
        for n in range(len(LVT_WRITABLE)):
            readers[LVT + n] = partial(self._read_lvt, n)
            writers[LVT + n] = partial(self._write_lvt, n)
        for register in (VERSION, APR, PPR, REMOTE_READ, CURRENT_COUNT):
            writers[register] = self._ignore
        writers[ID] = self._write_id
        writers[TPR] = self._write_tpr
        writers[EOI] = self._write_eoi
        writers[LDR] = self._write_ldr
        writers[DFR] = self._write_dfr
        writers[SVR] = self._write_svr
        writers[ESR] = self._write_esr
        writers[ICR_LOW] = self._write_icr_low
        writers[ICR_HIGH] = self._write_icr_high
        writers[INITIAL_COUNT] = self.timer.set_initial
        writers[DIVIDE] = self.timer.set_divide
        return readers, writers

    def reset(self) -> None:
        """Power-on: disabled by software, everything masked, until firmware sets it up."""
        self.id = 0
        self._enable(True)

    def _enable(self, on: bool) -> None:
        """Off, there are no registers, and the 8259s drive INTR; then on, as after INIT."""
        self.enabled = on
        self._readers, self._writers = self._registers if on else self._nothing
        self._initialise()

    def _initialise(self) -> None:
        """What INIT does: all but the ID."""
        self.tpr = self.ldr = 0
        self.dfr = MAXIMUM
        self.svr = SVR_RESET
        self.isr = self.tmr = self.irr = 0  # one bit a vector
        self.esr = self.errors = 0  # what is shown; what has come since
        self.icr_low = self.icr_high = 0
        self.lvt = [MASKED] * len(LVT_WRITABLE)
        self.extint = False  # an ExtINT message from the I/O APIC
        self.timer.reset()
        self._update()

    def restored(self) -> None:
        self._readers, self._writers = self._registers if self.enabled else self._nothing
        self.processor.interrupt_requested = self.irr != 0
        self.on_intr(self.output)

    @property
    def tpr(self) -> int:
        return self.processor.task_priority

    @tpr.setter
    def tpr(self, value: int) -> None:
        self.processor.task_priority = value

    @property
    def ppr(self) -> int:
        """The class that an interrupt must be above: of TPR, or of what is being served."""
        served = self.isr.bit_length() - 1 & 0xF0 if self.isr else 0
        tpr = self.processor.task_priority
        return tpr if tpr & 0xF0 >= served else served

    # The processor's side

    def acknowledge(self) -> int:
        """The vector that the processor takes now. Spurious if there is nothing to take."""
        irr = self.irr
        vector = irr.bit_length() - 1
        if irr and vector >> 4 > self.ppr >> 4 and self.svr & SVR_ENABLE:
            bit = 1 << vector
            self.irr = irr ^ bit
            self.isr |= bit
            self._update()
        elif self.extint or self._pic_passes():
            self.extint = False
            vector = self.pic_acknowledge()
            self._update()
        else:
            vector = self.svr & VECTOR
        if trace_apic_acknowledge:
            trace_apic_acknowledge(vector)
        return vector

    def _pic_passes(self) -> bool:
        """Virtual wire mode, or no APIC: LINT0 goes straight to INTR."""
        return self.lint[0] and (self.lvt[LINT0] & (MODE | MASKED) == EXTINT << MODE_SHIFT
                                 or not self.enabled)

    def _update(self) -> None:
        irr = self.irr
        self.processor.interrupt_requested = irr != 0
        level = (irr != 0 and irr.bit_length() - 1 >> 4 > self.ppr >> 4
                 and self.svr & SVR_ENABLE != 0) or self.extint or self._pic_passes()
        if level != self.output:
            self.output = level
            self.on_intr(level)

    # Interrupts come in

    def deliver(self, vector: int, level_triggered: bool = False) -> None:
        """Accept a fixed interrupt into IRR."""
        if not self.svr & SVR_ENABLE:
            return
        if vector < FIRST_VECTOR:
            self._error(RECEIVE_ILLEGAL)
            return
        if trace_apic_accept:
            trace_apic_accept(vector, level_triggered)
        bit = 1 << vector
        self.irr |= bit
        if level_triggered:
            self.tmr |= bit
        else:
            self.tmr &= ~bit
        self._update()

    def receive(self, vector: int, delivery_mode: int, level_triggered: bool, dest: int,
                dest_mode: int) -> None:
        """A message on the APIC bus. dest_mode: 0 physical, 1 logical."""
        if trace_apic_deliver_irq:
            trace_apic_deliver_irq(dest, dest_mode, delivery_mode, vector, level_triggered)
        if self._is_addressed(dest, dest_mode):
            self._take(vector, delivery_mode, level_triggered)

    def _is_addressed(self, dest: int, dest_mode: int) -> bool:
        if dest == BROADCAST:
            return True
        if not dest_mode:
            return dest == self.id
        logical_id = self.ldr >> TOP_BYTE_SHIFT
        if self.dfr >> 28 == FLAT_MODEL:
            return dest & logical_id != 0
        return dest >> 4 == logical_id >> 4 and dest & logical_id & 0xF != 0

    def _take(self, vector: int, delivery_mode: int, level_triggered: bool) -> None:
        """Start-up messages find nobody who waits for one; there is no SMM to enter."""
        if delivery_mode in (FIXED, LOWEST):
            self.deliver(vector, level_triggered)
        elif delivery_mode == NMI:
            self.on_nmi()
        elif delivery_mode == INIT:
            self._initialise()
            self.on_init()
        elif delivery_mode == EXTINT:
            self.extint = True
            self._update()

    def pic_intr(self, level: bool) -> None:
        """LINT0: the INTR of the 8259s."""
        self._set_pin(0, level)

    def lint1(self, level: bool) -> None:
        """LINT1: the NMI button."""
        self._set_pin(1, level)

    def _set_pin(self, n: int, level: bool) -> None:
        rising = level and not self.lint[n]
        self.lint[n] = level
        self._serve_pin(n, rising)
        self._update()

    def _serve_pin(self, n: int, rising: bool) -> None:
        entry = self.lvt[LINT0 + n]
        mode = (entry & MODE) >> MODE_SHIFT
        if entry & MASKED or mode == EXTINT:
            return
        by_level = mode == FIXED and entry & LEVEL_TRIGGERED
        if not (self.lint[n] and not entry & REMOTE_IRR if by_level else rising):
            return
        if by_level:
            self.lvt[LINT0 + n] |= REMOTE_IRR
        if trace_apic_local_deliver:
            trace_apic_local_deliver(LINT0 + n, mode)
        self._take(entry & VECTOR, mode, bool(by_level))

    def _error(self, error: int) -> None:
        """Note an error for ESR, with an interrupt the first time."""
        if trace_apic_error:
            trace_apic_error(error)
        is_new = not self.errors & error
        self.errors |= error
        if is_new:
            self._deliver_entry(ERROR)

    def _deliver_entry(self, n: int) -> None:
        entry = self.lvt[n]
        if not entry & MASKED:
            if trace_apic_local_deliver:
                trace_apic_local_deliver(n, FIXED)
            self.deliver(entry & VECTOR)

    # Registers

    def read(self, offset: int, size: int) -> int:
        if size != 4:
            return 0
        value = self._readers[offset >> STRIDE_SHIFT]()
        if trace_apic_mem_readl:
            trace_apic_mem_readl(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        if trace_apic_mem_writel:
            trace_apic_mem_writel(offset, value)
        self._writers[offset >> STRIDE_SHIFT](value)

    def _no_register(self) -> int:
        self._error(NO_SUCH_REGISTER)
        return 0

    def _no_register_to_write(self, value: int) -> None:
        self._error(NO_SUCH_REGISTER)

    def _ignore(self, value: int) -> None:
        """Read-only."""

    def _read_id(self) -> int:
        return self.id << TOP_BYTE_SHIFT

    def _read_bits(self, name: str, shift: int) -> int:
        return getattr(self, name) >> shift & MAXIMUM

    def _read_lvt(self, n: int) -> int:
        return self.lvt[n]

    def _read_apr(self) -> int:
        requested, served = ((bits.bit_length() - 1) & 0xF0 if bits else 0
                             for bits in (self.irr, self.isr))
        own = self.tpr & 0xF0
        if own >= requested and own > served:
            return self.tpr
        return max(own & served, requested)

    def _write_id(self, value: int) -> None:
        self.id = value >> TOP_BYTE_SHIFT

    def _write_tpr(self, value: int) -> None:
        self.tpr = value & 0xFF
        self._update()

    def _write_eoi(self, value: int) -> None:
        isr = self.isr
        if not isr:
            return
        vector = isr.bit_length() - 1
        bit = 1 << vector
        self.isr = isr ^ bit
        if trace_apic_eoi:
            trace_apic_eoi(vector)
        if self.tmr & bit:
            self._end_level(vector)
        if self.irr:
            self._update()

    def _end_level(self, vector: int) -> None:
        self.on_eoi(vector)
        for n in (0, 1):
            entry = self.lvt[LINT0 + n]
            if entry & REMOTE_IRR and entry & VECTOR == vector:
                self.lvt[LINT0 + n] = entry & ~REMOTE_IRR
                self._serve_pin(n, rising=False)

    def _write_ldr(self, value: int) -> None:
        self.ldr = value >> TOP_BYTE_SHIFT << TOP_BYTE_SHIFT

    def _write_dfr(self, value: int) -> None:
        self.dfr = value | DFR_ONES

    def _write_svr(self, value: int) -> None:
        """Disabling masks every LVT entry and holds what is in IRR."""
        self.svr = value & SVR_WRITABLE
        if not value & SVR_ENABLE:
            self.lvt = [entry | MASKED for entry in self.lvt]
            self.timer.set_entry(self.lvt[TIMER])
        self._update()

    def _write_esr(self, value: int) -> None:
        """Any write shows the errors since the last one."""
        self.esr, self.errors = self.errors, 0

    def _write_icr_high(self, value: int) -> None:
        self.icr_high = value & BROADCAST << TOP_BYTE_SHIFT

    def _write_icr_low(self, value: int) -> None:
        """Send. Whom it is not for is not there, so it has always been delivered at once."""
        self.icr_low = value & ICR_LOW_WRITABLE
        vector, mode = value & VECTOR, (value & MODE) >> MODE_SHIFT
        by_level = bool(value & LEVEL_TRIGGERED)
        dest, dest_mode = self.icr_high >> TOP_BYTE_SHIFT, int(value & ICR_LOGICAL != 0)
        shorthand = value >> ICR_SHORTHAND_SHIFT & 3
        if mode in (FIXED, LOWEST) and vector < FIRST_VECTOR:
            self._error(SEND_ILLEGAL)
        elif mode == INIT and by_level and not value & ICR_ASSERT:
            return  # only synchronises arbitration
        elif shorthand == TO_DESTINATION:
            self.receive(vector, mode, by_level, dest, dest_mode)
        elif shorthand in (TO_SELF, TO_ALL):
            self._take(vector, mode, by_level)

    def _write_lvt(self, n: int, value: int) -> None:
        value = value & LVT_WRITABLE[n] | self.lvt[n] & REMOTE_IRR
        if not self.svr & SVR_ENABLE:
            value |= MASKED
        self.lvt[n] = value
        if n == TIMER:
            self.timer.set_entry(value)
        elif n in (LINT0, LINT1):
            if not value & LEVEL_TRIGGERED:
                self.lvt[n] &= ~REMOTE_IRR
            self._serve_pin(n - LINT0, rising=False)
            self._update()
