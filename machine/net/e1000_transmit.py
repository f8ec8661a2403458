"""The 82540EM's transmitter: fetches descriptors, gathers packets, writes back what is done.

Source: Intel 8254x software developer's manual (317453), sections 3.3 to 3.5, 13.4.33-13.4.46.
"""
import struct
from array import array
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pyemu.machine.chip import Chip
from pyemu.machine.net import checksum
from pyemu.machine.net.e1000_interrupts import Delay, Interrupts
from pyemu.machine.net.e1000_registers import (
    CTRL,
    CTRL_VME,
    FLUSH,
    MASKS,
    TADV,
    TCTL,
    TCTL_EN,
    TCTL_PSP,
    TDBAH,
    TDBAL,
    TDH,
    TDLEN,
    TDT,
    TIDV,
    TXD_COLLISIONS,
    TXD_DATA,
    TXD_DD,
    TXD_DEXT,
    TXD_EOP,
    TXD_IC,
    TXD_IDE,
    TXD_IXSM,
    TXD_LEGACY_LENGTH,
    TXD_LENGTH,
    TXD_LOW,
    TXD_RPS,
    TXD_RS,
    TXD_TSE,
    TXD_TXSM,
    TXD_VLE,
    TXDCTL,
    TXDCTL_LWTHRESH_SHIFT,
    TXDW,
    TXQE,
    VET,
)
from pyemu.machine.net.e1000_statistics import Statistics
from pyemu.machine.net.segmentation import Context
from pyemu.trace.hooks import trace_e1000_transmit, trace_e1000_tx_context

DESCRIPTOR = struct.Struct("<QII")
BATCH = 256  # descriptors in one go; what is left waits for the timer
PAUSE = 20_000  # ns until then, in which the guest and others have their turn
MOST_FRAMES = 4096  # likewise, as one descriptor can make many
MAX_FRAME = 16288  # bytes, as the chip can send
MAX_SEND = (1 << 16) + 256  # bytes before segmentation
MIN_FRAME = 60  # bytes without the frame check sequence
TAG_AT = 12  # a VLAN tag goes behind the two addresses


