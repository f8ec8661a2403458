"""pc-testdev: what programs that test a PC's CPU and interrupt controllers need beside it.

Windows: a register for accesses of any size (`ports`), a line to drive for each interrupt
(`lines`), memory that is a device (`memory`), writes that do nothing (`flush`).
Source: kvm-unit-tests, x86/ and lib/x86/; QEMU's `info mtree` and behaviour.
"""
from collections.abc import Mapping

from .chip import Chip
from .line import Line

REGISTER_SIZE = 4
MEMORY_SIZE = 0x10000
LINES = 24


class PcTestdev(Chip):
    """irqs: the lines by number; where there is none, a write does nothing."""

    STATE = ("ports", "memory")

    def __init__(self, irqs: Mapping[int, Line]):
        self.ports = Window(REGISTER_SIZE)
        self.memory = Window(MEMORY_SIZE)
        self.flush = Flush()
        self.lines = Lines(irqs)


class Window(Chip):
    """Bytes that keep what is written, over a reset as well. Only aligned accesses count."""

    STATE = ("data",)

    def __init__(self, size: int):
        self.data = bytearray(size)

    def read(self, offset: int, size: int) -> int:
        return 0 if offset % size else int.from_bytes(self.data[offset:offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        if offset % size == 0:
            self.data[offset:offset + size] = value.to_bytes(size, "little")


class Flush:
    """Makes QEMU forget a translated page."""

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Nothing is to be done: here none is ever stale."""


class Lines:
    """One port for each interrupt: what is written to it is the level of its line."""

    def __init__(self, irqs: Mapping[int, Line]):
        self.irqs = irqs

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        line = self.irqs.get(offset)
        if line:
            line.set(value != 0)
