"""PCI Local Bus Specification 3.0: configuration space and mechanism 1."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.pci import PciBus, PciDevice
from pyemu.machine.pci_bar import IoBar, MmioBar, RamBar, RomBar
from pyemu.ports import Ports
from unit.pci_memory import Memory

COMMAND, BAR0, BAR1, BAR2, ROM = 0x04, 0x10, 0x14, 0x18, 0x30
HOST_PORTS = set(range(0xCF8, 0xD00))


class Registers:
    def read(self, offset, size):
        return 0x40 + offset

    def write(self, offset, size, value):
        self.last = offset, size, value


class Rig:
    def __init__(self):
        self.ports, self.memory = Ports(), Memory()
        self.pins, self.reset_control = {}, Registers()
        self.bus = PciBus(self.ports, self.memory, self.route, self.reset_control)
        self.ports.map(0xCF8, 4, self.bus.address, width=4)
        self.ports.map(0xCFC, 4, self.bus.data, width=4)

    def route(self, slot, pin):
        return Line(lambda level: self.pins.__setitem__((slot, pin), level))

    def read(self, devfn, register, size=4):
        self.ports.write(0xCF8, 4, 1 << 31 | devfn << 8 | register & 0xFC)
        return self.ports.read(0xCFC + (register & 3), size)

    def write(self, devfn, register, value, size=4):
        self.ports.write(0xCF8, 4, 1 << 31 | devfn << 8 | register & 0xFC)
        self.ports.write(0xCFC + (register & 3), size, value)


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def card(rig):
    device = PciDevice("card", (0x8086, 0x100E), 0x020000, revision=3, pin=1, bars={
        0: MmioBar(Registers(), 0x20000, "mmio"), 1: IoBar(Registers(), 0x40, width=4),
        2: RamBar(bytearray(0x1000), "ram"), 6: RomBar(b"\x55\xaa" + bytes(5000), "rom")})
    return rig.bus.add(device, 3)


def test_config_address_reads_back_and_takes_only_doublewords(rig):
    rig.ports.write(0xCF8, 4, 0x8000_1234)
    rig.ports.write(0xCF8, 2, 0)
    rig.ports.write(0xCFB, 1, 0)
    assert rig.ports.read(0xCF8, 4) == 0x8000_1234
    assert rig.ports.read(0xCF8, 2) == 0xFFFF


def test_byte_at_cf9_is_reset_control(rig):
    rig.ports.write(0xCF9, 1, 6)
    assert rig.reset_control.last == (0, 1, 6)
    assert rig.ports.read(0xCF9, 1) == 0x40
    assert rig.ports.read(0xCF8, 4) == 0


def test_header_by_byte_word_and_doubleword(rig, card):
    assert rig.read(0x18, 0) == 0x100E_8086
    assert rig.read(0x18, 2, 2) == 0x100E
    assert rig.read(0x18, 0x0B, 1) == 0x02
    assert rig.read(0x18, 0x2C) == 0x1100_1AF4
    assert rig.read(0x18, 0x3D, 1) == 1


@pytest.mark.parametrize("address", [
    0x8000_2000, 0x8001_1800, 0x0000_1800], ids=["absent", "bus 1", "not enabled"])
def test_nobody_answers_ones(rig, card, address):
    rig.ports.write(0xCF8, 4, address)
    rig.ports.write(0xCFC, 4, 0)
    assert rig.ports.read(0xCFC, 4) == 0xFFFF_FFFF
    assert rig.ports.read(0xCFE, 2) == 0xFFFF


def test_access_across_the_end_of_configuration_space(rig, card):
    rig.write(0x18, 0xFF, 0x1234_56AB)
    assert rig.read(0x18, 0xFF) == 0xAB
    assert len(card.config) == 256


def test_read_only_bits_stay(rig, card):
    for register in range(0, 0x40, 4):
        rig.write(0x18, register, 0xFFFF_FFFF)
    assert rig.read(0x18, 0) == 0x100E_8086
    assert rig.read(0x18, COMMAND) == 0x0507
    assert rig.read(0x18, 0x08) == 0x0200_0003


def test_status_errors_clear_by_writing_ones(rig, card):
    card.config[7] = 0xF9
    rig.write(0x18, 6, 0x2000, 2)
    assert rig.read(0x18, 6, 2) == 0xD900


@pytest.mark.parametrize("register, sized", [
    (BAR0, 0xFFFE_0000), (BAR1, 0xFFFF_FFC1), (BAR2, 0xFFFF_F008), (ROM, 0xFFFF_E001), (0x1C, 0)])
def test_sizing_by_all_ones(rig, card, register, sized):
    rig.write(0x18, COMMAND, 3, 2)
    rig.write(0x18, register, 0xFFFF_FFFF)
    assert rig.read(0x18, register) == sized
    assert not rig.memory.regions


def test_nothing_is_decoded_before_command_enables_it(rig, card):
    rig.write(0x18, BAR0, 0xFEB8_0000)
    rig.write(0x18, BAR1, 0xC000)
    assert not rig.memory.regions and rig.ports.read(0xC000, 1) == 0xFF
    rig.write(0x18, COMMAND, 1, 2)
    assert not rig.memory.regions and rig.ports.read(0xC002, 1) == 0x42
    rig.write(0x18, COMMAND, 3, 2)
    assert rig.memory.regions == {"mmio": (0xFEB8_0000, 0x20000)}
    rig.write(0x18, COMMAND, 0, 2)
    assert not rig.memory.regions and rig.ports.read(0xC002, 1) == 0xFF


def test_moves_when_rewritten(rig, card):
    rig.write(0x18, COMMAND, 3, 2)
    for base in (0xE000_0000, 0xE100_0000):
        rig.write(0x18, BAR2, base)
        assert rig.memory.regions == {"ram": (base, 0x1000)}
    for base in (0xC000, 0xC040):
        rig.write(0x18, BAR1, base)
        assert set(rig.ports.table) - HOST_PORTS == set(range(base, base + 0x40))


def test_rom_needs_its_own_enable_bit(rig, card):
    rig.write(0x18, COMMAND, 2, 2)
    rig.write(0x18, ROM, 0xFEB0_0000)
    assert not rig.memory.regions
    rig.write(0x18, ROM, 0xFEB0_0001)
    assert rig.memory.regions == {"rom": (0xFEB0_0000, 0x2000)}


@pytest.mark.parametrize("register, base", [
    (BAR0, 0), (BAR0, 0x0002_0000), (BAR0, 0xFFFE_0000), (BAR1, 0), (BAR1, 0x1_0000),
    (BAR1, 0xCC0)], ids=["0", "RAM", "4 GiB", "port 0", "port 65536", "CF8h"])
def test_silly_addresses_leave_it_unmapped(rig, card, register, base):
    rig.write(0x18, COMMAND, 3, 2)
    rig.write(0x18, register, base)
    assert not rig.memory.regions
    assert set(rig.ports.table) == HOST_PORTS
    assert rig.read(0x18, 0) == 0x100E_8086


def test_the_second_of_two_at_one_address_is_mapped_once_the_first_leaves(rig, card):
    rig.write(0x18, COMMAND, 2, 2)
    rig.write(0x18, BAR0, 0xE000_0000)
    rig.write(0x18, BAR2, 0xE000_0000)
    assert set(rig.memory.regions) == {"mmio"}
    rig.write(0x18, BAR0, 0xE100_0000)
    assert rig.memory.regions == {"mmio": (0xE100_0000, 0x20000), "ram": (0xE000_0000, 0x1000)}


def test_intx_reaches_its_line_unless_disabled(rig, card):
    card.intx.set(True)
    assert rig.pins == {(3, 1): True}
    assert rig.read(0x18, 6, 2) & 8
    rig.write(0x18, COMMAND, 0x400, 2)
    assert rig.pins == {(3, 1): False}
    assert rig.read(0x18, 6, 2) & 8
    rig.write(0x18, COMMAND, 0, 2)
    card.intx.set(False)
    assert rig.pins == {(3, 1): False}
    assert not rig.read(0x18, 6, 2) & 8


def test_multi_function_bit(rig, card):
    assert rig.read(0x18, 0x0E, 1) == 0
    rig.bus.add(PciDevice("second", (1, 2), 0x010180), 3, 1)
    assert rig.read(0x18, 0x0E, 1) == 0x80
    assert rig.read(0x19, 0x0E, 1) == 0
    card.reset()
    assert rig.read(0x18, 0x0E, 1) == 0x80
    with pytest.raises(ValueError, match=r"03\.1 is already second"):
        rig.bus.add(PciDevice("third", (1, 2), 0), 3, 1)


def test_reset_unmaps_and_lowers_the_pin(rig, card):
    rig.write(0x18, BAR0, 0xE000_0000)
    rig.write(0x18, COMMAND, 6, 2)
    assert card.bus_master
    card.intx.set(True)
    card.reset()
    assert not rig.memory.regions and not card.bus_master
    assert rig.pins == {(3, 1): False}


def test_state_brings_the_mappings_back(rig, card):
    rig.write(0x18, BAR0, 0xE000_0000)
    rig.write(0x18, COMMAND, 2, 2)
    state = card.save()
    card.reset()
    card.load(state)
    assert rig.memory.regions == {"mmio": (0xE000_0000, 0x20000)}
