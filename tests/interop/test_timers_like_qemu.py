"""Interrupt controllers, timers and clock, register by register, beside those of QEMU.

QEMU's clock stands still. Where it leaves the datasheets the random walks do not go: it keeps an
edge whose line has fallen, and even lets it survive ICW1 if its input has become a level; its OUT
is inverted in modes 2 and 4; it holds a latched count beyond a control word, and has no null
count, BCD or gate that pauses; it counts the seconds before 1970 one off. An HPET timer lets FSB
be switched on that it says it has not, and one of 32 bits keeps the upper half of its comparator.
"""
import datetime
import random
from calendar import timegm

import pytest
from pyemu.machine.cmos import Disk, preset
from pyemu.machine.hpet import Hpet
from pyemu.machine.i8254 import Pit
from pyemu.machine.i8259 import DualPic
from pyemu.machine.line import Line
from pyemu.machine.mc146818 import Rtc

MIB = 1 << 20
OCW3_READ_IRR, OCW3_READ_ISR, OCW3_POLL = 0x0A, 0x0B, 0x0C
STATUS, STATUS_WITHOUT_OUT = 0xBF, 0x3F  # and without null count
OUT_INVERTED = (2, 4, 6)
HPET, HPET_FSB, HPET_32, HPET_COUNT = 0xFED00000, 0x4000, 0x100, 0xFFFFFF
WALKS, STEPS = 12, 120

# ISA serial ports are the hands that pull QEMU's interrupt lines: (port, IRQ).
HANDS = {"master": ((0x3F8, 3), (0x2F8, 5), (0x3E8, 6), (0x2E8, 7)),
         "slave": ((0x3F8, 9), (0x2F8, 10), (0x3E8, 11), (0x2E8, 13))}


class PicPair:
    """One 8259 of each kind; everything is done to both, and what they answer compared."""

    def __init__(self, qtest, half):
        self.base, self.elcr = {"master": (0x20, 0x4D0), "slave": (0xA0, 0x4D1)}[half]
        arguments = []
        for n, (port, irq) in enumerate(HANDS[half]):
            arguments += ["-chardev", f"null,id=c{n}",
                          "-device", f"isa-serial,chardev=c{n},index={n},iobase={port},irq={irq}"]
        self.qemu = qtest(*arguments)
        self.pics = DualPic(lambda level: None)
        self.pic = getattr(self.pics, half)
        self.hands = {irq: port for port, irq in HANDS[half]}
        self.log = []

    def set(self, irq, level):
        self.log.append(f"irq {irq} {level}")
        self.qemu.outb(self.hands[irq] + 1, 2 if level else 0)  # IER: transmitter empty
        self.pics.line(irq).set(level)

    def write(self, offset, value):
        self.log.append(f"write {offset} {value:#x}")
        self.qemu.outb(self.base + offset, value)
        self.pic.write(offset, 1, value)

    def write_elcr(self, value):
        self.log.append(f"elcr {value:#x}")
        self.qemu.outb(self.elcr, value)
        self.pics.elcr.write(self.elcr & 1, 1, value)
        assert self.qemu.inb(self.elcr) == self.pics.elcr.read(self.elcr & 1, 1)

    def compare(self, offset):
        assert self.pic.read(offset, 1) == self.qemu.inb(self.base + offset), self.log

    def compare_all(self):
        for command in (OCW3_READ_IRR, OCW3_READ_ISR):
            self.write(0, command)
            self.compare(0)
        self.compare(1)


@pytest.mark.parametrize("half", HANDS)
def test_pic(qtest, half):
    dice = random.Random(half)
    pair = PicPair(qtest, half)
    for _ in range(WALKS):
        for irq in pair.hands:
            pair.set(irq, False)
        pair.log.clear()
        pair.write_elcr(0)
        for offset, value in enumerate((0x11, 0x20, 0x04, dice.choice((1, 1, 3, 0x11, 0x13)))):
            pair.write(min(offset, 1), value)
        pair.write_elcr(dice.randrange(256))
        special_mask = False
        for _ in range(STEPS):
            action = dice.randrange(7)
            if action < 2:
                irq = dice.choice(list(pair.hands))
                bit = 1 << (irq & 7)
                level = not pair.pics.line(irq).level
                if level or pair.pic.elcr & bit or not pair.pic.irr & bit:
                    pair.set(irq, level)
            elif action == 2:
                pair.write(1, dice.randrange(256) & dice.randrange(256))
            elif action == 3:
                # In special mask mode QEMU lets a non-specific EOI end what is masked.
                commands = [0, 2, 3, 4, 6, 7] if special_mask else range(8)
                pair.write(0, dice.choice(commands) << 5 | dice.randrange(8))
            elif action == 4:
                special_mask = dice.random() < 0.5
                pair.write(0, 0x48 | special_mask << 5)
            else:
                pair.write(0, OCW3_POLL)
                pair.compare(dice.randrange(2))
            pair.compare_all()


