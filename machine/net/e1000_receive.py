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
    CTRL,
    CTRL_VME,
    FLUSH,
    MASKS,
    RADV,
    RCTL,
    RCTL_BSEX,
    RCTL_BSIZE_SHIFT,
    RCTL_EN,
    RCTL_LPE,
    RCTL_RDMTS_SHIFT,
    RCTL_SBP,
    RCTL_SECRC,
    RDBAH,
    RDBAL,
    RDH,
    RDLEN,
    RDT,
    RDTR,
    RSRPD,
    RXCSUM,
    RXCSUM_IPOFL,
    RXCSUM_PCSS,
    RXCSUM_TUOFL,
    RXD_DD,
    RXD_EOP,
    RXD_IPCS,
    RXD_IPE,
    RXD_IXSM,
    RXD_PIF,
    RXD_TCPCS,
    RXD_TCPE,
    RXD_VP,
    RXDMT0,
    RXO,
    RXT0,
    SRPD,
    STATUS,
    STATUS_LU,
)
from pyemu.machine.net.e1000_statistics import Statistics
from pyemu.trace.hooks import (
    trace_e1000_receive,
    trace_e1000_receiver_overrun,
    trace_e1000x_rx_can_recv_disabled,
    trace_e1000x_rx_disabled,
    trace_e1000x_rx_link_down,
    trace_e1000x_rx_oversized,
)

DESCRIPTOR = struct.Struct("<QHHBBH")
DONE = struct.Struct("<HHBBH")  # what is written back, behind the address
BUFFER_SIZES = (2048, 1024, 512, 256)  # by RCTL.BSIZE; with BSEX 16 times as much
MIN_FRAME, MAX_SHORT, MAX_LONG = 60, 1518, 16380  # bytes without frame check sequence
TYPE_AT, TAGGED_TYPE_AT = 12, 16


class Receiver(Chip):
    """registers, memory, interrupts, statistics: the chip's.

    can_run() says if it may write memory. on_room() is called when the guest has handed over
    buffers, or has made the receiver work, after which waiting frames may be offered again.
    """

    STATE = ("delay",)

    def __init__(self, clock: Any, registers: array, memory: Any, interrupts: Interrupts,
                 statistics: Statistics, can_run: Callable[[], bool],
                 on_room: Callable[[], None]):
        self.registers = registers
        self.memory = memory
        self.interrupts = interrupts
        self.statistics = statistics
        self.can_run = can_run
        self.on_room = on_room
        self.filter = Filter(registers)
        self.delay = Delay(clock, "e1000_rdtr", lambda: interrupts.cause(RXT0))

    def reset(self) -> None:
        self.delay.reset()
        self.filter.forget()

    def restored(self) -> None:
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
        room = self.room()
        size = self._buffer_size()
        taken: list[tuple[int, bytes]] = []  # sizes and destinations
        buffers: list[tuple[bytes, bytes]] = []  # what goes into each, and what its descriptor says
        small = False
        while frames and room:
            frame = frames[0]
            if len(frame) < MIN_FRAME:
                frame = frame.ljust(MIN_FRAME, b"\0")
            stored = self._accept(frame)
            if stored is None:
                frames.popleft()
                continue
            data, checked, status, errors, special = stored
            needed = -(-len(data) // size)
            if needed > room:
                if needed <= self._capacity():
                    break  # it waits for the guest to hand over more
                self._overrun(len(data))
                frames.popleft()
                continue
            frames.popleft()
            taken.append((len(frame), frame[:6]))
            room -= needed
            small |= len(data) <= self.registers[RSRPD]
            for at in range(0, len(data) - size, size):
                piece = data[at:at + size]
                buffers.append((piece, DONE.pack(size, checked, status, 0, special)))
            piece = data[(needed - 1) * size:] if needed > 1 else data
            buffers.append((piece, DONE.pack(len(piece), checked, status | RXD_EOP, errors,
                                             special)))
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

    def _accept(self, frame: bytes) -> tuple[bytes, int, int, int, int] | None:
        """What to store of a frame, its checksum, status, errors, VLAN tag; None: it is not
        for us."""
        registers = self.registers
        control = registers[RCTL]
        wanted, inexact = self.filter.address(frame[:6])
        tagged = self.filter.tagged(frame)
        if not wanted or (tagged and not self.filter.wants_vlan(frame)):
            self.statistics.filtered(len(frame))
            return None
        limit = MAX_LONG if control & (RCTL_LPE | RCTL_SBP) else MAX_SHORT
        if len(frame) > limit:
            trace_e1000x_rx_oversized(len(frame))
            self.statistics.oversized(len(frame))
            return None
        status, errors = self._check(frame, TAGGED_TYPE_AT if tagged else TYPE_AT)
        if inexact:
            status |= RXD_PIF
        special, data = 0, frame
        if tagged and registers[CTRL] & CTRL_VME:
            special = frame[14] << 8 | frame[15]
            status |= RXD_VP
            data = frame[:12] + frame[16:]
        checked = checksum.total(data[registers[RXCSUM] & RXCSUM_PCSS:])
        if not control & RCTL_SECRC:
            data += zlib.crc32(frame).to_bytes(4, "little")
        return data, checked, status, errors, special

    def _check(self, frame: bytes, type_at: int) -> tuple[int, int]:
        """Status and errors from the checksums that the chip is told to look at."""
        control = self.registers[RXCSUM]
        if not control & (RXCSUM_IPOFL | RXCSUM_TUOFL):
            return RXD_DD | RXD_IXSM, 0
        status, errors = RXD_DD, 0
        header, transport = checksum.examine(frame, type_at)
        if control & RXCSUM_IPOFL and header is not None:
            status |= RXD_IPCS
            errors |= 0 if header else RXD_IPE
        if control & RXCSUM_TUOFL and transport is not None:
            status |= RXD_TCPCS
            errors |= 0 if transport else RXD_TCPE
        return status, errors

    def _buffer_size(self) -> int:
        control = self.registers[RCTL]
        size = BUFFER_SIZES[control >> RCTL_BSIZE_SHIFT & 3]
        return size * 16 if control & RCTL_BSEX and size < BUFFER_SIZES[0] else size

    def _capacity(self) -> int:
        """Descriptors that can be free at the same time."""
        return self.registers[RDLEN] // DESCRIPTOR.size - 1

    def _overrun(self, size: int) -> None:
        registers = self.registers
        trace_e1000_receiver_overrun(size, registers[RDH], registers[RDT])
        self.statistics.missed()
        self.interrupts.cause(RXO)

    def _store(self, buffers: list[tuple[bytes, bytes]]) -> None:
        """Fill as many buffers, a stretch of the ring at a time; then write back descriptors."""
        registers, write = self.registers, self.memory.write
        count = registers[RDLEN] // DESCRIPTOR.size
        ring = registers[RDBAH] << 32 | registers[RDBAL]
        head, done = registers[RDH] % count, 0
        while done < len(buffers):
            stretch = min(len(buffers) - done, count - head)
            base = ring + head * DESCRIPTOR.size
            written = bytearray(self.memory.read(base, stretch * DESCRIPTOR.size))
            for number, (data, result) in enumerate(buffers[done:done + stretch]):
                at = number * DESCRIPTOR.size
                address = int.from_bytes(written[at:at + 8], "little")
                if address:
                    write(address, data)
                written[at + 8:at + DESCRIPTOR.size] = result
            write(base, written)
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
