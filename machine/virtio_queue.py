"""A split virtqueue: how a driver and a device hand buffers to each other in memory.

Source: Virtual I/O Device Version 1.1, section 2.6; 2.6.5.3 (indirect descriptors), 2.6.7 and
2.6.8 (when to notify).
"""
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyemu.machine.chip import Chip

DESCRIPTOR = struct.Struct("<QIHH")  # address, length, flags, next
NEXT, TO_DRIVER, INDIRECT = 1 << 0, 1 << 1, 1 << 2
USED = struct.Struct("<II")  # head of the chain, bytes written into it

# The rings: flags, index, then the entries, and behind them the index for the other's notification
INDEX, RING = 2, 4
NO_INTERRUPT = 1 << 0  # flag of the available ring
WORD = 0xFFFF

MOST_BYTES = 1 << 25  # in one chain
MOST_ADDRESS = 1 << 52
LEGACY_ALIGNMENT = 4096


class QueueError(Exception):
    """What the driver has put into memory makes no sense."""


class Chain(NamedTuple):
    """The buffers of one request, as addresses and lengths."""

    head: int
    readable: list[tuple[int, int]]
    writable: list[tuple[int, int]]


class Queue(Chip):
    """memory: read(address, length), write(address, data). size: entries, a power of two."""

    STATE = ("size", "descriptors", "available", "used", "ready", "next_available", "next_used",
             "event_index", "signalled")

    def __init__(self, memory: Any, size: int):
        self.memory = memory
        self.maximum = size
        self.reset()

    def reset(self) -> None:
        self.size = self.maximum
        self.descriptors = self.available = self.used = 0  # addresses
        self.ready = False
        self.next_available = self.next_used = 0
        self.event_index = False  # notifications are asked for by index, not by flags
        self.signalled = 0  # `next_used` when the driver was last asked for an interrupt

    def place_legacy(self, page: int) -> None:
        """Lay it out in one piece from a page on; page 0 takes it away."""
        self.descriptors = page * LEGACY_ALIGNMENT
        self.available = self.descriptors + DESCRIPTOR.size * self.size
        end = self.available + RING + 2 * self.size + 2
        self.used = -(-end // LEGACY_ALIGNMENT) * LEGACY_ALIGNMENT
        self.ready = page != 0

    def chains(self) -> Iterator[Chain]:
        """Take what the driver has made available. Raises QueueError."""
        taken = 0
        while self.ready:
            waiting = (self._word(self.available + INDEX) - self.next_available) & WORD
            if not waiting:
                if not self.event_index:
                    return
                self._set_word(self.used + RING + USED.size * self.size, self.next_available)
                if self._word(self.available + INDEX) == self.next_available:
                    return
                continue
            if taken + waiting > self.size:  # the driver does not run meanwhile
                raise QueueError(f"{taken + waiting} entries are in a ring of {self.size}")
            taken += 1
            at = self.available + RING + 2 * (self.next_available % self.size)
            self.next_available = (self.next_available + 1) & WORD
            yield self._chain(self._word(at))

    def give_back(self, head: int, written: int) -> None:
        """The device is done with a chain."""
        at = self.used + RING + USED.size * (self.next_used % self.size)
        self.memory.write(at, USED.pack(head, written))
        self.next_used = (self.next_used + 1) & WORD
        self._set_word(self.used + INDEX, self.next_used)

    def wants_interrupt(self) -> bool:
        """Whether the driver is to hear of what it was given back since this was last asked."""
        if not self.event_index:
            return not self._word(self.available) & NO_INTERRUPT
        event = self._word(self.available + RING + 2 * self.size)
        before, self.signalled = self.signalled, self.next_used
        return (self.next_used - event - 1) & WORD < (self.next_used - before) & WORD

    def _chain(self, head: int) -> Chain:
        chain = Chain(head, [], [])
        table, count, number = self.descriptors, self.size, head
        total = steps = 0
        while True:
            if number >= count or steps > self.maximum:
                raise QueueError(f"descriptor {number} of {count} in a chain of {steps}")
            steps += 1
            address, length, flags, following = DESCRIPTOR.unpack(
                self.memory.read(table + DESCRIPTOR.size * number, DESCRIPTOR.size))
            if flags & INDIRECT:
                if table != self.descriptors or flags & NEXT or length % DESCRIPTOR.size:
                    raise QueueError("an indirect table is where none may be")
                table, count, number = min(address, MOST_ADDRESS), length // DESCRIPTOR.size, 0
                continue
            total += length
            if address + length > MOST_ADDRESS:
                raise QueueError(f"no memory is at {address:#x}")
            if total > MOST_BYTES:
                raise QueueError(f"a chain of more than {MOST_BYTES} bytes")
            if flags & TO_DRIVER:
                chain.writable.append((address, length))
            elif chain.writable:
                raise QueueError("a buffer to be read follows one to be filled")
            else:
                chain.readable.append((address, length))
            if not flags & NEXT:
                return chain
            number = following

    def _word(self, address: int) -> int:
        return int.from_bytes(self.memory.read(address, 2), "little")

    def _set_word(self, address: int, value: int) -> None:
        self.memory.write(address, value.to_bytes(2, "little"))
