"""The guest-physical memory map: RAM, ROM and devices, and what lies between them.

Everything from 0 to 2^52 is mapped, since an access that nobody answers must read as zeros, as with
QEMU, and not end the run. Mapping into a gap costs by the size of the gap, 70 ns a page: gaps are
cut fine where PCI regions will come and go, and above 4 GiB at powers of two, for the sake of high
RAM.
"""
import bisect
import mmap
from typing import Any, Protocol

PAGE = 4096
FOUR_GIB = 1 << 32
END = 1 << 52  # of the architecture's physical addresses
ADDRESSES = 1 << 64  # linear
PCI_HOLE = 0xE000_0000  # from here on up to 4 GiB gaps are cut into granules
GRANULE = 1 << 24
MANY = 256  # regions, from which on small gaps are joined
WORD = 4  # bytes, which any device can be asked for


class MemoryBus(Protocol):
    """What really maps: `engine.Cpu`."""

    def map_ram(self, address: int, buffer: Any, writable: bool) -> None: ...
    def map_device(self, address: int, size: int, device: Any) -> None: ...
    def show(self, address: int, start: int, size: int, buffer: Any, unit: int, stride: int
             ) -> None: ...
    def unmap(self, address: int) -> None: ...
    def physical_read(self, address: int, length: int) -> bytes: ...
    def physical_write(self, address: int, data: Any) -> None: ...
    def translate(self, address: int) -> int: ...


class Region:
    """A mapped range, base to end (exclusive). kind: "ram", "rom", "mmio" or "gap"."""

    __slots__ = ("base", "end", "kind", "name", "target")

    def __init__(self, base: int, size: int, kind: str, name: str, target: Any):
        self.base = base
        self.end = base + size
        self.kind = kind
        self.name = name
        self.target = target  # the buffer or the device

    def __repr__(self):
        return f"{self.name} at {self.base:#x}-{self.end - 1:#x}"


