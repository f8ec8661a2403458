"""QEMU docs/specs/standard-vga.txt: the PCI function of the standard VGA."""
import pytest
from pyemu.machine.vga_pci import VgaPci


class Ports:
    def __init__(self):
        self.last = {}

    def read(self, offset, size):
        assert size == 1
        return offset

    def write(self, offset, size, value):
        assert size == 1
        self.last[offset] = value


class Dispi:
    def __init__(self):
        self.registers = [0xB0C5, *range(10)]

    def read_register(self, index):
        return self.registers[index]

    def write_register(self, index, value):
        self.registers[index] = value


@pytest.fixture
def card():
    return VgaPci(bytearray(16 << 20), Ports(), Dispi(), rom=b"\x55\xaa" + bytes(39422))


@pytest.fixture
def page(card):
    return next(w.bar.device for w in card.windows if w.number == 2)


def test_identity_and_sizes(card):
    assert card.config_read(0, 4) == 0x1111_1234
    assert card.config_read(8, 4) == 0x0300_0002
    for register, size in ((0x10, 0xFF000008), (0x18, 0xFFFFF000), (0x30, 0xFFFF0001)):
        card.config_write(register, 4, 0xFFFF_FFFF)
        assert card.config_read(register, 4) == size


def test_without_rom_there_is_no_rom_register():
    card = VgaPci(bytearray(16 << 20), Ports(), Dispi(), rom=None)
    card.config_write(0x30, 4, 0xFFFF_FFFF)
    assert card.config_read(0x30, 4) == 0


def test_vga_ports_at_400h(page):
    assert page.read(0x414, 1) == 0x14
    assert page.read(0x41F, 4) == 0x1F
    page.write(0x404, 2, 0x0F01)
    assert page.ports.last == {4: 1, 5: 0x0F}


def test_dispi_registers_at_500h(page):
    assert page.read(0x500, 2) == 0xB0C5
    assert page.read(0x501, 1) == 0xB0
    page.write(0x508, 2, 0x41)
    page.write(0x515, 2, 1)
    assert page.dispi.registers[4] == 0x41


def test_the_monitor_at_0h(page):
    assert [page.read(offset, 4) for offset in (0, 4)] == [0xFFFF_FF00, 0x00FF_FFFF]
    told = bytes(page.read(offset, 1) for offset in range(0x100))
    assert told[0x71:0x7E] == b"PYEMU Monitor"
    assert sum(told[:0x80]) % 256 == sum(told[0x80:]) % 256 == 0
    assert page.read(0xFE, 4) == page.read(0x100, 4) == 0


def test_the_rest(page):
    assert (page.read(0x600, 4), page.read(0x604, 4), page.read(0x200, 4)) == (8, 0x1E1E1E1E, 0)
    for offset in range(0, 0x1000, 4):
        page.write(offset, 4, 0xFFFF_FFFF)
        page.read(offset, 4)
