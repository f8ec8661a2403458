"""Local and I/O APIC beside those of QEMU: a guest does random steps there, our chips here.

Not compared, because QEMU leaves the manual there: disabling by software, illegal vectors, logical
broadcasts, which bits of a register can be written, when errors show in ESR, and a pin that is
high while it is made level-triggered, which asks at once.
"""
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from pyemu.machine.gsi import Gsi
from pyemu.machine.i8259 import DualPic
from pyemu.machine.ioapic import IoApic
from pyemu.machine.lapic import LocalApic

QEMU, NASM = "qemu-system-x86_64", "nasm"
END, READ, WRITE, OUTPUT, TAKE = range(5)
NOTHING = 0xFFFFFFFF
LAPIC, IOAPIC, COM1 = 0xFEE00000, 0xFEC00000, 0x3F8
TPR, PPR, EOI, LDR, DFR, SVR, ISR, TMR, IRR, ICR, ICR_HIGH, LINT0 = (
    0x80, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0, 0x100, 0x180, 0x200, 0x300, 0x310, 0x350)
SERIAL = 4  # its IRQ, the hand that pulls a line
VECTORS = (0x30, 0x31, 0x3F, 0x40, 0x55, 0x60, 0xE0, 0xFE)
DESTINATIONS = (0, 1, 2, 0x21, 0x31, 0xF1)
LEVEL, MASKED, LOGICAL, LOWEST = 0x8000, 0x10000, 0x800, 0x100
WALKS, STEPS = 25, 80


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The guest that runs a script, assembled."""
    for tool in (QEMU, NASM):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    path = tmp_path_factory.mktemp("apic") / "apic_script"
    source = Path(__file__).with_name("apic_script.asm")
    subprocess.run([NASM, "-f", "bin", "-o", path, source], check=True)
    return path.read_bytes()


def run_on_qemu(program, steps, directory):
    """The reports of a script, words of 32 bits."""
    image, reports = directory / "image", directory / "reports"
    script = (*steps, (END, 0, 0))
    image.write_bytes(program + b"".join(struct.pack("<3I", *step) for step in script))
    subprocess.run(
        [QEMU, "-M", "pc", "-display", "none", "-nodefaults", "-kernel", image,
         "-chardev", f"file,id=reports,path={reports}",
         "-device", "isa-debugcon,chardev=reports,iobase=0xe9",
         "-device", "isa-debug-exit,iobase=0x501", "-chardev", "null,id=null",
         "-device", "isa-serial,chardev=null"], timeout=60, stderr=subprocess.DEVNULL)
    return [word for word, in struct.iter_unpack("<I", reports.read_bytes())]


class Board:
    """Our chips, wired as on the board, doing steps."""

    def __init__(self, clock):
        self.lapic = LocalApic(
            clock, lambda level: None, lambda: self.pic.acknowledge(), lambda: None,
            lambda: None, lambda vector: self.ioapic.eoi(vector))
        self.pic = DualPic(self.lapic.pic_intr)
        self.ioapic = IoApic(self.lapic.receive)
        self.gsi = Gsi(self.pic, self.ioapic)
        self.pic.master.write(1, 1, 0xFF)
        self.pic.slave.write(1, 1, 0xFF)

    def run(self, steps):
        reports = []
        for operation, address, value in steps:
            chip = self.lapic if address >= LAPIC else self.ioapic
            if operation == READ:
                reports.append(chip.read(address & 0xFFF, 4))
            elif operation == WRITE:
                chip.write(address & 0xFFF, 4, value)
            elif operation == OUTPUT:
                self.gsi.line(SERIAL).set(value != 0)
            elif operation == TAKE:
                reports.append(self.lapic.acknowledge() if self.lapic.output else NOTHING)
        return reports


def write(register, value):
    return WRITE, LAPIC + register, value


def read(register):
    return READ, LAPIC + register, 0


def write_ioapic(register, value):
    return (WRITE, IOAPIC, register), (WRITE, IOAPIC + 0x10, value)


def read_ioapic(register):
    return (WRITE, IOAPIC, register), (READ, IOAPIC + 0x10, 0)


ENTRY = 0x10 + 2 * SERIAL
SET_UP = ((OUTPUT, COM1 + 1, 0), write(SVR, 0x1EF), write(LINT0, MASKED), write(TPR, 0),
          write(LDR, 1 << 24), write(DFR, 0xFFFFFFFF), *write_ioapic(ENTRY, MASKED))
SHOW = (read(TPR), read(PPR), *read_ioapic(ENTRY), *read_ioapic(ENTRY + 1),
        *(read(first + 16 * n) for first in (ISR, TMR, IRR) for n in range(8)))


def random_step(dice, trigger):
    action = dice.randrange(9)
    if action == 0:
        return (write(TPR, dice.choice((0, 0, 0x30, 0x35, 0x50, 0xEF, 0xFF))),)
    if action == 1:
        mode = dice.choice((0, LOWEST)) | dice.choice((0, LOGICAL)) | dice.choice((0, 0, LEVEL))
        return (write(ICR_HIGH, dice.choice(DESTINATIONS) << 24),
                write(ICR, dice.choice(VECTORS) | mode), read(ICR_HIGH))
    if action == 2:
        return (write(ICR, dice.choice((0x40000, 0x80000, 0xC0000)) | dice.choice(VECTORS)),)
    if action == 3:
        entry = dice.choice(VECTORS) | trigger | dice.choice((0, 0, MASKED))
        return (*write_ioapic(ENTRY + 1, dice.choice((0, 0xFF, *DESTINATIONS)) << 24),
                *write_ioapic(ENTRY, entry))
    if action == 4:
        return ((OUTPUT, COM1 + 1, dice.choice((0, 2))),)  # IER: transmitter empty
    if action == 5:
        return (write(EOI, 0),)
    if action == 6:
        return (write(DFR, dice.choice((0xFFFFFFFF, 0x0FFFFFFF))),
                write(LDR, dice.choice((0x01, 0x21, 0x84)) << 24), read(DFR), read(LDR))
    return ((TAKE, 0, 0),)


def told(steps):
    """The last step and the writes that led there."""
    lately = [step for step in steps[-400:-1] if step[0] != READ and step[1] != IOAPIC]
    return " ".join(":".join(map(hex, step)) for step in (*lately[-30:], steps[-1]))


def test_interrupts(program, clock, tmp_path):
    dice = random.Random("apic")
    steps = []
    for _ in range(WALKS):
        steps += [step for _ in range(24) for step in (write(TPR, 0), (TAKE, 0, 0), write(EOI, 0))]
        trigger = dice.choice((0, LEVEL))
        steps += (*SET_UP, *write_ioapic(ENTRY, MASKED | trigger))
        for _ in range(STEPS):
            steps += (*random_step(dice, trigger), *SHOW)
    steps = [*SET_UP, *steps]
    theirs, ours = run_on_qemu(program, steps, tmp_path), Board(clock).run(steps)
    reporting = [n for n, step in enumerate(steps) if step[0] in (READ, TAKE)]
    for n, our, their in zip(reporting, ours, theirs, strict=True):
        assert our == their, told(steps[:n + 1])
