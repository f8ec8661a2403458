"""What firmware, boot loader and kernel do to the ports of each chip, here and on QEMU.

The machine boots from a virtio disk, to spare QEMU's log the disk's PIO, and the sequences of
accesses are compared as far as both have got when the kernel prints its first line. Left out is
what depends on the time: counters, retrace, the clock's registers, ends of interrupts; and what
QEMU's system management mode does through ports 70h, 92h and B2h.
"""
import re
from collections import defaultdict

import pytest
from boot.console import IMAGES, PYEMU, Console

OPTIONS = ["-m", "128", "-nographic", "-drive",
           f"file={IMAGES}/mini.img,format=raw,snapshot=on,if=virtio"]
OURS = re.compile(r"cpu_(in|out) addr 0x(\w+)\((.)\) value (\d+)")
THEIRS = re.compile(r"memory_region_ops_(read|write) cpu 0 mr \S+ addr 0x(\w+) value 0x(\w+) "
                    r"size (\d)")
SIZES = {"b": 1, "w": 2, "l": 4}
PORTS = 0x10000

CHIPS = {  # its ports, and how many accesses there are at least
    "pic": ((0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1), 45),
    "pit": ((0x40, 0x41, 0x42, 0x43), 6),
    "speaker": ((0x61,), 2),
    "i8042": ((0x60, 0x64), 80),
    "cmos": ((0x71,), 12),
    "dma": ((*range(0x10), *range(0x81, 0x90), *range(0xc0, 0xe0)), 4),
    "vga": (range(0x3b0, 0x3e0), 3900),
    "vbe": (range(0x1ce, 0x1d0), 20),
    "floppy": ((*range(0x3f0, 0x3f6), 0x3f7), 28),
    "second serial port": (range(0x2f8, 0x300), 2),
}
CHIP_OF = {port: chip for chip, (ports, _) in CHIPS.items() for port in ports}

COUNTERS, RETRACE = (0x40, 0x41, 0x42), (0x3ba, 0x3da)
PIC_COMMANDS, END_OF_INTERRUPT = (0x20, 0xa0), (0x20, 0x60)
SPEAKER, RUNNING = 0x61, 0x30  # refresh, and the output of a counter that is not set up yet
I8042_STATUS, LAST_WAS_COMMAND = 0x64, 0x08  # QEMU never clears it
CMOS_INDEX, CMOS_DATA, NO_NMI, CLOCK = 0x70, 0x71, 0x80, range(13)
VGA_OF_LINUX = 3900  # then lines scroll when they come


def our_accesses(log):
    for line in log:
        if match := OURS.match(line):
            way, port, size, value = match.groups()
            yield way == "out", int(port, 16), SIZES[size], int(value)


def their_accesses(log):
    for line in log:
        if (match := THEIRS.match(line)) and int(match[2], 16) < PORTS:
            way, port, value, size = match.groups()
            size = int(size)
            yield way == "write", int(port, 16), size, int(value, 16) % (1 << 8 * size)


def sequences(accesses):
    """{chip: [what was done, ...]} of what does not depend on the time."""
    found = defaultdict(list)
    index = 0
    for writes, port, size, value in accesses:
        if port == CMOS_INDEX and writes:
            index = value & ~NO_NMI
        if (port not in CHIP_OF or (not writes and port in (*COUNTERS, *RETRACE))
                or (port in PIC_COMMANDS and writes and value & 0xe0 in END_OF_INTERRUPT)
                or (port == CMOS_DATA and not writes and index in CLOCK)):
            continue
        if port == SPEAKER:
            value &= ~RUNNING
        elif port == I8042_STATUS and not writes:
            value &= ~LAST_WAS_COMMAND
        where = f"{port:x}.{index:x}" if port == CMOS_DATA else f"{port:x}"
        found[CHIP_OF[port]].append(f"{'out' if writes else 'in'}{8 * size} {where} {value:x}")
    return found


@pytest.fixture(scope="module")
def boots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boots")
    found = []
    for command, parse in (
            ([PYEMU, "-d", "trace:cpu_in,trace:cpu_out"], our_accesses),
            (["qemu-system-x86_64", "-accel", "tcg", "-trace", "memory_region_ops_read",
              "-trace", "memory_region_ops_write"], their_accesses)):
        log = folder / "log"
        with Console([*command, *OPTIONS, "-D", log]) as console:
            console.expect("Linux version", timeout=300)
            console.process.terminate()
            console.wait()
        with log.open() as lines:
            found.append(sequences(parse(lines)))
    return found


@pytest.mark.parametrize("chip", CHIPS)
def test_the_same_accesses(boots, chip):
    ours, theirs = (sequence[chip] for sequence in boots)
    both = min(len(ours), len(theirs), VGA_OF_LINUX if chip == "vga" else len(ours))
    assert both >= CHIPS[chip][1]
    assert ours[:both] == theirs[:both]
