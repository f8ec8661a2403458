"""What an 82077AA is told to do: the commands in its FIFO, their data and their results.

Heads are moved to where a command says its sectors are. Sectors have 512 bytes.
Source: Intel 82077AA datasheet (290166), sections 5 (commands) and 6 (status registers).
"""
from collections.abc import Callable
from typing import Any

from pyemu.machine.block.request import Read, Write
from pyemu.machine.chip import Chip
from pyemu.machine.floppy_drive import SECTOR, SIZE_CODE, FloppyDrive
from pyemu.trace.log import unimp

# The first byte of a command: which one, and how
CODE = 0x1F
MULTI_TRACK = 1 << 7  # both heads, one after the other
RELATIVE_SEEK, RELATIVE_SEEK_INWARDS, LOCK = 0x8F, 0xCF, 0x94

# The second byte of most: drive and head
DRIVE, HEAD = 0b11, 1 << 2

# ST0
NORMAL, ABNORMAL, INVALID = 0 << 6, 1 << 6, 2 << 6
SEEK_END, EQUIPMENT_CHECK = 1 << 5, 1 << 4
# ST1
END_OF_CYLINDER, NO_DATA, NOT_WRITABLE, MISSING_ADDRESS_MARK = 1 << 7, 1 << 2, 1 << 1, 1 << 0
DATA_ERROR = 1 << 5
# ST3
WRITE_PROTECTED, ALWAYS_READY, TRACK_0, TWO_SIDED = 1 << 6, 1 << 5, 1 << 4, 1 << 3

VERSION = 0x90  # an 82077
PART = 0x41
LOCKED = 1 << 4
ID_LENGTH = 4  # bytes of a sector's address in FORMAT TRACK
LAST_CYLINDER = 0xFF


