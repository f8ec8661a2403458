"""The 82540EM's receiver: filters frames, writes them into the guest's buffers, says so.

Source: Intel 8254x software developer's manual (317453), sections 3.2 and 13.4.22-13.4.32.
"""
import struct
import zlib
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any

from pyemu.machine.chip import Chip
from pyemu.machine.net import checksum
from pyemu.machine.net.e1000_filter import Filter
from pyemu.machine.net.e1000_interrupts import Delay, Interrupts
from pyemu.machine.net.e1000_registers import (
    FLUSH,
    MASKS,
    RADV,
    RCTL,
    RCTL_EN,
    RCTL_RDMTS_SHIFT,
    RDBAH,
    RDBAL,
    RDH,
    RDLEN,
    RDT,
    RDTR,
    RXD_DD,
    RXD_EOP,
    RXD_IXSM,
    RXD_PIF,
    RXD_VP,
    RXDMT0,
    RXO,
    RXT0,
    SRPD,
    STATUS,
    STATUS_LU,
)
from pyemu.machine.net.e1000_rules import Rules
from pyemu.machine.net.e1000_statistics import Statistics
from pyemu.trace.hooks import (
    trace_e1000_receive,
    trace_e1000_receiver_overrun,
    trace_e1000x_rx_can_recv_disabled,
    trace_e1000x_rx_disabled,
    trace_e1000x_rx_link_down,
    trace_e1000x_rx_oversized,
    trace_e1000x_vlan_is_vlan_pkt,
)

DESCRIPTOR = struct.Struct("<QHHBBH")
ADDRESS = struct.Struct("<Q8x")  # what the guest says in one
MIN_FRAME = 60  # bytes without frame check sequence
MOST_IGNORED = 256  # frames for others, after which the guest has its turn
PAUSE = 1_000_000  # ns, its turn
TYPE_AT, TAGGED_TYPE_AT = 12, 16

# What goes into a buffer, and checksum, status, errors, VLAN tag for its descriptor
Stored = tuple[bytes, int, int, int, int]


def _split(stored: Stored, size: int) -> list[Stored]:
    """For buffers of that size: only the last one's descriptor ends the packet and has errors."""
    data, checked, status, errors, special = stored
    last = (len(data) - 1) // size * size
    parts: list[Stored] = [(data[at:at + size], checked, status & ~RXD_EOP, 0, special)
                           for at in range(0, last, size)]
    return [*parts, (data[last:], checked, status, errors, special)]


