"""The same accesses to our IDE and to QEMU's, which must answer alike, register for register.

Left out is where QEMU departs from ATA/ATAPI-6: it has no IDNF, completes NOP, shows no BSY while
SRST is asserted, and interrupts at its end.
"""
import random
import shutil
import subprocess
import time

import pytest

from ..unit.ide_host import (
    BSY,
    BUS_MASTER,
    CONTROL,
    DATA,
    DEVICE,
    ERROR,
    STATUS,
    Driver,
    Host,
)

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU")

SECTORS = 4032  # four cylinders
ADDRESS, DATA_PORT = 0xCF8, 0xCFC
IDE_FUNCTION = 0x8000_0900  # bus 0, device 1, function 1
TABLE, BUFFER = 0x11_0000, 0x12_0000


class Qemu(Driver):
    """A stopped QEMU whose ports and memory we reach by its test protocol."""

    def __init__(self, image, media="disk"):
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-S", "-m", "32", "-nodefaults",
             "-display", "none", "-qtest", "stdio", "-qtest-log", "/dev/null",
             "-drive", f"file={image},format=raw,if=ide,media={media}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = self.memory = self
        self.outl(ADDRESS, IDE_FUNCTION | 0x20)
        self.outl(DATA_PORT, BUS_MASTER)
        self.outl(ADDRESS, IDE_FUNCTION | 0x04)
        self.outl(DATA_PORT, 0x5)
        for decode in (0x40,):
            self.outl(ADDRESS, IDE_FUNCTION | decode)
            self.outl(DATA_PORT, 0x8000_8000)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("OK"):
                return line.split()[1:]
            assert not line.startswith("FAIL"), line
        raise AssertionError("QEMU has gone")

    def read(self, where, size):
        if where >= TABLE:
            return bytes.fromhex(self.ask("read", hex(where), size)[0][2:])
        return int(self.ask(f"in{' bw l'[size]}", hex(where))[0], 16)

    def write(self, where, size, value=None):
        if value is None:
            self.ask("write", hex(where), len(size), "0x" + size.hex())
        else:
            self.ask(f"out{' bw l'[size]}", hex(where), hex(value))

    def settle(self):
        """QEMU's disk works beside us; nothing tells when it is done but the registers."""
        deadline = time.monotonic() + 0.01
        while time.monotonic() < deadline or self.inb(0x3F6) & BSY:
            pass


class Settling:
    """A Host with that data on its medium, to be asked as QEMU is."""

    def __init__(self, clock, sectors, data):
        super().__init__(clock, sectors)
        self.clock = clock
        self.backend.data[:] = data
        self.memory.ram = bytearray(BUFFER + (1 << 20))

    def settle(self):
        self.clock.advance(us=1)


class Ours(Settling, Host):
    pass


@pytest.fixture
def pair(clock, tmp_path):
    data = random.Random(6).randbytes(SECTORS * 512)
    (tmp_path / "disk.img").write_bytes(data)
    qemu = Qemu(tmp_path / "disk.img")
    yield Ours(clock, SECTORS, data), qemu
    qemu.process.kill()
    qemu.process.wait()


def alike(pair):
    """Let QEMU come to our state; compare."""
    deadline = time.monotonic() + 5
    while state(pair[0]) != state(pair[1]) and time.monotonic() < deadline:
        time.sleep(0.01)
    both(pair, state)


def both(pair, action):
    """Do it on both and compare what it returns."""
    ours, theirs = (action(host) for host in pair)
    assert ours == theirs
    return ours


def state(host):
    host.settle()
    return [host.inb(port) for port in range(ERROR, STATUS)] + [
        host.inb(0x3F6), host.inb(BUS_MASTER), host.inb(BUS_MASTER + 2)]


def test_power_on_and_reset(pair):
    for control in (4, 0):
        for host in pair:
            host.outb(CONTROL, control)
            host.settle()
            host.outb(BUS_MASTER + 2, 4)
    both(pair, state)
    for host in pair:
        host.outb(DEVICE, 0xB0)
    both(pair, state)


def test_commands_without_data(pair):
    for host in pair:
        host.outb(CONTROL, 4)
        host.outb(CONTROL, 0)
    for code, arguments in [
            (0x10, {}), (0x70, {"lba": 5}), (0x40, {"lba": 5, "count": 2}), (0x91, {"count": 63}),
            (0xC6, {"count": 8}), (0xC6, {"count": 3}), (0xC6, {"count": 0}), (0xC4, {"count": 1}),
            (0xE5, {}), (0xE7, {}), (0xEA, {}), (0xF8, {}), (0x27, {}), (0x90, {}), (0x08, {}),
            (0xA1, {}), (0xC0, {}), (0xEF, {"features": 3, "count": 0x45}),
            (0xEF, {"features": 0x82}), (0xEF, {"features": 0x99}), (0xB0, {"features": 0})]:
        for host in pair:
            host.command(code, **arguments)
            host.outb(BUS_MASTER + 2, 4)
        assert both(pair, state), hex(code)


