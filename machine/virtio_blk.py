"""virtio-blk: a disk whose requests come through a virtqueue.

A request is a header, data in one direction, and a byte for its status. Several may be on their
way at a time.
Source: Virtual I/O Device Version 1.1, section 5.2.
"""
import struct
from collections.abc import Iterator
from typing import Any

from pyemu.machine.block.backend import Backend
from pyemu.machine.block.base import SECTOR
from pyemu.machine.block.request import Discard, Flush, Read, Request, Write, WriteZeroes
from pyemu.machine.ide_identify import default_geometry
from pyemu.machine.virtio_pci import VirtioPci
from pyemu.machine.virtio_queue import Chain, Queue, QueueError
from pyemu.trace.hooks import (
    trace_virtio_blk_handle_read,
    trace_virtio_blk_handle_write,
    trace_virtio_blk_req_complete,
)

BLOCK_DEVICE = 2  # the kind
MASS_STORAGE = 0x010000

# Features
SEGMENTS, GEOMETRY, READ_ONLY, BLOCK_SIZE, FLUSHES = 1 << 2, 1 << 4, 1 << 5, 1 << 6, 1 << 9
DISCARDS, WRITES_ZEROES = 1 << 13, 1 << 14

# Requests and what became of them
HEADER = struct.Struct("<IIQ")  # type, reserved, sector
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = range(3)
ID_LENGTH = 20
RANGE = struct.Struct("<QII")  # sector, count, flags
UNMAP = 1 << 0

MOST_MOVING = 1 << 26  # bytes of requests that are on their way; while there are more, others wait
MOST_SEGMENTS = 254  # of data: the queue's entries but for header and status
MOST_SECTORS = 0x3FFFFF  # to discard or to make zeros in one go
CONFIG = struct.Struct("<QIIHBBIBBHIBBHIIIIIB3x")


