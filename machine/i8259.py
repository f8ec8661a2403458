"""Two cascaded 8259A interrupt controllers, as in the PIIX3.

Each has two ports: 0 (ICW1, OCW2, OCW3; reads IRR, ISR or the poll word) and 1 (ICW2-4, OCW1;
reads the mask). Two more ports (ELCR) select for each input whether an edge or a level counts.
Sources: 8259A datasheet (231468-003); 82371FB/SB (290550), 2.5 and 2.5.11 on the ELCR.
"""
from collections.abc import Callable
from functools import partial

from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_pic_elcr_write,
    trace_pic_interrupt,
    trace_pic_ioport_read,
    trace_pic_ioport_write,
    trace_pic_set_irq,
    trace_pic_update_irq,
)
from pyemu.trace.log import unimp

CASCADE = 2  # the master's input that the slave drives
SPURIOUS = 7  # the input that answers when the request has gone before the acknowledge
LOWEST = 7  # input of lowest priority after initialisation

ICW1 = 0x10  # port 0, bit 4: this starts an initialisation
ICW1_IC4 = 0x01  # ICW4 follows
ICW1_SNGL = 0x02  # not cascaded, no ICW3
ICW1_LTIM = 0x08  # level-triggered; without effect here: the ELCR replaced it
ICW2_BASE = 0xF8
ICW4_AEOI = 0x02
ICW4_SFNM = 0x10

OCW3 = 0x08  # port 0, bit 3: OCW3, else OCW2
OCW3_RIS = 0x01  # which register to read: ISR, else IRR
OCW3_RR = 0x02  # RIS counts
OCW3_POLL = 0x04
OCW3_SMM = 0x20  # special mask mode on, else off
OCW3_ESMM = 0x40  # SMM counts

OCW2_LEVEL = 0x07
# OCW2 bits 7-5: rotate, specific, EOI
ROTATE_AEOI_CLEAR, EOI, NO_OPERATION, EOI_SPECIFIC = range(4)
ROTATE_AEOI_SET, EOI_ROTATE, SET_PRIORITY, EOI_ROTATE_SPECIFIC = range(4, 8)

POLL_INTERRUPT = 0x80  # poll word: there was a request, its input in bits 2-0

ELCR_MASKS = (0xF8, 0xDE)  # IRQ 0, 1, 2, 8 and 13 are always edges

# IRR or ISR, rotated so that the highest priority is bit 0 -> its number
HIGHEST = tuple((bits & -bits).bit_length() - 1 for bits in range(256))


