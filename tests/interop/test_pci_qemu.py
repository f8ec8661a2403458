"""Our configuration spaces against those of QEMU's `-M pc`, register by register."""
import pytest
from pyemu.clock import Clock
from pyemu.machine.i440fx import I440fx
from pyemu.machine.line import Line
from pyemu.machine.net.e1000 import E1000
from pyemu.machine.net.peer import Unplugged
from pyemu.machine.pci import PciBus
from pyemu.machine.piix3 import Piix3
from pyemu.machine.piix4_pm import Piix4Pm
from pyemu.machine.piix_ide import PiixIde
from pyemu.machine.vga_pci import VgaPci
from pyemu.ports import Ports

DEVICES = {0x00: "i440FX", 0x08: "PIIX3", 0x09: "piix3-ide", 0x0B: "PIIX4_PM", 0x10: "VGA",
           0x18: "e1000"}

# Where we differ on purpose: function, register: why
DIFFERENT = {
    (0x00, 0x72): "SMRAM: there is no memory that could be opened",
    **{(0x0B, r): "PMBA: read-only bits as in the datasheet" for r in (0x40, 0x42, 0x43)},
    (0x0B, 0x5B): "APMC_EN: set, as QEMU does with smm=off",
    **{(0x0B, r): "SMBBA: read-only bits as in the datasheet" for r in (0x90, 0x92, 0x93)},
}


class Memory:
    """Takes every mapping."""

    def take(self, *args):
        return object()

    map_ram = map_rom = map_mmio = set_pam = unmap = take


class Window:
    def read(self, offset, size):
        return 0

    def write(self, offset, size, value):
        pass

    read_register = write_register = None


def ours():
    ports, memory, system = Ports(), Memory(), None
    irqs = [Line(lambda level: None) for _ in range(16)]
    piix3 = Piix3(irqs, system)
    bus = PciBus(ports, memory, piix3.line, piix3.reset_control)
    bus.add(I440fx(memory, ram_size=128 << 20), 0)
    bus.add(piix3, 1, 0)
    bus.add(PiixIde(Window()), 1, 1)
    bus.add(Piix4Pm(Clock(), irqs[9], system), 1, 3)
    bus.add(VgaPci(bytearray(16 << 20), Window(), Window(), rom=bytes(39424)), 2)
    bus.add(E1000(Clock(), None, bytes(6), bytes(200_000), Unplugged()), 3)
    ports.map(0xCF8, 4, bus.address, width=4)
    ports.map(0xCFC, 4, bus.data, width=4)
    return ports


def read(machine, devfn, register, size=1):
    machine.write(0xCF8, 4, 1 << 31 | devfn << 8 | register & 0xFC)
    return machine.read(0xCFC + (register & 3), size)


def write(machine, devfn, register, value):
    machine.write(0xCF8, 4, 1 << 31 | devfn << 8 | register & 0xFC)
    machine.write(0xCFC + (register & 3), 1, value)


class Qemu:
    """The same ports of QEMU."""

    def __init__(self, qtest):
        oracle = qtest("-serial", "null", "-device", "VGA", "-device", "e1000")
        self.readers = {1: oracle.inb, 2: oracle.inw, 4: oracle.inl}
        self.writers = {1: oracle.outb, 2: oracle.outw, 4: oracle.outl}

    def read(self, port, size):
        return self.readers[size](port)

    def write(self, port, size, value):
        self.writers[size](port, value)


@pytest.fixture
def qemu(qtest):
    return Qemu(qtest)


@pytest.fixture
def pyemu():
    return ours()


def test_the_same_functions_are_there(qemu, pyemu):
    for machine in (qemu, pyemu):
        present = [n for n in range(256) if read(machine, n, 0, 4) != 0xFFFF_FFFF]
        assert present == sorted(DEVICES)


@pytest.mark.parametrize("devfn", DEVICES, ids=DEVICES.values())
def test_power_on_values(qemu, pyemu, devfn):
    def dump(machine):
        return {r: f"{read(machine, devfn, r):02x}" for r in range(256)
                if (devfn, r) not in DIFFERENT}
    assert dump(pyemu) == dump(qemu)


@pytest.mark.parametrize("devfn", DEVICES, ids=DEVICES.values())
def test_writable_bits(qemu, pyemu, devfn):
    def bits(machine, register):
        before = read(machine, devfn, register)
        write(machine, devfn, register, 0xFF)
        ones = read(machine, devfn, register)
        write(machine, devfn, register, 0)
        zeroes = read(machine, devfn, register)
        write(machine, devfn, register, before)
        return f"{ones ^ zeroes:02x}"
    registers = [r for r in range(256) if (devfn, r) not in DIFFERENT]
    assert {r: bits(pyemu, r) for r in registers} == {r: bits(qemu, r) for r in registers}