class Commands(Chip):
    """fdc: whose registers and lines they use. One command is carried out at a time.

    working: it is in its execution phase.
    """

    STATE = ("working", "kind", "drive_number", "head", "cylinder", "sector", "last_sector",
             "multi_track", "filler", "waits_for_dma")

    def __init__(self, fdc: Any):
        self.fdc = fdc
        self.asked: Any = None  # of the image
        self.drive_number = self.head = self.cylinder = self.sector = self.last_sector = 0
        self.filler = 0
        self.multi_track = False
        self.kind = ""
        self.working = self.waits_for_dma = False

    def length(self, first: int) -> int:
        """Bytes of the command that begins so."""
        return self._entry(first)[0]

    def execute(self, command: bytes) -> None:
        self._entry(command[0])[1](self, command)

    def _entry(self, first: int) -> tuple[int, Callable[["Commands", bytes], None]]:
        invalid = 1, Commands._invalid
        return self.WHOLE_BYTE.get(first) or self.BY_CODE.get(first & CODE, invalid)

    def cancel(self) -> None:
        """Forget what is going on."""
        if self.asked:
            self.asked.cancel()
            self.asked = None
        self.working = self.waits_for_dma = False

    def medium_changed(self, drive: FloppyDrive) -> None:
        """What was under way with the disk that is gone has failed, whatever it waits for."""
        if self.working and drive is self.drive:
            self.cancel()
            self.fdc.dma.request(False)
            self.fdc.data.clear()
            self._end(ABNORMAL, MISSING_ADDRESS_MARK)

    @property
    def drive(self) -> FloppyDrive | None:
        return self.fdc.drives[self.drive_number]

    # Sectors

    def _take_address(self, command: bytes) -> None:
        _, which, self.cylinder, head, self.sector, _, self.last_sector, *_ = command
        self._select(which)
        self.head = head & 1
        self.multi_track = bool(command[0] & MULTI_TRACK)

    def _select(self, which: int) -> None:
        self.drive_number = which & DRIVE
        self.head = bool(which & HEAD)

    def _read(self, command: bytes) -> None:
        self._take_address(command)
        self._begin("read", command[5])

    def _write(self, command: bytes) -> None:
        self._take_address(command)
        self._begin("write", command[5])

    def _format(self, command: bytes) -> None:
        _, which, size_code, self.last_sector, _, self.filler = command
        self._select(which)
        self.multi_track = False
        self.sector = 1
        self.cylinder = self.fdc.cylinder(self.drive_number)
        self._begin("format", size_code)

    def _begin(self, kind: str, size_code: int) -> None:
        """The execution phase of a command that moves sectors, if it can be done."""
        self.kind = kind
        self.working = True
        drive = self.drive
        if drive is None or not drive.readable(self.fdc.rate):
            self._end(ABNORMAL, MISSING_ADDRESS_MARK)
        elif kind != "read" and drive.write_protected:
            self._end(ABNORMAL, NOT_WRITABLE)
        elif size_code != SIZE_CODE or not self._span():
            self._end(ABNORMAL, NO_DATA)
        else:
            drive.step(self.cylinder)
            if self.fdc.by_dma:
                self.waits_for_dma = True
                self.fdc.dma.request(True)
            elif kind == "read":
                self._fetch(self._span() * SECTOR)
            else:
                self.fdc.receiving = self._wanted()
                self.fdc.set_interrupt(True)

    def _span(self) -> int:
        """Sectors from here that the command can reach and the disk has."""
        drive, count = self.drive, 0
        last = self.last_sector
        if drive is None or drive.offset(self.cylinder, self.head, self.sector) is None:
            return 0
        while (self.sector + count <= last
               and drive.offset(self.cylinder, self.head, self.sector + count) is not None):
            count += 1
        if self.multi_track and not self.head and self.sector + count > last == self._on_track():
            count += sum(drive.offset(self.cylinder, 1, n) is not None
                         for n in range(1, last + 1))
        return count

    def _on_track(self) -> int:
        return self.drive.format.sectors if self.drive else 0

    def _wanted(self) -> int:
        """Bytes that a writing command takes from the host."""
        return self.last_sector * ID_LENGTH if self.kind == "format" else self._span() * SECTOR

    def transfer(self) -> None:
        """The DMA controller lets us."""
        self.fdc.dma.request(False)
        if not self.waits_for_dma:
            return
        self.waits_for_dma = False
        if self.kind == "read":
            room = -(-self.fdc.dma.room // SECTOR) * SECTOR
            self._fetch(min(self._span() * SECTOR, room))
        else:
            self._store(self.fdc.dma.from_memory(self._wanted()))

    def _fetch(self, length: int) -> None:
        drive = self.drive
        assert drive and drive.medium  # `_begin` has looked
        at = drive.offset(self.cylinder, self.head, self.sector)
        assert at is not None  # likewise
        self.asked = Read(at, length, self._fetched)
        drive.medium.start(self.asked)

    def _fetched(self, data: bytes, error: OSError | None) -> None:
        self.asked = None
        if error:
            self._end(ABNORMAL, DATA_ERROR)
        elif not self.fdc.by_dma:
            self.fdc.data += data
            self.fdc.set_interrupt(True)
        else:
            taken = self.fdc.dma.to_memory(data)
            self._advance(-(-taken // SECTOR))
            self._end(NORMAL)

    def data_taken(self) -> None:
        """The host has read all from the FIFO: nobody has told us to stop."""
        self._advance(self._span())
        self._end(ABNORMAL, END_OF_CYLINDER)

    def data_given(self) -> None:
        """The host has written all into the FIFO."""
        data, self.fdc.data = bytes(self.fdc.data), bytearray()
        self._store(data)

    def _store(self, data: bytes) -> None:
        drive = self.drive
        assert drive and drive.medium
        at = drive.offset(self.cylinder, self.head, self.sector)
        assert at is not None
        count = -(-len(data) // SECTOR)
        if self.kind == "format":
            count = min(len(data) // ID_LENGTH, self._on_track())
            data = bytes((self.filler,)) * count * SECTOR

        def done(_: bytes, error: OSError | None) -> None:
            self.asked = None
            if error:
                self._end(ABNORMAL, DATA_ERROR)
            else:
                self._advance(count)
                self._end(NORMAL)

        self.asked = Write(at, data.ljust(count * SECTOR, b"\0"), done)
        drive.medium.start(self.asked)

    def _advance(self, count: int) -> None:
        """So many sectors are done: the address becomes that of the next one."""
        self.sector += count
        if self.sector > self.last_sector:
            self.sector -= self.last_sector
            if self.multi_track and not self.head:
                self.head = 1
                if self.sector <= self.last_sector:
                    return
                self.sector -= self.last_sector
            self.head = 0 if self.multi_track else self.head
            self.cylinder += 1

    def _end(self, status_0: int, status_1: int = 0) -> None:
        """The result phase of a command that has moved sectors, or has not."""
        self.working = False
        self.fdc.receiving = 0
        self.fdc.answer(status_0 | self.head << 2 | self.drive_number, status_1, 0,
                        self.cylinder & 0xFF, self.head, self.sector & 0xFF, SIZE_CODE,
                        interrupt=True)

    def _read_id(self, command: bytes) -> None:
        self._select(command[1])
        drive = self.drive
        self.cylinder = self.fdc.cylinder(self.drive_number)
        self.sector = 1
        if (drive is None or not drive.readable(self.fdc.rate)
                or drive.offset(self.cylinder, self.head, 1) is None):
            self._end(ABNORMAL, MISSING_ADDRESS_MARK)
        else:
            self._end(NORMAL)

    # Heads

    def _recalibrate(self, command: bytes) -> None:
        self._select(command[1] & DRIVE)
        self._seek_to(0)

    def _seek(self, command: bytes) -> None:
        self._select(command[1])
        self._seek_to(command[2])

    def _seek_relative(self, command: bytes) -> None:
        self._select(command[1])
        inwards = command[0] == RELATIVE_SEEK_INWARDS
        here = self.fdc.cylinder(self.drive_number)
        self._seek_to(min(max(here + command[2] * (1 if inwards else -1), 0), LAST_CYLINDER))

    def _seek_to(self, cylinder: int) -> None:
        drive = self.drive
        status = SEEK_END | self.head << 2 | self.drive_number
        if drive is None:
            status |= ABNORMAL | EQUIPMENT_CHECK  # track 0 was not found
        else:
            drive.step(cylinder)
        self.fdc.sense = [(status, self.fdc.cylinder(self.drive_number))]
        self.fdc.set_interrupt(True)

    def _sense_interrupt(self, command: bytes) -> None:
        if not self.fdc.sense:
            self.fdc.answer(INVALID)
            return
        self.fdc.set_interrupt(False)
        self.fdc.answer(*self.fdc.sense.pop(0))

    def _sense_drive(self, command: bytes) -> None:
        self._select(command[1])
        drive = self.drive
        status = ALWAYS_READY | TWO_SIDED | self.head << 2 | self.drive_number
        if drive is None or drive.write_protected:
            status |= WRITE_PROTECTED
        if drive and drive.cylinder == 0:
            status |= TRACK_0
        self.fdc.answer(status)

    # Settings

    def _specify(self, command: bytes) -> None:
        self.fdc.timing = command[1:]

    def _configure(self, command: bytes) -> None:
        _, _, self.fdc.configuration, self.fdc.precompensation = command

    def _perpendicular(self, command: bytes) -> None:
        self.fdc.perpendicular = command[1]

    def _lock(self, command: bytes) -> None:
        self.fdc.locked = command[0] == LOCK
        self.fdc.answer(LOCKED if self.fdc.locked else 0)

    def _dump_registers(self, command: bytes) -> None:
        fdc = self.fdc
        fdc.answer(*(fdc.cylinder(n) for n in range(len(fdc.drives))), *fdc.timing,
                   self.last_sector, fdc.locked << 7 | fdc.perpendicular & 0x7F,
                   fdc.configuration, fdc.precompensation)

    def _version(self, command: bytes) -> None:
        self.fdc.answer(VERSION)

    def _part(self, command: bytes) -> None:
        self.fdc.answer(PART)

    def _invalid(self, command: bytes) -> None:
        if unimp:
            unimp(f"fdc: unimplemented command 0x{command[0]:02x}")
        self.fdc.answer(INVALID)

    WHOLE_BYTE: dict[int, tuple[int, Callable[["Commands", bytes], None]]] = {
        0x0E: (1, _dump_registers),
        0x10: (1, _version),
        0x18: (1, _part),
        0x14: (1, _lock),  # UNLOCK
        LOCK: (1, _lock),
        RELATIVE_SEEK: (3, _seek_relative),
        RELATIVE_SEEK_INWARDS: (3, _seek_relative),
    }
    BY_CODE: dict[int, tuple[int, Callable[["Commands", bytes], None]]] = {
        0x02: (9, _read),  # READ TRACK
        0x03: (3, _specify),
        0x04: (2, _sense_drive),
        0x05: (9, _write),
        0x06: (9, _read),
        0x07: (2, _recalibrate),
        0x08: (1, _sense_interrupt),
        0x09: (9, _write),  # deleted data
        0x0A: (2, _read_id),
        0x0C: (9, _read),  # deleted data
        0x0D: (6, _format),
        0x0F: (3, _seek),
        0x12: (2, _perpendicular),
        0x13: (4, _configure),
    }