class Receiver(Chip):
    """registers, memory, interrupts, statistics: the chip's.

    can_run() says if it may write memory. on_room() is called when the guest has handed over
    buffers, or has made the receiver work, after which waiting frames may be offered again.
    """

    STATE = ("delay",)

    def __init__(self, clock: Any, registers: array, memory: Any, interrupts: Interrupts,
                 statistics: Statistics, can_run: Callable[[], bool],
                 on_room: Callable[[], None]):
        self.clock = clock
        self.registers = registers
        self.memory = memory
        self.interrupts = interrupts
        self.statistics = statistics
        self.can_run = can_run
        self.on_room = on_room
        self.ignored = 0  # frames since the last pause
        self.pause = clock.timer(on_room, "e1000_receive")
        self.filter = Filter(registers)
        self.delay = Delay(clock, "e1000_rdtr", lambda: interrupts.cause(RXT0))

    def reset(self) -> None:
        self.delay.reset()
        self.pause.cancel()
        self.filter.forget()

    def restored(self) -> None:
        self.pause.cancel()
        self.filter.forget()

    # Registers

    def write_rdt(self, value: int) -> None:
        self.registers[RDT] = value & MASKS[RDT]
        self.on_room()

    def write_rctl(self, value: int) -> None:
        self.registers[RCTL] = value & MASKS[RCTL]
        self.filter.forget()
        self.on_room()

    def write_address(self, register: int, value: int) -> None:
        """Of the addresses and hashes that pass."""
        self.registers[register] = value
        self.filter.forget()

    def write_rdtr(self, value: int) -> None:
        self.registers[RDTR] = value & MASKS[RDTR]
        if value & FLUSH:
            self.delay.flush()

    # Frames

    @property
    def enabled(self) -> bool:
        """Whether the receiver hears what comes by the cable."""
        registers = self.registers
        link, on = bool(registers[STATUS] & STATUS_LU), bool(registers[RCTL] & RCTL_EN)
        if link and on and self.can_run():
            return True
        if trace_e1000x_rx_can_recv_disabled:
            trace_e1000x_rx_can_recv_disabled(link, on, self.can_run())
        return False

    def room(self) -> int:
        """Descriptors that the guest has handed over."""
        count = self.registers[RDLEN] // DESCRIPTOR.size
        return (self.registers[RDT] - self.registers[RDH]) % count if count else 0

    def receive(self, frames: deque[bytes]) -> None:
        """Take frames from the left of the queue; those that find no room stay in it."""
        if not self.enabled:
            self._drop(frames)
            return
        if self.pause.deadline is not None:
            return
        rules = Rules(self.registers)
        room, size = self.room(), rules.buffer_size
        taken: list[tuple[int, bytes]] = []  # sizes and destinations
        buffers: list[Stored] = []
        small = False
        while frames and room:
            frame = frames[0]
            if len(frame) < MIN_FRAME:
                frame = frame.ljust(MIN_FRAME, b"\0")
            destination = frame[:6]
            stored = self._accept(frame, destination, rules)
            if stored is None:
                frames.popleft()
                self.ignored += 1
                if self.ignored == MOST_IGNORED:
                    self.ignored = 0
                    self.pause.at(self.clock.now() + PAUSE)
                    break
                continue
            length = len(stored[0])
            needed = 1 if length <= size else -(-length // size)
            if needed > room:
                if needed <= self._capacity():
                    break  # it waits for the guest to hand over more
                self._overrun(length)
                frames.popleft()
                continue
            frames.popleft()
            taken.append((len(frame), destination))
            room -= needed
            if length <= rules.small:
                small = True
            if needed == 1:
                buffers.append(stored)
            else:
                buffers += _split(stored, size)
        if taken:
            self._store(buffers)
            self.statistics.received(taken)
            self._interrupt(room, small)

    def _drop(self, frames: deque[bytes]) -> None:
        """Nobody listens to the wire."""
        if self.registers[STATUS] & STATUS_LU:
            trace_e1000x_rx_disabled(self.registers[RCTL])
        else:
            trace_e1000x_rx_link_down(self.registers[STATUS])
        frames.clear()

    def _accept(self, frame: bytes, destination: bytes, rules: Rules) -> Stored | None:
        """What to store of a frame; None: it is not for us."""
        wanted, inexact = self.filter.address(destination)
        tagged = frame[TYPE_AT:TYPE_AT + 2] == rules.tag
        if trace_e1000x_vlan_is_vlan_pkt:
            trace_e1000x_vlan_is_vlan_pkt(tagged, frame[12] << 8 | frame[13],
                                          int.from_bytes(rules.tag, "big"))
        if not wanted or (tagged and not self.filter.wants_vlan(frame)):
            self.statistics.filtered(len(frame))
            return None
        if len(frame) > rules.limit:
            trace_e1000x_rx_oversized(len(frame))
            self.statistics.oversized(len(frame))
            return None
        status, errors = RXD_DD | RXD_EOP | RXD_IXSM, 0
        if rules.checks:
            verdicts = checksum.examine(frame, TAGGED_TYPE_AT if tagged else TYPE_AT)
            status, errors = rules.checks[verdicts]
        if inexact:
            status |= RXD_PIF
        special, data = 0, frame
        if tagged and rules.strips_tag:
            special = frame[14] << 8 | frame[15]
            status |= RXD_VP
            data = frame[:12] + frame[16:]
        checked = checksum.total(data[rules.checked_from:])
        if rules.keeps_fcs:
            data += zlib.crc32(frame).to_bytes(4, "little")
        return data, checked, status, errors, special

    def _capacity(self) -> int:
        """Descriptors that can be free at the same time."""
        return self.registers[RDLEN] // DESCRIPTOR.size - 1

    def _overrun(self, size: int) -> None:
        registers = self.registers
        trace_e1000_receiver_overrun(size, registers[RDH], registers[RDT])
        self.statistics.missed()
        self.interrupts.cause(RXO)

    def _store(self, buffers: list[Stored]) -> None:
        """Fill as many buffers, a stretch of the ring at a time; then write back descriptors."""
        registers, write, pack = self.registers, self.memory.write, DESCRIPTOR.pack
        count = registers[RDLEN] // DESCRIPTOR.size
        ring = registers[RDBAH] << 32 | registers[RDBAL]
        head, done = registers[RDH] % count, 0
        while done < len(buffers):
            stretch = min(len(buffers) - done, count - head)
            base = ring + head * DESCRIPTOR.size
            addresses = ADDRESS.iter_unpack(self.memory.read(base, stretch * DESCRIPTOR.size))
            written = []
            for (address,), (data, *result) in zip(addresses, buffers[done:], strict=False):
                if address:
                    write(address, data)
                written.append(pack(address, len(data), *result))
            write(base, b"".join(written))
            done += stretch
            head = (head + stretch) % count
        registers[RDH] = head
        if trace_e1000_receive:
            trace_e1000_receive(len(buffers), head, registers[RDT])

    def _interrupt(self, room: int, small: bool) -> None:
        registers = self.registers
        causes = SRPD if small else 0
        threshold = 1 + (registers[RCTL] >> RCTL_RDMTS_SHIFT & 3)  # a half, a quarter, an eighth
        if room <= (self._capacity() + 1) >> threshold:
            causes |= RXDMT0
        if registers[RDTR]:
            self.delay.packet(registers[RDTR], registers[RADV])
        else:
            causes |= RXT0
        self.interrupts.cause(causes)
