"""Traces of many million records, by numpy: arguments of one event as an array.

    for part in parts(reader):                     (a million records at once)
        part.times, part.ids                       (all events)
        rows = part.of(event)                      (the rows of one event)
        part.argument(event, "sector", rows)       (uint64, int64 or a list of str)
"""
from collections.abc import Iterator
from typing import Any

import numpy as np
from pyemu.trace.grammar import SIGNED_TYPES, Event
from pyemu.trace.reader import Chunk, TraceReader
from pyemu.trace.ringfile import RECORD

Array = np.ndarray[Any, Any]


class Part:
    """Some consecutive records as columns."""

    def __init__(self, chunk: Chunk):
        self.chunk = chunk
        self.bytes = np.frombuffer(chunk.data, dtype=np.uint8)
        self.offsets = np.frombuffer(chunk.offsets, dtype=np.uint64).astype(np.int64)
        self.ids = np.frombuffer(chunk.ids, dtype=np.uint64)
        self.times = np.frombuffer(chunk.times, dtype=np.uint64).astype(np.int64)
        self.numbers: dict[str, int] = {}  # of the events that are here
        self.events: dict[int, Event] = {}
        for number in np.unique(self.ids).tolist():
            event = chunk.event(number)
            if event is not None:
                self.events[number] = event
                self.numbers[event.name] = number

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, name: str) -> Array:
        """The rows of the event of that name."""
        number = self.numbers.get(name)
        if number is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(self.ids == np.uint64(number))

    def words(self, at: Array, size: int) -> Array:
        """Unaligned numbers of `size` bytes at these offsets; 0 for what is outside the file."""
        inside = np.clip(at, 0, len(self.bytes) - size)
        gathered = self.bytes[inside[:, None] + np.arange(size)]
        return gathered.view(f"<u{size}").reshape(-1)

    def argument(self, event: Event, name: str, rows: Array) -> Array | list[str]:
        """The values of an argument in these rows, which are the event's. Raises KeyError."""
        names = [argument for _, argument in event.args]
        if name not in names:
            raise KeyError(name)
        wanted = names.index(name)
        at = self.offsets[rows] + RECORD.size
        for letter in event.types[:wanted]:
            at = at + (4 + self.words(at, 4).astype(np.int64) if letter == "s" else 8)
        letter = event.types[wanted]
        if letter == "s":
            lengths = self.words(at, 4).astype(np.int64)
            data = self.chunk.data
            return [bytes(data[start:start + length]).decode("utf-8", "backslashreplace")
                    for start, length in zip((at + 4).tolist(), lengths.tolist(), strict=True)]
        words = self.words(at, 8)
        return words.astype(np.int64) if letter in SIGNED_TYPES else words


def parts(reader: TraceReader, most: int = 1 << 20) -> Iterator[Part]:
    """The whole trace, at most so many records at once."""
    for chunk in reader.chunks(most):
        yield Part(chunk)


class Histogram:
    """Counts of positive numbers in buckets that are at most 1/64 wide of what they hold."""

    FINE = 6  # binary digits kept

    def __init__(self) -> None:
        self.buckets = np.zeros(64 << self.FINE, dtype=np.int64)
        self.count = 0
        self.total = 0
        self.low: int | None = None
        self.high = 0

    def add(self, numbers: Array) -> None:
        if len(numbers) == 0:
            return
        numbers = np.maximum(numbers, 0)
        exponent = np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
        shift = np.maximum(exponent - self.FINE - 1, 0)
        index = (shift << self.FINE) + (numbers >> shift)
        self.buckets += np.bincount(index, minlength=len(self.buckets))[:len(self.buckets)]
        self.count += len(numbers)
        self.total += int(numbers.sum())
        low = int(numbers.min())
        self.low = low if self.low is None else min(self.low, low)
        self.high = max(self.high, int(numbers.max()))

    def percentile(self, percent: float) -> int:
        """A number that so many percent do not exceed, 1/64 too high at most."""
        if self.count == 0:
            return 0
        wanted = max(1, int(np.ceil(self.count * percent / 100)))
        index = int(np.searchsorted(np.cumsum(self.buckets), wanted))
        return min(self._upper(index), self.high)

    def _upper(self, index: int) -> int:
        """The largest number of a bucket."""
        if index < 2 << self.FINE:
            return index
        shift = (index >> self.FINE) - 1
        return ((index - (shift << self.FINE) + 1) << shift) - 1

    def powers(self) -> list[tuple[int, int]]:
        """(upper limit, count) by powers of two, from the first that is not empty to the last."""
        sums: dict[int, int] = {}
        for index in np.flatnonzero(self.buckets).tolist():
            bits = self._upper(index).bit_length()
            sums[bits] = sums.get(bits, 0) + int(self.buckets[index])
        if not sums:
            return []
        return [(1 << bits, sums.get(bits, 0)) for bits in range(min(sums), max(sums) + 1)]
