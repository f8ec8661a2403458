"""A floppy drive: its head, the disk in it and how that is formatted.

Source: Intel 82077AA datasheet (290166), section 5.2; ECMA-100 and ECMA-125 for the formats.
"""
from typing import Any, NamedTuple

from pyemu.machine.block.backend import Backend
from pyemu.machine.block.drive import Drive
from pyemu.machine.chip import Chip

SECTOR = 512  # bytes
SIZE_CODE = 2  # of a sector: 128 bytes times 2 to that power

# Data rates, as the CCR has them
KBPS_500, KBPS_300, KBPS_250, MBPS_1 = range(4)


class Format(NamedTuple):
    """How a disk is divided. sectors: in a track; the first has number 1."""

    cylinders: int
    heads: int
    sectors: int
    rate: int
    inches_525: bool = False

    @property
    def size(self) -> int:
        return self.cylinders * self.heads * self.sectors * SECTOR


FORMATS = (
    Format(40, 1, 8, KBPS_300, True), Format(40, 1, 9, KBPS_300, True),
    Format(40, 2, 8, KBPS_300, True), Format(40, 2, 9, KBPS_300, True),
    Format(80, 2, 9, KBPS_250), Format(80, 2, 15, KBPS_500, True), Format(80, 2, 18, KBPS_500),
    Format(80, 2, 21, KBPS_500), Format(82, 2, 21, KBPS_500), Format(80, 2, 36, MBPS_1),
)


def format_of(size: int) -> Format:
    """That of an image of `size` bytes: the smallest that holds it, or the largest there is."""
    return next((each for each in FORMATS if each.size >= size), FORMATS[-1])


class FloppyDrive(Chip):
    """drive: whose medium it reads and writes. on_change: the medium is another, or none."""

    STATE = ("cylinder", "changed")

    def __init__(self, drive: Drive):
        self.drive = drive
        self.cylinder = 0
        self.on_change: Any = lambda: None
        self.format = FORMATS[-1]
        drive.on_change = self._on_change
        self._on_change()

    def _on_change(self) -> None:
        self.changed = True  # until the head moves
        if self.medium:
            self.format = format_of(self.medium.size)
        self.on_change()

    @property
    def medium(self) -> Backend | None:
        return self.drive.loaded

    @property
    def write_protected(self) -> bool:
        return self.medium is None or self.medium.read_only

    @property
    def disk_changed(self) -> bool:
        """The line of that name: it falls when the head moves and there is a disk."""
        return self.changed or self.medium is None

    def step(self, cylinder: int) -> None:
        """Move the head."""
        if cylinder != self.cylinder:
            self.cylinder = cylinder
            if self.medium:
                self.changed = False

    def readable(self, rate: int) -> bool:
        """Whether there is anything that can be read at this data rate."""
        return self.medium is not None and rate == self.format.rate

    def offset(self, cylinder: int, head: int, sector: int) -> int | None:
        """Where a sector is in the image, None if there is no such sector."""
        cylinders, heads, sectors, *_ = self.format
        if cylinder >= cylinders or head >= heads or not 1 <= sector <= sectors:
            return None
        at = ((cylinder * heads + head) * sectors + sector - 1) * SECTOR
        return at if self.medium and at + SECTOR <= self.medium.size else None
