"""The 82540EM's statistics: counters that stop at their maximum and are cleared by reading.

Source: Intel 8254x software developer's manual (317453), section 13.7.
"""
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from pyemu.machine.net.e1000_registers import (
    BPRC,
    BPTC,
    GORCL,
    GOTCL,
    GPRC,
    GPTC,
    MPC,
    MPRC,
    MPTC,
    PRC64,
    PTC64,
    RNBC,
    ROC,
    TORL,
    TOTL,
    TPR,
    TPT,
    TSCTC,
    TSCTFC,
)

MAXIMUM = 0xFFFF_FFFF
RANGES = (64, 127, 255, 511, 1023)  # the largest size of each but the last, with check sequence
FCS = 4  # bytes of frame check sequence
BROADCAST = b"\xff" * 6
GROUP = 1  # bit of a destination's first byte


class Statistics:
    """registers: the chip's, where the counters are."""

    def __init__(self, registers: array):
        self.registers = registers

    def add(self, counter: int, count: int = 1) -> None:
        self.registers[counter] = min(self.registers[counter] + count, MAXIMUM)

    def add_octets(self, low: int, count: int) -> None:
        value = (self.registers[low + 1] << 32 | self.registers[low]) + count
        self.registers[low] = value & MAXIMUM
        self.registers[low + 1] = value >> 32 & MAXIMUM

    def read(self, counter: int) -> int:
        value = self.registers[counter]
        self.registers[counter] = 0
        return value

    def read_high(self, high: int) -> int:
        """The upper half of octets: reading it clears both."""
        self.registers[high - 1] = 0
        return self.read(high)

    def sent(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Sizes and destinations of frames."""
        self._count(frames, (PTC64, BPTC, MPTC), (GPTC, TPT), (GOTCL, TOTL))

    def received(self, frames: Iterable[tuple[int, bytes]]) -> None:
        """Likewise, of frames that have passed the filter and are in memory."""
        self._count(frames, (PRC64, BPRC, MPRC), (GPRC, TPR), (GORCL, TORL))

    def oversized(self, size: int) -> None:
        self.add(ROC)
        self._ignored(size)

    def filtered(self, size: int) -> None:
        self._ignored(size)

    def missed(self) -> None:
        """The ring had no room."""
        self.add(MPC)
        self.add(RNBC)

    def segmented(self, success: bool) -> None:
        self.add(TSCTC if success else TSCTFC)

    def _ignored(self, size: int) -> None:
        self.add(TPR)
        self.add_octets(TORL, size + FCS)

    def _count(self, frames: Iterable[tuple[int, bytes]], kinds: tuple[int, int, int],
               totals: tuple[int, int], octets: tuple[int, int]) -> None:
        """Sort by size and destination, which for many frames of a batch are the same."""
        sizes, broadcasts, multicasts = kinds
        for (length, destination), count in Counter(frames).items():
            size = length + FCS
            self.add(sizes + bisect_left(RANGES, size), count)
            if destination[0] & GROUP:
                self.add(broadcasts if destination == BROADCAST else multicasts, count)
            for total in totals:
                self.add(total, count)
            for low in octets:
                self.add_octets(low, size * count)
