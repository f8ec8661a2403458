"""The 65536 I/O ports: who answers where.

The table that the CPU's IN and OUT hooks look up is native (`engine`); this is its owner. A chip
declares how wide its registers are: a wider access is cut into as many narrow ones, at the ports
that follow, as on an ISA bus.
"""
from typing import Any, Protocol, TypeVar


class PortDevice(Protocol):
    """What can be mapped. `offset` counts from the base of the mapping; size is 1, 2 or 4 bytes.

    A device may also have `read_block(limit) -> bytes`, at most `limit` bytes that a string input
    would read one by one, and `write_block(data) -> int`, the bytes taken of a string output.
    """

    def read(self, offset: int, size: int) -> int: ...
    def write(self, offset: int, size: int, value: int) -> None: ...


D = TypeVar("D", bound=PortDevice)


class PortBus(Protocol):
    """The native table: `engine.Cpu`, or none in a test."""

    def map_ports(self, base: int, count: int, width: int, device: Any) -> None: ...
    def unmap_ports(self, base: int, count: int) -> None: ...


class Ports:
    """The port map. Refuses overlap with ValueError."""

    COUNT = 1 << 16

    def __init__(self, bus: PortBus | None = None):
        self.bus = bus
        self.table: dict[int, tuple[int, int, PortDevice]] = {}

    def map(self, base: int, count: int, device: D, width: int = 1) -> D:
        """Give ports base .. base+count-1 to `device` and return it.

        width: the widest access in bytes (1, 2 or 4) that the device takes in one call.
        """
        ports = range(base, base + count)
        for port in ports:
            if not 0 <= port < self.COUNT:
                raise ValueError(f"port {port:#x} is beyond the last port")
            if port in self.table:
                owner = type(self.table[port][2]).__name__
                raise ValueError(f"port {port:#06x} is already taken by {owner}")
        for port in ports:
            self.table[port] = base, width, device
        if self.bus:
            self.bus.map_ports(base, count, width, device)
        return device

    def unmap(self, base: int, count: int) -> None:
        """Leave the ports to nobody: they read as ones and ignore writes."""
        for port in range(base, base + count):
            del self.table[port]
        if self.bus:
            self.bus.unmap_ports(base, count)

    def read(self, port: int, size: int) -> int:
        """What IN would return: `size` bytes, little-endian. For the monitor and tests."""
        entry = self.table.get(port)
        if entry is None:
            return (1 << 8 * size) - 1
        base, width, device = entry
        if size <= width:
            return device.read(port - base, size) & (1 << 8 * size) - 1
        half = size // 2
        low = self.read(port, half)
        return low | self.read((port + half) % self.COUNT, half) << 8 * half

    def write(self, port: int, size: int, value: int) -> None:
        """What OUT would do."""
        entry = self.table.get(port)
        if entry is None:
            return
        base, width, device = entry
        if size <= width:
            device.write(port - base, size, value)
            return
        half = size // 2
        self.write(port, half, value & (1 << 8 * half) - 1)
        self.write((port + half) % self.COUNT, half, value >> 8 * half)
