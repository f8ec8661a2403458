"""The same packets to our CD-ROM drive and to QEMU's, which must answer alike.

Left out is where QEMU departs from ATA/ATAPI-6 or MMC-5, and what names a product or tells of
features that only one of the two has. QEMU hangs where a block has an odd length and where the
host's memory is too small for the answer; where it is too large QEMU shows the bus master idle.
"""
import random
import shutil

import pytest

from ..unit.ide_host import BUS_MASTER, CONTROL, DRQ, ERROR, MID, CdHost
from .test_qemu_ide import BUFFER, TABLE, Qemu, Settling, both

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU")

SECTORS = 500  # of 2048 bytes
READ_10, READ_12, READ_CD = 0x28, 0xA8, 0xBE


class Ours(Settling, CdHost):
    pass


class Theirs(Qemu, CdHost):
    """QEMU, with the packets of CdHost."""

    def __init__(self, image):
        Qemu.__init__(self, image, media="cdrom")

    def inb(self, port):
        return Qemu.inb(self, port)


@pytest.fixture
def pair(clock, tmp_path):
    data = random.Random(8).randbytes(SECTORS * 2048)
    (tmp_path / "disc.iso").write_bytes(data)
    qemu = Theirs(tmp_path / "disc.iso")
    ours = Ours(clock, SECTORS, data)
    for host in ours, qemu:
        host.outb(CONTROL, 4)
        host.outb(CONTROL, 0)
        host.settle()
        host.outb(BUS_MASTER + 2, 4)  # QEMU interrupts at the end of a reset
    yield ours, qemu
    qemu.process.kill()
    qemu.process.wait()


def state(host):
    host.settle()
    return [host.inb(port) for port in range(ERROR, ERROR + 7)] + [
        host.inb(0x3F6), host.inb(BUS_MASTER), host.inb(BUS_MASTER + 2)]


def whole(host, *command, limit=0xFFFE):
    """Everything that can be seen while a packet's command is carried out by PIO."""
    host.packet(*command, limit=limit)
    seen = [state(host)]
    while host.inb(0x3F6) & DRQ:
        length = host.inb(MID) | host.inb(MID + 1) << 8
        seen += [host.take(length + length % 2)[:length], state(host)]
    return seen


def test_signature(pair):
    both(pair, state)
    for host in pair:
        host.command(0xEC)
    both(pair, state)


@pytest.mark.parametrize("code, arguments", [
    (0x00, {}), (0x20, {}), (0xC8, {}),
    (0xEF, {"features": 3, "count": 0x42}), (0xEF, {"features": 3, "count": 0x99})])
def test_commands_without_a_packet(pair, code, arguments):
    for host in pair:
        host.command(code, **arguments)
    both(pair, state)


@pytest.mark.parametrize("command", [
    (0x00,), (0x25,), (0x43, 0, 0, 0, 0, 0, 2, 0, 10), (0x43, 0, 0, 0, 0, 0, 0, 0, 10, 0x80),
    (0x43, 2, 0, 0, 0, 0, 0, 0, 100, 0x80), (0x43, 2, 0, 0, 0, 0, 0, 0, 10, 0xC0),
    (0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8), (0x51, 0, 0, 0, 0, 0, 0, 0, 100), (0x5A, 0, 0xEA),
    (0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8), (0xBB, 0, 0xFF, 0xFF), (0x2A,), (0x2B, 0, 0, 0, 0, 10),
    (0x2B, 0, 0, 9, 0, 9), (READ_10, 0, 0, 0, 0, 5, 0, 0, 3), (READ_10, 0, 0, 0, 0, 5, 0, 0, 0),
    (READ_10, 0, 0, 0, 1, 0xF3, 0, 0, 1), (READ_10, 0, 0, 0, 1, 0xF3, 0, 0, 2),
    (READ_12, 0, 0, 0, 0, 9, 0, 0, 0, 40), (READ_CD, 0, 0, 0, 0, 5, 0, 0, 2, 0x10),
    (READ_CD, 0, 0, 0, 0, 5, 0, 0, 2, 0xF8), (READ_CD, 0, 0, 0, 0, 5, 0, 0, 2, 0),
    (READ_CD, 0, 0, 0, 0, 5, 0, 0, 2, 0x20)], ids=lambda command: bytes(command).hex())
def test_packets_by_pio(pair, command):
    for limit in (0xFFFE, 2048, 4001, 1000):
        both(pair, lambda host, limit=limit: whole(host, *command, limit=limit))
    both(pair, sense)


def sense(host):
    host.packet(0x03, 0, 0, 0, 18)
    return host.take(18)[1:]  # QEMU says that there is more in it


def test_tray(pair):
    for command in ((0x1E, 0, 0, 0, 1), (0x1E,), (0x1B, 0, 0, 0, 2), (0x1B, 0, 0, 0, 2), (0x00,),
                    (0x25,), (READ_10, 0, 0, 0, 0, 0, 0, 0, 1), (0x1B, 0, 0, 0, 3)):
        both(pair, lambda host, command=command: whole(host, *command))


REGIONS = {"one": [(0, 4096)], "scattered": [(0x8000, 512), (0x200, 1024), (0x4000, 2560)]}


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("order", ["command first", "start first"])
def test_sectors_by_dma(pair, regions, order):
    for host in pair:
        host.memory.write(BUFFER, b"from memory " * 6000)
        host.table(*[(BUFFER + at, length) for at, length in regions], at=TABLE)
        if order == "start first":
            host.outb(BUS_MASTER, 9)
        host.packet(READ_10, 0, 0, 0, 0, 5, 0, 0, 2, by_dma=True)
        host.outb(BUS_MASTER, 9)
    both(pair, state)
    for host in pair:
        host.outb(BUS_MASTER, 0)
    both(pair, state)
    both(pair, lambda host: host.memory.read(BUFFER, 72_000))