class Pic(Chip):
    """One 8259A, the window of its two ports.

    on_int(level): called when its INT output changes.
    """

    STATE = ("lines", "edges", "imr", "isr", "elcr", "base", "lowest", "output",
             "icws", "auto_eoi", "rotate_on_aeoi", "nested_specially", "mask_specially",
             "poll", "read_isr")

    def __init__(self, on_int: Callable[[bool], None], is_master: bool):
        self.on_int = on_int
        self.is_master = is_master
        self.lines = 0  # levels at the inputs
        self.output = False
        self.icws: tuple[int, ...] = ()  # initialisation words to come
        self.reset()

    def reset(self) -> None:
        """Power-on: nothing programmed. The inputs keep the levels that others drive."""
        self.elcr = self.base = 0
        self._initialise(0)
        self.icws = ()
        self._update()

    def _initialise(self, icw1: int) -> None:
        """ICW1: forget requests, mask and modes, and expect the ICWs that it announces."""
        if unimp and icw1 & ICW1_LTIM:
            unimp("i8259: level sensitive irq not supported")
        self.edges = 0
        self.imr = self.isr = 0
        self.lowest = LOWEST
        self.auto_eoi = self.rotate_on_aeoi = False
        self.nested_specially = self.mask_specially = False
        self.poll = self.read_isr = False
        self.icws = (2,)
        if not icw1 & ICW1_SNGL:
            self.icws += (3,)  # accepted, without effect: the cascade is wired
        if icw1 & ICW1_IC4:
            self.icws += (4,)

    @property
    def irr(self) -> int:
        """Requests: level inputs as they are, edges until acknowledged or gone."""
        return self.edges & ~self.elcr | self.lines & self.elcr

    def input(self, irq: int, level: bool) -> None:
        """An input has changed. A request whose line falls before its acknowledge is gone."""
        if trace_pic_set_irq:
            trace_pic_set_irq(self.is_master, irq, level)
        bit = 1 << irq
        if level:
            self.lines |= bit
            self.edges |= bit
        else:
            self.lines &= ~bit
            self.edges &= ~bit
        self._update()

    def select_levels(self, inputs: int) -> None:
        """The inputs (one bit each) that request as long as they are high."""
        self.elcr = inputs
        self._update()

    def acknowledge(self) -> int | None:
        """INTA: the input that is now in service, or None if the request has gone."""
        irq = self._request()
        if irq is None:
            return None
        bit = 1 << irq
        self.edges &= ~bit
        if not self.auto_eoi:
            self.isr |= bit
        elif self.rotate_on_aeoi:
            self.lowest = irq
        # INT falls at each acknowledge, so that the next request is an edge to the master.
        self._drive(False)
        self._update()
        return irq

    def read(self, offset: int, size: int) -> int:
        if self.poll:
            self.poll = False
            irq = self.acknowledge()
            value = 0 if irq is None else POLL_INTERRUPT | irq
        elif offset:
            value = self.imr
        else:
            value = self.isr if self.read_isr else self.irr
        if trace_pic_ioport_read:
            trace_pic_ioport_read(self.is_master, offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_pic_ioport_write:
            trace_pic_ioport_write(self.is_master, offset, value)
        if offset:
            if self.icws:
                self._icw(value)
            else:
                self.imr = value
        elif value & ICW1:
            self._initialise(value)
        elif value & OCW3:
            self._ocw3(value)
        else:
            self._ocw2(value >> 5, value & OCW2_LEVEL)
        self._update()

    def _icw(self, value: int) -> None:
        number, *rest = self.icws
        self.icws = tuple(rest)
        if number == 2:
            self.base = value & ICW2_BASE
        elif number == 4:
            self.auto_eoi = bool(value & ICW4_AEOI)
            self.nested_specially = bool(value & ICW4_SFNM)

    def _ocw2(self, command: int, level: int) -> None:
        if command in (ROTATE_AEOI_CLEAR, ROTATE_AEOI_SET):
            self.rotate_on_aeoi = command == ROTATE_AEOI_SET
        elif command in (EOI, EOI_ROTATE):
            # Non-specific: the highest in service, but in special mask mode none that is masked.
            served = self.isr & ~self.imr if self.mask_specially else self.isr
            if served:
                irq = self._highest(served)
                self.isr &= ~(1 << irq)
                if command == EOI_ROTATE:
                    self.lowest = irq
        elif command in (EOI_SPECIFIC, EOI_ROTATE_SPECIFIC):
            self.isr &= ~(1 << level)
            if command == EOI_ROTATE_SPECIFIC:
                self.lowest = level
        elif command == SET_PRIORITY:
            self.lowest = level

    def _ocw3(self, value: int) -> None:
        if value & OCW3_POLL:
            self.poll = True
        if value & OCW3_RR:
            self.read_isr = bool(value & OCW3_RIS)
        if value & OCW3_ESMM:
            self.mask_specially = bool(value & OCW3_SMM)

    def _rotated(self, bits: int) -> int:
        """`bits` with the input of highest priority at bit 0."""
        first = self.lowest + 1
        return (bits >> first | bits << 8 - first) & 0xFF

    def _highest(self, bits: int) -> int:
        """The input of highest priority among `bits`, which are not 0."""
        return (HIGHEST[self._rotated(bits)] + self.lowest + 1) & 7

    def _request(self) -> int | None:
        """The input to be served next: requested, not masked, above all that are in service."""
        wanted = self.irr & ~self.imr
        if not wanted:
            return None
        served = self.isr
        if served:
            if self.mask_specially:
                served &= ~self.imr
            if self.nested_specially and self.is_master:
                served &= ~(1 << CASCADE)  # the slave may have something more urgent
            if served and HIGHEST[self._rotated(served)] <= HIGHEST[self._rotated(wanted)]:
                return None
        return self._highest(wanted)

    def _update(self) -> None:
        self._drive(self._request() is not None)

    def _drive(self, level: bool) -> None:
        if level != self.output:
            self.output = level
            if level and trace_pic_update_irq:
                trace_pic_update_irq(self.is_master, self.imr, self.irr, self.lowest + 1 & 7)
            self.on_int(level)


class Elcr(Chip):
    """Edge/level control registers: the window of two ports."""

    def __init__(self, pics: tuple[Pic, Pic]):
        self.pics = pics

    def read(self, offset: int, size: int) -> int:
        return self.pics[offset].elcr

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_pic_elcr_write:
            trace_pic_elcr_write(offset == 0, value)
        self.pics[offset].select_levels(value & ELCR_MASKS[offset])


class DualPic(Chip):
    """The pair: `line(n)` in, INTR out, `acknowledge()` for the vector.

    on_intr(level): called when the master's INT output changes.
    Windows: `master` and `slave` (2 ports each), `elcr` (2 ports).
    """

    STATE = ("master", "slave")

    def __init__(self, on_intr: Callable[[bool], None]):
        self.master = Pic(on_intr, is_master=True)
        self.slave = Pic(partial(self.master.input, CASCADE), is_master=False)
        self.elcr = Elcr((self.master, self.slave))
        pics = (self.master,) * 8 + (self.slave,) * 8
        self._lines = [Line(partial(pic.input, n & 7)) for n, pic in enumerate(pics)]

    def reset(self) -> None:
        self.slave.reset()
        self.master.reset()

    def restored(self) -> None:
        levels = self.master.lines | self.slave.lines << 8
        for n, line in enumerate(self._lines):
            line.level = bool(levels >> n & 1)
        self.master.on_int(self.master.output)

    def line(self, n: int) -> Line:
        """Input n, 0..15. 2 is the slave's: whoever drives it drives the cascade."""
        return self._lines[n]

    @property
    def pending(self) -> bool:
        """The level of INTR."""
        return self.master.output

    def acknowledge(self) -> int:
        """Both INTA cycles: the vector that the CPU takes."""
        irq = self.master.acknowledge()
        if irq is None:
            irq = SPURIOUS
        elif irq == CASCADE:
            served = self.slave.acknowledge()
            irq = 8 + (SPURIOUS if served is None else served)
        pic = self.slave if irq >= 8 else self.master
        vector = pic.base + (irq & 7)
        if trace_pic_interrupt:
            trace_pic_interrupt(irq, vector)
        return vector