def test_pit(qtest, clock):
    dice = random.Random(8254)
    qemu, pit = qtest(), Pit(clock, Line(lambda level: None))
    qemu.outb(0x61, 1)
    pit.port61.write(0, 1, 1)

    log = []

    def write(offset, value):
        log.append(f"write {offset} {value:#x}")
        qemu.outb(0x40 + offset, value)
        pit.write(offset, 1, value)

    def compare(offset, mask=0xFF):
        log.append(f"read {offset}")
        assert qemu.inb(0x40 + offset) & mask == pit.read(offset, 1) & mask, log

    for _ in range(300):
        log.clear()
        counter, access, mode = dice.randrange(3), dice.randint(1, 3), dice.choice((0, 2, 3, 4, 6))
        write(3, counter << 6 | access << 4 | mode << 1)
        for _ in range(2 if access == 3 else 1):
            write(counter, dice.randrange(2, 256, 2))
        for _ in range(dice.randrange(1, 6)):
            # A latch between the two bytes of a count is for the datasheet to explain.
            chip = pit.counters[counter]
            action = 2 if chip.read_high and chip.latched is None else dice.randrange(3)
            if action == 0:
                write(3, counter << 6)
            elif action == 1:
                write(3, 0xC0 | dice.randrange(4) << 4 | 2 << counter)
                if chip.status is not None:
                    compare(counter, STATUS_WITHOUT_OUT if mode in OUT_INVERTED else STATUS)
            else:
                compare(counter)
        while chip.latched is not None or chip.status is not None:
            compare(counter, 0xFF if chip.status is None else STATUS_WITHOUT_OUT)
        if pit.counter2.mode not in OUT_INVERTED:
            assert qemu.inb(0x61) & 0x2F == pit.port61.read(0, 1) & 0x2F


def test_hpet(qtest, clock):
    dice = random.Random("hpet")
    lines = [Line(lambda level: None) for _ in range(5)]
    qemu, hpet = qtest(), Hpet(clock, lines[:2], lines[2:], lambda on: None)
    log = []

    def write(offset, value):
        log.append(f"write {offset:#x} {value:#x}")
        qemu.writel(HPET + offset, value)
        hpet.write(offset, 4, value)

    offsets = (0x00, 0x04, 0x10, 0x14, 0x20, 0x24, 0xF0, 0xF4, 0x08, 0x3F8,
               *(0x100 + 0x20 * n + register for n in range(3) for register in range(0, 16, 4)))
    for _ in range(20):
        log.clear()
        write(0x10, 0)
        for _ in range(30):
            offset = dice.choice(offsets)
            value = dice.getrandbits(32) & dice.getrandbits(32)
            if offset in (0xF0, 0xF4):
                if hpet.started is not None:
                    continue  # QEMU keeps it until the counter stops
                value &= HPET_COUNT  # which it makes nanoseconds of
            elif offset % 0x20 == 0 and offset >= 0x100:
                value &= ~HPET_FSB
            if offset % 0x20 == 0x0C and hpet.timers[(offset - 0x100) // 0x20].config & HPET_32:
                value = 0
            write(offset, value)
            for offset in offsets:
                assert hpet.read(offset, 4) == qemu.readl(HPET + offset), (f"{offset:#x}", log)


@pytest.mark.parametrize("date", [(2024, 2, 29, 0, 59, 58), (1999, 12, 31, 12, 0, 0),
                                  (2037, 7, 4, 23, 8, 9)])
def test_rtc(qtest, clock, date):
    dice = random.Random(str(date))
    base = datetime.datetime(*date).isoformat()
    qemu = qtest("-rtc", f"clock=vm,base={base}")
    rtc = Rtc(clock, Line(lambda level: None), timegm(date), {})

    def write(index, value):
        for offset, byte in enumerate((index, value)):
            qemu.outb(0x70 + offset, byte)
            rtc.write(offset, 1, byte)

    def compare(index):
        qemu.outb(0x70, index)
        rtc.write(0, 1, index)
        assert qemu.inb(0x71) == rtc.read(1, 1), f"register {index:#x}"

    registers = (*range(14), 0x32)
    for b in (0x02, 0x06, 0x04, 0x00):
        write(11, b)
        for index in registers:
            compare(index)
    for _ in range(40):
        b = dice.choice((0x00, 0x02, 0x04, 0x06))
        write(11, 0x80 | b)
        for index, limits in ((0, (0, 59)), (2, (0, 59)), (4, (1, 11)), (6, (1, 7)), (7, (1, 28)),
                              (8, (1, 12)), (9, (0, 99)), (0x32, (20, 21))):
            value = dice.randint(*limits)
            write(index, value if b & 4 else value // 10 << 4 | value % 10)
        for index in (1, 3, 5):
            write(index, dice.randrange(256))
        for index in registers:
            compare(index)
        write(11, b)
        for index in (0, 2, 4, 7, 8, 9, 0x32):
            compare(index)


@pytest.mark.parametrize(("megabytes", "options", "ours"), [
    (16, (), {}),
    (256, ("-boot", "order=dc"), {"boot": "dc"}),
    (2048, ("-boot", "order=ncd"), {"boot": "ncd"}),
    (64, ("-drive", "if=ide,driver=null-co,read-zeroes=on,size=100M"),
     {"disks": (Disk(203, 16, 63),)}),
])
def test_cmos(qtest, megabytes, options, ours):
    qemu, expected = qtest("-m", str(megabytes), *options), preset(megabytes * MIB, **ours)
    for index in (*range(0x0E, 0x32), *range(0x33, 0x37), *range(0x38, 0x80)):
        qemu.outb(0x70, index)
        assert qemu.inb(0x71) == expected.get(index, 0), f"byte {index:#x}"
