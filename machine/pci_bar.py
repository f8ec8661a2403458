"""What a PCI function decodes: ports, registers in memory, RAM or ROM, and where it is mapped.

Source: PCI Local Bus Specification 3.0, section 6.2.5.
"""
from collections.abc import Callable
from typing import Any, Protocol

COMMAND_IO = 0x001
COMMAND_MEMORY = 0x002

# The read-only low bits of a base address register
BAR_IO = 0x1
BAR_PREFETCHABLE = 0x8


class Buses(Protocol):
    """Where regions are mapped: `PciBus`."""

    ports: Any
    memory: Any


class Bar(Protocol):
    """What a base address register decodes: a power of two of bytes in one of the two spaces."""

    size: int
    flags: int  # the read-only low bits of the register
    space: int  # the COMMAND bit that enables it
    limit: int  # the last address of the space

    def map(self, bus: Buses, base: int) -> Any: ...
    def unmap(self, bus: Buses, mapping: Any) -> None: ...


class IoBar:
    """`count` ports of `device`; `width` is the widest access it takes, as in `Ports.map`."""

    flags = BAR_IO
    space = COMMAND_IO
    limit = 0xFFFF

    def __init__(self, device: Any, count: int, width: int = 1):
        self.device, self.size, self.width = device, count, width

    def map(self, bus: Buses, base: int) -> int:
        bus.ports.map(base, self.size, self.device, self.width)
        return base

    def unmap(self, bus: Buses, mapping: int) -> None:
        bus.ports.unmap(mapping, self.size)


class MemoryBar:
    """Common to the three kinds of memory: 32-bit addresses, below the last page."""

    flags = 0
    space = COMMAND_MEMORY
    limit = 0xFFFF_FFFE  # a region that ends at 4 GiB is a register being sized
    size: int

    def unmap(self, bus: Buses, mapping: Any) -> None:
        bus.memory.unmap(mapping)


class MmioBar(MemoryBar):
    """`size` bytes of registers of `device`, which has `read` and `write` as for ports."""

    def __init__(self, device: Any, size: int, name: str):
        self.device, self.size, self.name = device, size, name

    def map(self, bus: Buses, base: int) -> Any:
        return bus.memory.map_mmio(base, self.size, self.device, self.name)


class RamBar(MemoryBar):
    """A writable buffer that the guest reaches without a callback, such as video memory."""

    def __init__(self, buffer: Any, name: str, prefetchable: bool = True):
        self.buffer, self.size, self.name = buffer, len(buffer), name
        self.flags = BAR_PREFETCHABLE if prefetchable else 0

    def map(self, bus: Buses, base: int) -> Any:
        return bus.memory.map_ram(base, self.buffer, self.name)


class RomBar(MemoryBar):
    """An expansion ROM: `data`, filled up with zeroes to a power of two of at least 2 KiB."""

    MINIMUM = 2048

    def __init__(self, data: bytes, name: str):
        self.size = max(self.MINIMUM, 1 << (len(data) - 1).bit_length())
        self.buffer = data.ljust(self.size, b"\0")
        self.name = name

    def map(self, bus: Buses, base: int) -> Any:
        return bus.memory.map_rom(base, self.buffer, self.name)


class Window:
    """One region that a function decodes, and where it is mapped at the moment.

    number: of the base address register, or None for a region that the header does not show.
    where: the address the registers ask for, None while they ask for none.
    """

    def __init__(self, number: int | None, bar: Bar, where: Callable[[], int | None]):
        self.number = number
        self.bar = bar
        self.where = where
        self.base: int | None = None
        self.mapping: Any = None

    def wanted(self) -> int | None:
        """The address to be mapped at, None if there is none or it makes no sense."""
        base = self.where()
        if not base or base + self.bar.size - 1 > self.bar.limit:
            return None
        return base