class Transmitter(Chip):
    """send(frames) takes a list of frames, without frame check sequence. takes_large() says if the
    frames of a large send may be one, as in `Peer`.

    registers, memory, statistics: the chip's. can_run() says if it may read memory.
    """

    STATE = ("parts", "size", "options", "context", "segmentation", "delay")

    def __init__(self, clock: Any, registers: array, memory: Any, interrupts: Interrupts,
                 statistics: Statistics, can_run: Callable[[], bool],
                 send: Callable[[list[bytes]], None], takes_large: Callable[[], bool]):
        self.clock = clock
        self.registers = registers
        self.memory = memory
        self.interrupts = interrupts
        self.statistics = statistics
        self.can_run = can_run
        self.send = send
        self.takes_large = takes_large
        self.delay = Delay(clock, "e1000_tidv", lambda: interrupts.cause(TXDW))
        self.timer = clock.timer(self.run, "e1000_transmit")
        self.frames: list[bytes] = []  # to send, empty between two runs
        self.sizes: list[tuple[int, bytes]] = []  # and destinations, as on the wire
        self.reset()

    def reset(self) -> None:
        self.timer.cancel()
        self.delay.reset()
        self.context = Context()
        self.segmentation = Context()  # a context with TSE is kept apart from one without
        self._begin()

    def restored(self) -> None:
        self.timer.at(self.clock.now())

    def save(self) -> dict[str, Any]:
        state = super().save()
        return {**state, "context": asdict(self.context),
                "segmentation": asdict(self.segmentation)}

    def load(self, state: dict[str, Any]) -> None:
        super().load({**state, "context": Context(**state["context"]),
                      "segmentation": Context(**state["segmentation"])})

    def _begin(self) -> None:
        """The next descriptor is the first of a packet."""
        self.parts: list[bytes] = []
        self.size = 0
        self.options: int | None = None  # of an extended packet, those of its first descriptor

    def write_tdt(self, value: int) -> None:
        self.registers[TDT] = value & MASKS[TDT]
        self.run()

    def write_tctl(self, value: int) -> None:
        self.registers[TCTL] = value & MASKS[TCTL]
        self.run()

    def write_tidv(self, value: int) -> None:
        self.registers[TIDV] = value & MASKS[TIDV]
        if value & FLUSH:
            self.delay.flush()

    def run(self) -> None:
        """Send what is between head and tail."""
        registers = self.registers
        count = registers[TDLEN] // DESCRIPTOR.size
        if not count or not registers[TCTL] & TCTL_EN or not self.can_run():
            return
        tail = registers[TDT] % count
        head = registers[TDH] % count
        if head == tail:
            return
        causes, left = 0, BATCH
        while head != tail and left:
            stop = tail if tail > head else count
            taken = min(stop - head, left)
            taken, new = self._take(head, taken)
            causes |= new
            head = (head + taken) % count
            left = left - taken if len(self.frames) < MOST_FRAMES else 0
        registers[TDH] = head
        if self.frames:
            frames, self.frames = self.frames, []
            sizes, self.sizes = self.sizes, []
            self.statistics.sent(sizes)
            self.send(frames)
        if head != tail:
            self.timer.at(self.clock.now() + PAUSE)
        else:
            causes |= TXQE
        if (tail - head) % count <= (registers[TXDCTL] >> TXDCTL_LWTHRESH_SHIFT) * 8:
            causes |= TXD_LOW
        self.interrupts.cause(causes)

    def _take(self, head: int, count: int) -> tuple[int, int]:
        """Work on at most `count` descriptors from number `head` on; how many, and the causes."""
        base = (self.registers[TDBAH] << 32 | self.registers[TDBAL]) + head * DESCRIPTOR.size
        ring = bytearray(self.memory.read(base, count * DESCRIPTOR.size))
        causes, written = 0, 0
        for number, (address, command, status) in enumerate(DESCRIPTOR.iter_unpack(bytes(ring))):
            if command & TXD_DEXT and not command & TXD_DATA:
                self._take_context(DESCRIPTOR.pack(address, command, status))
            else:
                self._take_data(address, command, status)
            if command & (TXD_RS | TXD_RPS):
                at = number * DESCRIPTOR.size + 12
                ring[at] = status & ~TXD_COLLISIONS & 0xFF | TXD_DD
                written = at + 4
                if command & TXD_IDE and self.registers[TIDV]:
                    self.delay.packet(self.registers[TIDV], self.registers[TADV])
                else:
                    causes |= TXDW
            if len(self.frames) >= MOST_FRAMES:
                count = number + 1
                break
        if written:
            self.memory.write(base, ring[:written])
        return count, causes

    def _take_context(self, descriptor: bytes) -> None:
        context = Context.parse(descriptor)
        segmenting = bool(DESCRIPTOR.unpack(descriptor)[1] & TXD_TSE)
        if segmenting:
            self.segmentation = context
        else:
            self.context = context
        if trace_e1000_tx_context:
            trace_e1000_tx_context(segmenting, context.header, context.segment, context.payload)

    def _take_data(self, address: int, command: int, status: int) -> None:
        extended = command & TXD_DEXT
        if extended and self.options is None:
            self.options = status  # POPTS are valid in the first descriptor of a packet only
        length = command & (TXD_LENGTH if extended else TXD_LEGACY_LENGTH)
        length = min(length, MAX_SEND - self.size)
        if length and address:
            self.parts.append(self.memory.read(address, length))
            self.size += length
        if command & TXD_EOP:
            self._finish(command, status)
            self._begin()

    def _finish(self, command: int, status: int) -> None:
        """All parts are there: what becomes of them?"""
        packet = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        extended = command & TXD_DEXT
        options = self.options or 0
        large = False
        if extended and command & TXD_TSE:
            large = self.takes_large() and not command & TXD_VLE
            done = self.segmentation.cut(packet, bool(options & TXD_IXSM),
                                         bool(options & TXD_TXSM), large)
            new = list(done)
            self.statistics.segmented(bool(new))
        elif not packet or len(packet) > MAX_FRAME:
            return
        elif extended and options & (TXD_IXSM | TXD_TXSM):
            whole = bytearray(packet)
            self.context.insert(whole, bool(options & TXD_IXSM), bool(options & TXD_TXSM))
            new = [bytes(whole)]
        elif not extended and command & TXD_IC:
            whole = bytearray(packet)
            checksum.insert(whole, command >> 16 & 0xFF, status >> 8 & 0xFF, 0)
            new = [bytes(whole)]
        else:
            new = [packet]
        if command & TXD_VLE and self.registers[CTRL] & CTRL_VME:
            tag = struct.pack(">HH", self.registers[VET] & 0xFFFF, status >> 16)
            new = [frame[:TAG_AT] + tag + frame[TAG_AT:] for frame in new]
        if self.registers[TCTL] & TCTL_PSP and len(packet) < MIN_FRAME:
            new = [frame.ljust(MIN_FRAME, b"\0") for frame in new]
        if trace_e1000_transmit:
            trace_e1000_transmit(len(packet), len(new))
        self.frames += new
        sizes = self.segmentation.sizes(packet) if large and new else map(len, new)
        self.sizes += [(size, packet[:6]) for size in sizes]
