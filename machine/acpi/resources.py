"""Resource descriptors: what `_CRS` and `_PRS` list.

Source: ACPI 6.5, section 6.4.
"""
import struct
from collections.abc import Iterable

from pyemu.machine.acpi import aml

END_TAG = b"\x79\x00"  # a checksum of 0 says: not checked

# Address space descriptors: type, general flags (both ends fixed), type-specific flags
MEMORY, IO, BUS = 0, 1, 2
FIXED = 0x0C
IO_ENTIRE_RANGE = 0x03
MEMORY_CACHEABLE, MEMORY_READ_WRITE = 0x02, 0x01

# Extended interrupts: consumer, level, high, shared
INTERRUPT_FLAGS = 0x09
INTERRUPT_NUMBER = 5  # where the first number stands in the descriptor


def template(*descriptors: bytes) -> bytes:
    """The buffer that `ResourceTemplate ()` makes."""
    return aml.buffer(b"".join(descriptors) + END_TAG)


def io(base: int, count: int) -> bytes:
    """`count` ports (at most 255) at a fixed base, all 16 bits decoded."""
    return struct.pack("<BBHHBB", 0x47, 1, base, base, 1, count)


def irq(number: int) -> bytes:
    """An ISA interrupt: edge, high, exclusive."""
    return struct.pack("<BH", 0x22, 1 << number)


def dma(channel: int) -> bytes:
    """An ISA DMA channel: compatible timing, no bus master, bytes."""
    return struct.pack("<BBB", 0x2A, 1 << channel, 0)


def memory(base: int, size: int) -> bytes:
    """Registers at a fixed place, not to be written by who does not know them."""
    return struct.pack("<BHBII", 0x86, 9, 0, base, size)


def interrupts(numbers: Iterable[int]) -> bytes:
    """Interrupts of the I/O APIC: level, high, shared. For `_PRS` a choice, for `_CRS` one."""
    numbers = tuple(numbers)
    body = struct.pack(f"<BB{len(numbers)}I", INTERRUPT_FLAGS, len(numbers), *numbers)
    return struct.pack("<BH", 0x89, len(body)) + body


def bus_numbers(first: int, last: int) -> bytes:
    """Buses that a bridge produces."""
    return _word(BUS, 0, first, last)


def io_window(first: int, last: int) -> bytes:
    """Ports that a bridge passes on."""
    return _word(IO, IO_ENTIRE_RANGE, first, last)


def memory_window(first: int, last: int, cacheable: bool = False) -> bytes:
    """Addresses below 4 GiB that a bridge passes on."""
    flags = MEMORY_READ_WRITE | (MEMORY_CACHEABLE if cacheable else 0)
    body = struct.pack("<BBB5I", MEMORY, FIXED, flags, 0, first, last, 0, last - first + 1)
    return struct.pack("<BH", 0x87, len(body)) + body


def _word(kind: int, flags: int, first: int, last: int) -> bytes:
    body = struct.pack("<BBB5H", kind, FIXED, flags, 0, first, last, 0, last - first + 1)
    return struct.pack("<BH", 0x88, len(body)) + body