class VirtioBlk(VirtioPci):
    """image: in which the sectors are. serial: at most 20 characters."""

    def __init__(self, memory: Any, image: Backend, serial: str = ""):
        self.memory = memory
        self.image = image
        self.serial = serial.encode("ascii", "replace")[:ID_LENGTH]
        self.outstanding: dict[int, Request] = {}  # by a number that is never used again
        self.started = 0  # requests so far
        self.moving = 0  # bytes of these
        self.taking = False  # requests are being taken from the queue
        super().__init__("virtio-blk-pci", BLOCK_DEVICE, MASS_STORAGE, memory,
                         SEGMENTS | GEOMETRY | BLOCK_SIZE | FLUSHES | DISCARDS | WRITES_ZEROES
                         | (READ_ONLY if image.read_only else 0))

    @property
    def sectors(self) -> int:
        return self.image.size // SECTOR

    def config_space(self) -> bytes:
        cylinders, heads, sectors = default_geometry(self.sectors)
        return CONFIG.pack(
            self.sectors, 0, MOST_SEGMENTS, cylinders, heads, sectors, SECTOR,
            0, 0, 0, 0, 1, 0, 1, MOST_SECTORS, 1, 1, MOST_SECTORS, 1, 1)

    def cancel(self) -> None:
        for request in self.outstanding.values():
            request.cancel()
        self.outstanding.clear()
        self.moving = 0

    def process(self, queue: Queue) -> None:
        if self.taking or self.moving > MOST_MOVING:
            return
        self.taking = True
        try:
            for chain in queue.chains():
                self._begin(queue, chain)
                if self.moving > MOST_MOVING:
                    break
        finally:
            self.taking = False

    def _begin(self, queue: Queue, chain: Chain) -> None:
        size = _length(chain.readable) - HEADER.size
        room = _length(chain.writable) - 1  # the last byte is for the status
        if size < 0 or room < 0:
            raise QueueError("a request without header or status")
        kind, _, sector = HEADER.unpack(self._gather(chain, 0, HEADER.size))
        if kind == IN:
            if trace_virtio_blk_handle_read:
                trace_virtio_blk_handle_read(self, chain, sector, room // SECTOR)
            self._move(queue, chain, sector, room, Read)
        elif kind == OUT:
            if trace_virtio_blk_handle_write:
                trace_virtio_blk_handle_write(self, chain, sector, size // SECTOR)
            self._move(queue, chain, sector, size, lambda at, length, done: Write(
                at, self._gather(chain, HEADER.size, length), done))
        elif kind == FLUSH:
            self._start(queue, chain, Flush)
        elif kind == GET_ID:
            self._end(queue, chain, OK, self.serial.ljust(ID_LENGTH, b"\0")[:room])
        elif kind in (DISCARD, WRITE_ZEROES):
            self._clear(queue, chain, kind, self._gather(chain, HEADER.size, RANGE.size + 1))
        else:
            self._end(queue, chain, UNSUPPORTED)

    def _move(self, queue: Queue, chain: Chain, sector: int, length: int, make: Any) -> None:
        """Begin a request for whole sectors that exist."""
        refused = make is not Read and self.image.read_only
        if refused or length % SECTOR or sector + length // SECTOR > self.sectors:
            self.image.invalid("rd" if make is Read else "wr")
            self._end(queue, chain, IO_ERROR)
        else:
            self._start(queue, chain, lambda done: make(sector * SECTOR, length, done))

    def _clear(self, queue: Queue, chain: Chain, kind: int, payload: bytes) -> None:
        if len(payload) != RANGE.size:
            self._end(queue, chain, UNSUPPORTED if payload else IO_ERROR)
            return
        sector, count, flags = RANGE.unpack(payload)
        if (kind == DISCARD and flags) or flags & ~UNMAP or count > MOST_SECTORS:
            self._end(queue, chain, UNSUPPORTED)
        else:
            self._move(queue, chain, sector, count * SECTOR, Discard if kind == DISCARD else (
                lambda at, length, done: WriteZeroes(at, length, done, bool(flags & UNMAP))))

    def _start(self, queue: Queue, chain: Chain, make: Any) -> None:
        size = _length(chain.readable) + _length(chain.writable)
        self.started += 1
        number = self.started  # who is done must not hold the request, or its data would stay

        def done(data: bytes, error: OSError | None) -> None:
            self.outstanding.pop(number, None)
            others_wait = self.moving > MOST_MOVING
            self.moving -= size
            self._end(queue, chain, IO_ERROR if error else OK, data or b"")
            if others_wait:
                self.work(queue)

        request = make(done)
        self.outstanding[number] = request
        self.moving += size
        self.image.start(request)

    def _end(self, queue: Queue, chain: Chain, status: int, data: bytes = b"") -> None:
        if trace_virtio_blk_req_complete:
            trace_virtio_blk_req_complete(self, chain, status)
        if status == OK:
            self._scatter(chain, 0, data)
        self._scatter(chain, _length(chain.writable) - 1, bytes((status,)))
        queue.give_back(chain.head, len(data) + 1)
        self.notify(queue)

    def _gather(self, chain: Chain, start: int, length: int) -> bytes:
        return b"".join(self.memory.read(*part) for part in _parts(chain.readable, start, length))

    def _scatter(self, chain: Chain, start: int, data: bytes) -> None:
        view = memoryview(data)
        for address, length in _parts(chain.writable, start, len(data)):
            self.memory.write(address, bytes(view[:length]))
            view = view[length:]


def _parts(buffers: list[tuple[int, int]], start: int, length: int) -> Iterator[tuple[int, int]]:
    """Where so many bytes from `start` on lie, counted through buffers in a row."""
    for address, size in buffers:
        skipped = min(start, size)
        taken = min(size - skipped, length)
        if taken:
            yield address + skipped, taken
        start -= skipped
        length -= taken


def _length(buffers: list[tuple[int, int]]) -> int:
    return sum(length for _, length in buffers)
