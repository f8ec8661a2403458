"""The same commands to our floppy controller and to QEMU's, which must answer alike.

Left out is where QEMU departs from the 82077AA's datasheet: it is ready while it is reset, DUMPREG
shows the timing in another form, and ST0 tells of heads that have moved within a transfer.
"""
import random
import shutil
import subprocess

import pytest

from ..unit.test_fdc import BUFFER, Host
from ..unit.test_i8237 import FROM_MEMORY, TO_MEMORY
from .test_qemu_ide import Qemu, both

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU")

FDC, CCR = 0x3F0, 0x3F7
SIZE = 1440 << 10
SEEK_END = 0x20


class Window:
    """Ports of QEMU in place of a chip."""

    def __init__(self, qemu, base):
        self.qemu = qemu
        self.base = base

    def read(self, offset, size):
        return self.qemu.read_port(self.base + offset)

    def write(self, offset, size, value):
        self.qemu.write_port(self.base + offset, value)


class Theirs(Host):
    def __init__(self, image):
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-S", "-m", "32", "-nodefaults",
             "-display", "none", "-qtest", "stdio", "-qtest-log", "/dev/null",
             "-drive", f"file={image},format=raw,if=floppy"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.fdc = Window(self, FDC)
        self.fdc.direction = Window(self, CCR)
        self.dma = self
        self.first, self.second, self.pages = (
            Window(self, base) for base in (0x00, 0xC0, 0x81))
        self.memory = self

    ask = Qemu.ask

    def read_port(self, port):
        return int(self.ask("inb", hex(port))[0], 16)

    def write_port(self, port, value):
        self.ask("outb", hex(port), hex(value))

    def buffer(self, length):
        return bytes.fromhex(self.ask("read", hex(BUFFER), length)[0][2:])

    def fill(self, data):
        self.ask("write", hex(BUFFER), len(data), "0x" + data.hex())


class Ours(Host):
    def __init__(self, data):
        super().__init__()
        self.disk.data[:] = data

    def fill(self, data):
        self.memory.ram[BUFFER:BUFFER + len(data)] = data


@pytest.fixture
def pair(tmp_path):
    data = random.Random(9).randbytes(SIZE)
    (tmp_path / "disk").write_bytes(data)
    ours, qemu = Ours(data), Theirs(tmp_path / "disk")
    yield ours, qemu
    qemu.process.kill()
    qemu.process.wait()


def test_commands_without_data(pair):
    for command in ((0x10,), (0x08,), (0x03, 0xAF, 0x1E), (0x13, 0, 0x57, 9), (0x12, 0x84),
                    (0x0F, 0, 5), (0x08,), (0x04, 0), (0x04, 4), (0x94,), (0x14,),
                    (0x07, 0), (0x08,), (0x08,), (0x1F,), (0x18,)):
        assert both(pair, lambda host, command=command: host.do(*command)) is not None
        both(pair, lambda host: [host.fdc.read(port, 1) for port in (2, 3, 4)])


def test_reset(pair):
    for host in pair:
        host.fdc.write(2, 1, 0)
        host.fdc.write(2, 1, 0x0C)
    for _ in range(5):
        both(pair, lambda host: host.do(0x08))


def outcome(host, command, mode, address):
    status_0, *rest = host.transfer(command, mode, *address)
    return [status_0 & ~SEEK_END, *rest]


@pytest.mark.parametrize(("head", "cylinder", "sector", "length"), [
    (0, 0, 1, 512), (1, 3, 4, 1024), (0, 7, 10, 512 * 9), (0, 2, 1, 512 * 36), (1, 79, 18, 512),
    (0, 5, 17, 512 * 4)])
def test_reads_and_writes(pair, head, cylinder, sector, length):
    address = length, cylinder, head, sector
    both(pair, lambda host: outcome(host, 0xE6, TO_MEMORY, address))
    both(pair, lambda host: host.buffer(length))
    both(pair, lambda host: host.first.read(8, 1) if host.dma is host
         else host.dma.first.read(8, 1))
    for host in pair:
        host.fill(b"new data" * (length // 8))
    both(pair, lambda host: outcome(host, 0xC5, FROM_MEMORY, address))
    for host in pair:
        host.fill(bytes(length))
    both(pair, lambda host: outcome(host, 0xE6, TO_MEMORY, address))
    assert both(pair, lambda host: host.buffer(length)) == b"new data" * (length // 8)


def test_data_rates(pair):
    for rate in 1, 2, 3, 0:
        for host in pair:
            host.rate(rate)
        both(pair, lambda host: host.transfer(0xE6, TO_MEMORY, 512, 0, 0, 1)[:3])