def test_identify_differs_only_in_names_and_features(pair):
    ours, theirs = [], []
    for host, words in zip(pair, (ours, theirs), strict=True):
        host.command(0xEC)
        host.settle()
        words.extend(host.ports.read(DATA, 2) for _ in range(256))
    differing = {i for i in range(256) if ours[i] != theirs[i]}
    names = set(range(27, 47))
    obsolete_bytes = {4, 5}  # in a track and a sector, unformatted
    trim, smart_and_power = {69, 169}, {82, 85}
    assert differing <= names | obsolete_bytes | trim | smart_and_power


@pytest.mark.parametrize("code, count, block", [(0x20, 3, 1), (0xC4, 20, 16), (0x24, 2, 1)])
def test_pio_read(pair, code, count, block):
    for host in pair:
        host.command(code, lba=100, count=0)  # for the upper bytes of a 48-bit command
        while host.inb(0x3F6) & 8:
            host.outb(CONTROL, 4)
            host.outb(CONTROL, 0)
            host.settle()
        for port in range(ERROR, DEVICE):
            host.outb(port, 0)
        host.command(code, lba=100, count=count)
    while count:
        both(pair, state)
        length = 512 * min(block, count)
        both(pair, lambda host, length=length: host.take(length, 4))
        count -= min(block, count)
    both(pair, state)


@pytest.mark.parametrize("code, count, block", [(0x30, 3, 1), (0xC5, 20, 16)])
def test_pio_write(pair, code, count, block):
    for host in pair:
        host.command(code, lba=200, count=count)
    while count:
        both(pair, state)
        for host in pair:
            host.give(b"new data" * 64 * min(block, count), 4)
        count -= min(block, count)
    both(pair, state)
    for host in pair:
        host.command(0x20, lba=201, count=1)
    both(pair, state)
    assert both(pair, lambda host: host.take(512, 4)) == b"new data" * 64


def test_pio_by_cylinder(pair):
    for lba, device in (5 | 2 << 8, 0xA3), (63 | 1 << 8, 0xAF), (1, 0xA0):
        for host in pair:
            host.command(0x20, device=device, lba=lba, count=1)
        both(pair, state)
        both(pair, lambda host: host.take(512, 4))
        both(pair, state)


REGIONS = {
    "one": [(0, 2048)], "scattered": [(0x8000, 512), (0x200, 1024), (0x4000, 512)],
    "too short": [(0, 1024)], "too long": [(0, 4096)], "two too many": [(0, 2048), (0x9000, 512)],
    "odd pieces": [(0x100, 100), (0x1000, 1948)], "64 KiB": [(0, 0x10000)]}


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("code, start", [(0xC8, 9), (0xCA, 1), (0x25, 9), (0x35, 1)])
@pytest.mark.parametrize("order", ["command first", "start first"])
def test_dma(pair, regions, code, start, order):
    for host in pair:
        host.memory.write(BUFFER, b"from memory " * 6000)
        host.table(*[(BUFFER + at, length) for at, length in regions], at=TABLE)
        if order == "start first":
            host.outb(BUS_MASTER, start)
        host.command48(code, 50, 4)
    alike(pair) if order == "command first" else None
    for host in pair:
        host.outb(BUS_MASTER, start)
    alike(pair)
    for host in pair:
        host.outb(BUS_MASTER, 0)
    alike(pair)
    both(pair, lambda host: host.memory.read(BUFFER, 72_000))
    for host in pair:
        host.command(0x20, lba=51, count=1)
    both(pair, state)
    both(pair, lambda host: host.take(512, 4))


def test_bus_master_registers(pair):
    dice = random.Random(7)
    for _ in range(60):
        port = BUS_MASTER + dice.choice((0, 2, 4, 5, 6, 7, 8, 10, 12, 13))
        value = dice.getrandbits(8) & ~(1 if port % 8 == 0 else 0)
        for host in pair:
            host.outb(port, value)
        both(pair, lambda host: [host.inb(BUS_MASTER + i) for i in (0, 2, 8, 10)]
             + [host.inl(BUS_MASTER + i) for i in (4, 12)])
