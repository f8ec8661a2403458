"""The PCI function of QEMU's standard VGA, 1234:1111: where its memory and registers appear.

BAR0 is the video memory. BAR2 is a page of registers: 000h-0FFh are what the monitor tells of
itself, 400h-41Fh the VGA ports 3C0h-3DFh, 500h-515h the registers of the Bochs display interface,
600h-607h QEMU's own. The ROM is the VGA
BIOS. The legacy ports and the window at A0000h are the board's affair.
Source: QEMU docs/specs/standard-vga.txt.
"""
from typing import Any, Protocol

from pyemu.machine import edid
from pyemu.machine.pci import ROM_BAR, PciDevice
from pyemu.machine.pci_bar import MmioBar, RamBar, RomBar

IDS = (0x1234, 0x1111)
DISPLAY_VGA = 0x030000
REVISION = 2
MMIO_SIZE = 0x1000

# Offsets in BAR2
VGA_PORTS, VGA_PORTS_END = 0x400, 0x420
DISPI, DISPI_END = 0x500, 0x516
EXTENDED, BYTE_ORDER, EXTENDED_END = 0x600, 0x604, 0x608

EXTENDED_SIZE = EXTENDED_END - EXTENDED
LITTLE_ENDIAN = 0x1E1E_1E1E

MONITOR = edid.build(1280, 800, "PYEMU Monitor")


class Dispi(Protocol):
    """The Bochs display interface: 16-bit registers by index."""

    def read_register(self, index: int) -> int: ...
    def write_register(self, index: int, value: int) -> None: ...


class _Registers:
    """BAR2. Registers are narrow: wider accesses are put together from several."""

    def __init__(self, ports: Any, dispi: Dispi):
        self.ports = ports
        self.dispi = dispi

    def read(self, offset: int, size: int) -> int:
        if offset <= len(MONITOR) - size:
            return int.from_bytes(MONITOR[offset:offset + size], "little")
        if VGA_PORTS <= offset < VGA_PORTS_END:
            return sum(self.ports.read(offset - VGA_PORTS + i, 1) << 8 * i
                       for i in range(min(size, VGA_PORTS_END - offset)))
        if DISPI <= offset < DISPI_END:
            index, odd = divmod(offset - DISPI, 2)
            return self.dispi.read_register(index) >> 8 * odd
        if offset == EXTENDED:
            return EXTENDED_SIZE
        if offset == BYTE_ORDER:
            return LITTLE_ENDIAN
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if VGA_PORTS <= offset < VGA_PORTS_END:
            for i in range(min(size, VGA_PORTS_END - offset)):
                self.ports.write(offset - VGA_PORTS + i, 1, value >> 8 * i & 0xFF)
        elif DISPI <= offset < DISPI_END and not offset & 1 and size >= 2:
            self.dispi.write_register((offset - DISPI) // 2, value & 0xFFFF)


class VgaPci(PciDevice):
    """vram: a writable buffer, a power of two of bytes. ports: read(offset, 1) and
    write(offset, 1, value) with offsets from 3C0h. rom: the VGA BIOS, or None.
    """

    def __init__(self, vram: Any, ports: Any, dispi: Dispi, rom: bytes | None):
        bars: dict[int, Any] = {
            0: RamBar(vram, "vga.vram"),
            2: MmioBar(_Registers(ports, dispi), MMIO_SIZE, "vga.mmio"),
        }
        if rom:
            bars[ROM_BAR] = RomBar(rom, "vga.rom")
        super().__init__("VGA", IDS, DISPLAY_VGA, revision=REVISION, bars=bars)
