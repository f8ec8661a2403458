"""The 82540EM's statistics: counters that stop at their maximum and are cleared by reading.

Source: Intel 8254x software developer's manual (317453), section 13.7.
"""
from array import array
from bisect import bisect_left
from collections.abc import Sequence

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

    def sent(self, frames: Sequence[bytes]) -> None:
        octets = self._count(frames, PTC64, BPTC, MPTC)
        self.add(GPTC, len(frames))
        self.add(TPT, len(frames))
        self.add_octets(GOTCL, octets)
        self.add_octets(TOTL, octets)

    def received(self, frames: Sequence[bytes]) -> None:
        """Frames that have passed the filter and are in memory."""
        octets = self._count(frames, PRC64, BPRC, MPRC)
        self.add(GPRC, len(frames))
        self.add(TPR, len(frames))
        self.add_octets(GORCL, octets)
        self.add_octets(TORL, octets)

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

    def _count(self, frames: Sequence[bytes], sizes: int, broadcasts: int, multicasts: int) -> int:
        """Sort by size and destination; return the octets, with frame check sequences."""
        octets = 0
        for frame in frames:
            size = len(frame) + FCS
            octets += size
            self.add(sizes + bisect_left(RANGES, size))
            if frame[0] & GROUP:
                self.add(broadcasts if frame[:6] == BROADCAST else multicasts)
        return octets