class Memory:
    """The map. Refuses overlap with ValueError; sizes and addresses are whole pages."""

    def __init__(self, bus: MemoryBus):
        self.bus = bus
        self.read = bus.physical_read
        self.write = bus.physical_write
        self.regions: list[Region] = []  # by base
        self._pam: dict[int, tuple[memoryview, memoryview]] = {}
        self._add_gaps(0, END)

    def map_ram(self, base: int, buffer: Any, name: str) -> Region:
        """Map a writable buffer (page-aligned in the host's memory, such as an mmap)."""
        return self._map(Region(base, len(buffer), "ram", name, buffer))

    def map_rom(self, base: int, data: bytes, name: str) -> Region:
        """Map a copy of `data`, filled up to whole pages; writes to it are dropped."""
        return self._map(Region(base, -len(data) % PAGE + len(data), "rom", name, _aligned(data)))

    def map_mmio(self, base: int, size: int, device: Any, name: str) -> Region:
        """Let device.read(offset, size) and device.write(offset, size, value) answer."""
        return self._map(Region(base, size, "mmio", name, device))

    def show(self, region: Region, start: int, size: int, buffer: Any, unit: int, stride: int
             ) -> None:
        """Let a writable buffer answer for a device, at offsets `start` to `start + size`.

        Of the buffer, runs of `unit` bytes are seen that begin `stride` apart, both powers of two.
        The device is not called there until it is told otherwise; size 0: it is, everywhere.
        """
        self.bus.show(region.base, start, size, buffer, unit, stride)

    def unmap(self, region: Region) -> None:
        """Leave the range to nobody."""
        self._remove(region)
        self._add_gaps(*self._join(region.base, region.end))

    def find(self, address: int) -> Region:
        """The region, perhaps a gap, that an address lies in."""
        return self.regions[bisect.bisect_right(self.regions, address, key=_base) - 1]

    def peek(self, address: int, length: int) -> bytes:
        """Read as the CPU does: devices answer too, and may change by it. `read` is DMA."""
        data = b""
        while (missing := length - len(data)) > 0:
            here = address + len(data)
            region = self.find(here)
            if here >= END or region.kind != "mmio":
                data += self.read(here, missing if here >= END else min(missing, region.end - here))
            else:
                size = WORD if here % WORD == 0 and missing >= WORD else 1
                data += region.target.read(here - region.base, size).to_bytes(size, "little")
        return data

    def read_virtual(self, address: int, length: int) -> bytes:
        """RAM and ROM at a linear address, as the CPU sees it now; shorter where no page is."""
        data = b""
        while len(data) < length:
            here = (address + len(data)) % ADDRESSES
            physical = self.bus.translate(here)
            if physical < 0:
                break
            data += self.read(physical, min(length - len(data), PAGE - here % PAGE))
        return data

    # --- programmable attribute map: RAM or ROM below 1 MiB, by segments ---

    def add_pam(self, base: int, ram: memoryview, rom: bytes) -> None:
        """Declare a segment that shows `rom`, as after power-on, until set_pam() shows `ram`."""
        self._pam[base] = ram, memoryview(_aligned(rom))
        self._map(Region(base, len(ram), "rom", "pam-pci", self._pam[base][1]))

    def set_pam(self, base: int, size: int, read: bool, write: bool) -> None:
        """Say whether reads and writes of a segment go to RAM rather than to the ROM."""
        ram, rom = self._pam[base]
        if read:
            region = Region(base, size, "ram" if write else "rom", "pam-ram", ram)
        elif write:
            region = Region(base, size, "mmio", "pam-split", WriteThrough(rom, ram))
        else:
            region = Region(base, size, "rom", "pam-pci", rom)
        self._remove(self.find(base))
        self._insert(region)

    # --- the list and the bus ---

    def _map(self, region: Region) -> Region:
        if region.base % PAGE or region.end % PAGE or region.base >= region.end:
            raise ValueError(f"{region} is not whole pages")
        gaps = self._gaps(region.base, region.end)
        for gap in gaps:
            self._carve(gap, region.base, region.end)
        self._insert(region)
        return region

    def _gaps(self, base: int, end: int) -> list[Region]:
        first = bisect.bisect_right(self.regions, base, key=_base) - 1
        last = bisect.bisect_left(self.regions, end, key=_base)
        found = self.regions[first:last]
        for region in found:
            if region.kind != "gap":
                raise ValueError(f"{base:#x}-{end - 1:#x} overlaps {region}")
        return found

    def _carve(self, gap: Region, base: int, end: int) -> None:
        """Replace a gap by what of it lies outside base to end."""
        self._remove(gap)
        for start, stop in ((gap.base, min(base, gap.end)), (max(end, gap.base), gap.end)):
            if start < stop:
                self._insert(Region(start, stop - start, "gap", "unassigned", None))

    def _join(self, base: int, end: int) -> tuple[int, int]:
        """A new gap takes in those beside it in the same granule, if what moves about has left
        many: each makes mapping slower."""
        while len(self.regions) > MANY and (gap := self._small_gap_beside(base)):
            self._remove(gap)
            base, end = min(base, gap.base), max(end, gap.end)
        return base, end

    def _small_gap_beside(self, base: int) -> Region | None:
        """Before or behind a hole in the list at `base`."""
        index = bisect.bisect_left(self.regions, base, key=_base)
        for gap in self.regions[max(0, index - 1):index + 1]:
            if gap.kind == "gap" and {gap.base // GRANULE, (gap.end - 1) // GRANULE} == {
                    base // GRANULE}:
                return gap
        return None

    def _add_gaps(self, base: int, end: int) -> None:
        while base < end:
            stop = min(end, _gap_end(base))
            self._insert(Region(base, stop - base, "gap", "unassigned", None))
            base = stop

    def _insert(self, region: Region) -> None:
        size = region.end - region.base
        if region.kind in ("ram", "rom"):
            self.bus.map_ram(region.base, region.target, region.kind == "ram")
        else:
            self.bus.map_device(region.base, size, region.target)
        bisect.insort(self.regions, region, key=_base)

    def _remove(self, region: Region) -> None:
        self.bus.unmap(region.base)
        self.regions.remove(region)


class WriteThrough:
    """A PAM segment that is read from ROM and written to RAM."""

    def __init__(self, rom: memoryview, ram: memoryview):
        self.rom, self.ram = rom, ram

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(self.rom[offset:offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.ram[offset:offset + size] = value.to_bytes(size, "little")


def _base(region: Region) -> int:
    return region.base


def _gap_end(base: int) -> int:
    """Where a gap that begins at `base` must end at the latest."""
    if base < PCI_HOLE:
        return PCI_HOLE
    if base < FOUR_GIB:
        return min(base // GRANULE * GRANULE + GRANULE, FOUR_GIB)
    return 1 << base.bit_length()


def _aligned(data: bytes) -> mmap.mmap:
    """A page-aligned, writable copy of whole pages, as the bus needs it even for ROM."""
    pages = mmap.mmap(-1, -len(data) % PAGE + len(data))
    pages[:len(data)] = data
    return pages
