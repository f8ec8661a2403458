"""The ring file of a process that has ended without closing its trace: trace/native/lanes.h."""
import fcntl
import heapq
import mmap
import struct
from collections.abc import Callable, Iterator
from typing import Any

RING_SUFFIX = ".ring"
RING_MAGIC = 0x474e4952554d4559
RING_PAGE = 4096
RING_HEADER = struct.Struct("=QIIQIIQQI")  # ... current state at the end
LANE = struct.Struct("=QQQQ")  # head, oldest, dropped, when
RECORD = struct.Struct("=QQQII")  # type, event id, time, length without the type, pid
TYPE_BYTES, TYPE_EVENT = 8, 1
DROPPED_ID = 0xfffffffffffffffe

Problem = Callable[[int, str], None]  # byte of the trace file, message


class RingFile:
    """What is not in the trace file yet. Raises ValueError for what is no ring file."""

    def __init__(self, data: Any, path: str):
        self.path = path
        self.data = data
        (magic, _, self.pid, self.size, lanes, overwrite, first, second,
         current) = RING_HEADER.unpack_from(data)
        if magic != RING_MAGIC:
            raise ValueError("not a ring file")
        at = second if current else first
        self.file_offset, *self.tails = struct.unpack_from(f"={lanes + 1}Q", data, at)
        self.lanes = [LANE.unpack_from(data, RING_PAGE + 64 * number) for number in range(lanes)]
        if overwrite:
            self.tails = [oldest for _, oldest, _, _ in self.lanes]

    @classmethod
    def beside(cls, trace: str) -> "RingFile | None":
        """The ring file of a trace whose process is gone, if there is one."""
        path = trace + RING_SUFFIX
        try:
            with open(path, "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            ring = cls(data, path)
        except (OSError, ValueError, struct.error):
            return None
        return None if is_being_recorded(trace) else ring

    def records(self, problem: Problem) -> Iterator[tuple[int, bytes]]:
        """(time, bytes) of the records that had not been written yet, in the order of time."""
        lanes = [self._lane(number, problem) for number in range(len(self.lanes))]
        yield from heapq.merge(*lanes, key=lambda timed: timed[0])

    def _lane(self, number: int, problem: Problem) -> Iterator[tuple[int, bytes]]:
        head, _, dropped, dropped_ns = self.lanes[number]
        tail = self.tails[number]
        if not 0 <= head - tail <= self.size:
            problem(0, f"lane {number} of {self.path} is damaged")
            return
        piece = b""
        if head != tail:
            base, start = 2 * RING_PAGE + number * self.size, tail % self.size
            lane = self.data[base:base + self.size]
            piece = (lane + lane)[start:start + head - tail]
        at = 0
        while at < len(piece):
            if len(piece) - at < RECORD.size:
                problem(0, f"lane {number} of {self.path} is damaged")
                return
            kind, _, ns, length, _ = RECORD.unpack_from(piece, at)
            stop = at + TYPE_BYTES + length
            if kind != TYPE_EVENT or length < 24 or stop > len(piece):
                problem(0, f"lane {number} of {self.path} is damaged")
                return
            yield ns, piece[at:stop]
            at = stop
        if dropped:
            yield dropped_ns, RECORD.pack(TYPE_EVENT, DROPPED_ID, dropped_ns, 32, self.pid) \
                + dropped.to_bytes(8, "little")


def is_being_recorded(trace: str) -> bool:
    """Whether a process records into this file: then it has locked it. Raises OSError."""
    with open(trace, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
