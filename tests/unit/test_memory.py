"""The memory map: no gaps, no overlap, PAM."""
import mmap

import pytest
from pyemu.memory import END, FOUR_GIB, MANY, Memory


class Bus:
    """Records mappings and refuses overlap, as the engine does."""

    def __init__(self):
        self.mapped = {}

    def map_ram(self, address, buffer, writable):
        self._add(address, len(buffer), ("ram" if writable else "rom", buffer))

    def map_device(self, address, size, device):
        self._add(address, size, ("device", device))

    def _add(self, address, size, what):
        assert all(address + size <= a or a + s <= address for a, (s, _) in self.mapped.items())
        self.mapped[address] = size, what

    def unmap(self, address):
        del self.mapped[address]

    def physical_read(self, address, length):
        return b"\xff" * length

    def physical_write(self, address, data):
        pass


@pytest.fixture
def memory():
    return Memory(Bus())


def covered(memory):
    end = 0
    for address, (size, _) in sorted(memory.bus.mapped.items()):
        assert address == end
        end += size
    return end == END


def test_nothing_is_left_unmapped(memory):
    ram = memory.map_ram(0, mmap.mmap(-1, 0x100000), "ram")
    rom = memory.map_rom(0xFFFC0000, bytes(0x40000), "bios")
    assert covered(memory)
    memory.unmap(rom)
    memory.unmap(ram)
    assert covered(memory)


def test_overlap_is_refused_and_changes_nothing(memory):
    memory.map_mmio(0xFEE00000, 0x1000, object(), "apic")
    before = dict(memory.bus.mapped)
    with pytest.raises(ValueError, match=r"overlaps apic at 0xfee00000-0xfee00fff"):
        memory.map_mmio(0xFEDFF000, 0x3000, object(), "other")
    assert memory.bus.mapped == before


@pytest.mark.parametrize(("base", "size"), [(0x800, 0x1000), (0x1000, 0x800), (0x1000, 0)])
def test_only_whole_pages_are_mapped(memory, base, size):
    with pytest.raises(ValueError, match="not whole pages"):
        memory.map_mmio(base, size, object(), "odd")


def test_mapping_for_pci_touches_one_granule(memory):
    before = set(memory.bus.mapped)
    memory.map_ram(0xFD000000, mmap.mmap(-1, 1 << 24), "vga.vram")
    assert set(memory.bus.mapped) == before
    memory.map_mmio(0xFEBF0000, 0x1000, object(), "vga.mmio")
    assert len(memory.bus.mapped) == len(before) + 2
    assert FOUR_GIB in memory.bus.mapped


def test_what_moves_about_does_not_leave_ever_more_gaps(memory):
    for base in (*range(0x2000_0000, 0x2600_0000, 0x13000),
                 *range(0xE700_0000, 0xE600_0000, -0x7000)):
        memory.unmap(memory.map_mmio(base, 0x1000, object(), "bar"))
    assert covered(memory)
    assert len(memory.regions) < MANY + 100


def test_high_ram_leaves_most_of_the_gap_above_alone(memory):
    """Unmapping takes the time of its pages: those up to 2^52 would take a day."""
    before = set(memory.bus.mapped)
    memory.map_ram(FOUR_GIB, mmap.mmap(-1, 1 << 20), "ram-above-4g")
    untouched = {base for base in before if base > FOUR_GIB}
    assert min(untouched) == 2 * FOUR_GIB
    assert untouched < set(memory.bus.mapped)
    assert covered(memory)


def test_pam_selects_ram_or_rom_for_each_direction(memory):
    ram = memoryview(mmap.mmap(-1, 0x4000))
    memory.add_pam(0xC0000, ram, b"\x55" * 0x4000)
    assert memory.bus.mapped[0xC0000][1][0] == "rom"

    memory.set_pam(0xC0000, 0x4000, read=True, write=True)
    assert memory.bus.mapped[0xC0000] == (0x4000, ("ram", ram))

    memory.set_pam(0xC0000, 0x4000, read=True, write=False)
    assert memory.bus.mapped[0xC0000] == (0x4000, ("rom", ram))

    memory.set_pam(0xC0000, 0x4000, read=False, write=True)
    _, through = memory.bus.mapped[0xC0000][1]
    through.write(2, 2, 0x1234)
    assert ram[2:4] == b"\x34\x12"
    assert through.read(2, 2) == 0x5555
    assert covered(memory)


def test_peek_asks_devices_where_dma_does_not(memory):
    class Device:
        def read(self, offset, size):
            return int.from_bytes(bytes(n & 0xFF for n in range(offset, offset + size)), "little")

    memory.map_mmio(0xB8000, 0x1000, Device(), "vga")
    assert memory.peek(0xB7FFE, 9) == b"\xff\xff" + bytes(range(7))
    assert memory.peek(0xB800A, 5) == bytes(range(10, 15))
    assert memory.peek(0xB8FFF, 2) == b"\xff\xff"
    assert memory.peek(END - 1, 3) == b"\xff\xff\xff"
