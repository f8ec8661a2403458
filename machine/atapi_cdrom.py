"""A CD-ROM drive: the commands that come in packets, and the medium behind them.

Source: MMC-5 (T10 1675D), sections 6 (commands) and F (sense codes); SPC-3, sections 4.5 (sense
data) and 6 (INQUIRY, REQUEST SENSE, PREVENT ALLOW).
"""
from collections.abc import Callable

from pyemu.machine import mmc_answers as answers
from pyemu.machine.atapi import AtapiDevice, CheckCondition, Sense
from pyemu.machine.block.drive import Drive
from pyemu.machine.block.request import Read
from pyemu.machine.mmc_answers import RAW_SECTOR, SECTOR
from pyemu.trace.hooks import (
    trace_cd_read_sector,
    trace_ide_atapi_cmd,
    trace_ide_atapi_cmd_read,
)

# Sense keys, additional codes
NO_SENSE = Sense(0x0, 0x00)
NO_MEDIUM = Sense(0x2, 0x3A, 0x01)
TRAY_OPEN = Sense(0x2, 0x3A, 0x02)
READ_ERROR = Sense(0x3, 0x11)
INVALID_OPERATION = Sense(0x5, 0x20)
OUT_OF_RANGE = Sense(0x5, 0x21)
INVALID_FIELD = Sense(0x5, 0x24)
CANNOT_SAVE = Sense(0x5, 0x39)
REMOVAL_PREVENTED = Sense(0x5, 0x53, 0x02)
WRONG_MODE = Sense(0x5, 0x64)  # for the track
MEDIUM_CHANGED = Sense(0x6, 0x28)

# Events of class 4
NO_EVENT, EJECT_REQUEST, NEW_MEDIUM, MEDIUM_REMOVED = range(4)

# START STOP UNIT
START, LOAD_EJECT, POWER_CONDITION = 1 << 0, 1 << 1, 0xF0

IN_MINUTES = 1 << 1  # READ TOC, byte 1
POLLED = 1 << 0  # GET EVENT STATUS NOTIFICATION, byte 1
VITAL_DATA = 1 << 0  # INQUIRY, byte 1
CHANGEABLE, SAVED = 1, 3  # MODE SENSE, kinds of values

# READ CD: expected sector types and what of them is wanted
ANY_SECTOR, MODE_1 = 0, 2
NOTHING, USER_DATA, EVERYTHING = 0x00, 0x10, 0xF8

REQUEST_SENSE = 0x03
AT_ONCE = 32  # sectors read from the image in one go

# What a command needs
MEDIUM = 1 << 0
IN_SPITE_OF_ATTENTION = 1 << 1  # it is carried out though the host has not heard the news


class AtapiCdrom(AtapiDevice):
    """drive: whose medium is read, and whose tray is moved and locked."""

    STATE = (*AtapiDevice.STATE, "drive", "attention", "event", "sector", "sector_size")

    def __init__(self, drive: Drive, serial: str = "QM00003", model: str = "PYEMU DVD-ROM",
                 firmware: str = "2.5+"):
        super().__init__(drive.loaded, serial, model, firmware)
        self.drive = drive
        drive.on_change = self._on_change
        drive.on_eject_request = self._on_eject_request
        self.reset()

    def reset(self) -> None:
        self.drive.locked = False
        self.attention: Sense | None = None  # what the host must hear before anything else
        self.event = NO_EVENT
        super().reset()

    def soft_reset(self) -> None:
        super().soft_reset()
        self.reading = False  # from the image, which has not answered yet
        self.sector = 0  # next to be read
        self.sector_size = SECTOR

    @property
    def sectors(self) -> int:
        return self.backend.size // SECTOR if self.backend else 0

    def _on_change(self) -> None:
        self.backend = self.drive.loaded
        if self.backend:
            self.event = NEW_MEDIUM
            self.attention = MEDIUM_CHANGED
            return
        self.event = MEDIUM_REMOVED
        if self.reading:  # it waits for the user to mend an error
            self._forget()
            self.reading = False
            self._give_up(TRAY_OPEN)

    def _on_eject_request(self) -> None:
        self.event = EJECT_REQUEST

    def command(self, packet: bytes) -> None:
        if trace_ide_atapi_cmd:
            trace_ide_atapi_cmd(self, packet[0])
        if packet[0] != REQUEST_SENSE:
            self.sense = NO_SENSE
        operation, needs = self.OPERATIONS.get(packet[0], (AtapiCdrom._invalid, 0))
        try:
            if self.attention and not needs & IN_SPITE_OF_ATTENTION:
                sense, self.attention = self.attention, None
                raise CheckCondition(sense)
            if needs & MEDIUM and self.backend is None:
                raise CheckCondition(TRAY_OPEN if self.drive.tray_open else NO_MEDIUM)
            operation(self, packet)
        except CheckCondition as condition:
            self.check(condition.sense)

    def _answer(self, data: bytes, room: int) -> None:
        """Reply with as much of `data` as the host has room for."""
        self.reply(data[:room])

    # Reading

    def _read(self, first: int, count: int, size: int = SECTOR) -> None:
        if first + count > self.sectors:
            raise CheckCondition(OUT_OF_RANGE)
        if trace_ide_atapi_cmd_read:
            trace_ide_atapi_cmd_read(self, "dma" if self.by_dma else "pio", first, count)
        self.sector = first
        self.sector_size = size
        self.reply(left=count * size)

    def refill(self, length: int, then: Callable[[], None]) -> None:
        size = self.sector_size
        count = min(self.left // size, max(AT_ONCE, -(-length // size)))
        if trace_cd_read_sector:
            trace_cd_read_sector(self.sector)

        def done(data: bytes, error: OSError | None) -> None:
            self.reading = False
            if error:
                self._give_up(READ_ERROR)
            else:
                self._take(data, count)
                then()

        if self.backend is None:
            self._give_up(TRAY_OPEN)
        else:
            self.reading = True
            self.ask(Read(self.sector * SECTOR, count * SECTOR, done))

    def _take(self, data: bytes, count: int) -> None:
        """So many sectors have been read."""
        if self.sector_size == RAW_SECTOR:
            data = b"".join(answers.raw_sector(self.sector + n, data[n * SECTOR:(n + 1) * SECTOR])
                            for n in range(count))
        self.pending += data
        self.left -= len(data)
        self.sector += count

    def _give_up(self, sense: Sense) -> None:
        if self.by_dma:
            self.channel.dma.end()
        self.check(sense)

    # The operations

    def _invalid(self, packet: bytes) -> None:
        raise CheckCondition(INVALID_OPERATION)

    def _nothing(self, packet: bytes) -> None:
        self.done()

    def _request_sense(self, packet: bytes) -> None:
        sense = self.attention or self.sense
        self.attention, self.sense = None, NO_SENSE
        self._answer(answers.fixed_sense(*sense), packet[4])

    def _inquiry(self, packet: bytes) -> None:
        if packet[1] & VITAL_DATA or packet[2]:
            raise CheckCondition(INVALID_FIELD)
        self._answer(answers.inquiry("PYEMU", self.model, self.firmware), _word(packet, 3))

    def _start_stop(self, packet: bytes) -> None:
        if packet[4] & LOAD_EJECT and not packet[4] & POWER_CONDITION:
            opening = not packet[4] & START
            if opening and self.drive.locked and not self.drive.tray_open:
                raise CheckCondition(REMOVAL_PREVENTED)
            self.drive.move_tray(opening)
        self.done()

    def _prevent_removal(self, packet: bytes) -> None:
        self.drive.locked = bool(packet[4] & 1)
        self.done()

    def _read_capacity(self, packet: bytes) -> None:
        self.reply((max(self.sectors, 1) - 1).to_bytes(4, "big") + SECTOR.to_bytes(4, "big"))

    def _read_10(self, packet: bytes) -> None:
        self._read(_double_word(packet, 2), _word(packet, 7))

    def _read_12(self, packet: bytes) -> None:
        self._read(_double_word(packet, 2), _double_word(packet, 6))

    def _read_cd(self, packet: bytes) -> None:
        if packet[1] >> 2 & 7 not in (ANY_SECTOR, MODE_1):
            raise CheckCondition(WRONG_MODE)
        first, count = _double_word(packet, 2), _double_word(packet, 5) & 0xFFFFFF
        wanted = packet[9] & 0xF8
        if wanted not in (NOTHING, USER_DATA, EVERYTHING):
            raise CheckCondition(INVALID_FIELD)
        self._read(first, count if wanted else 0,
                   RAW_SECTOR if wanted == EVERYTHING else SECTOR)

    def _seek(self, packet: bytes) -> None:
        self._read(_double_word(packet, 2), 0)

    def _read_toc(self, packet: bytes) -> None:
        in_minutes = bool(packet[1] & IN_MINUTES)
        layout = packet[2] & 0xF or packet[9] >> 6  # older hosts have it in the last bits
        start = packet[6]
        if layout == 0 and (start <= 1 or start == answers.LEAD_OUT):
            data = answers.toc(start, self.sectors, in_minutes)
        elif layout == 1:
            data = answers.sessions(in_minutes)
        elif layout == 2 and start <= 1:
            data = answers.full_toc(self.sectors, in_minutes)
        else:
            raise CheckCondition(INVALID_FIELD)
        self._answer(data, _word(packet, 7))

    def _get_configuration(self, packet: bytes) -> None:
        kind = packet[1] & 3
        if kind == 3:
            raise CheckCondition(INVALID_FIELD)
        self._answer(answers.configuration(kind, _word(packet, 2), self.sectors),
                     _word(packet, 7))

    def _get_event(self, packet: bytes) -> None:
        if not packet[1] & POLLED:
            raise CheckCondition(INVALID_FIELD)
        if packet[4] & 1 << answers.MEDIUM_CLASS:
            data = answers.medium_event(self.event, self.drive.tray_open, bool(self.sectors))
            self.event = NO_EVENT
        else:
            data = answers.no_event()
        self._answer(data, _word(packet, 7))

    def _read_disc_information(self, packet: bytes) -> None:
        if packet[1] & 7:
            raise CheckCondition(INVALID_FIELD)
        self._answer(answers.disc_information(), _word(packet, 7))

    def _mode_sense(self, packet: bytes) -> None:
        values, page = packet[2] >> 6, packet[2] & 0x3F
        if values == SAVED:
            raise CheckCondition(CANNOT_SAVE)
        if page not in (*answers.PAGES, answers.ALL_PAGES):
            raise CheckCondition(INVALID_FIELD)
        self._answer(answers.mode_pages(page, self.drive.locked, bool(self.sectors),
                                        values == CHANGEABLE), _word(packet, 7))

    def _mechanism_status(self, packet: bytes) -> None:
        self._answer(answers.MECHANISM_STATUS, _word(packet, 8))

    OPERATIONS: dict[int, tuple[Callable[["AtapiCdrom", bytes], None], int]] = {
        0x00: (_nothing, MEDIUM),  # TEST UNIT READY
        REQUEST_SENSE: (_request_sense, IN_SPITE_OF_ATTENTION),
        0x12: (_inquiry, IN_SPITE_OF_ATTENTION),
        0x1B: (_start_stop, 0),
        0x1E: (_prevent_removal, 0),
        0x25: (_read_capacity, MEDIUM),
        0x28: (_read_10, MEDIUM),
        0x2B: (_seek, MEDIUM),
        0x43: (_read_toc, MEDIUM),
        0x46: (_get_configuration, IN_SPITE_OF_ATTENTION),
        0x4A: (_get_event, IN_SPITE_OF_ATTENTION),
        0x51: (_read_disc_information, MEDIUM),
        0x5A: (_mode_sense, 0),
        0xA8: (_read_12, MEDIUM),
        0xBB: (_nothing, 0),  # SET CD SPEED: there is but one
        0xBD: (_mechanism_status, 0),
        0xBE: (_read_cd, MEDIUM),
    }


def _word(packet: bytes, at: int) -> int:
    return packet[at] << 8 | packet[at + 1]


def _double_word(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at:at + 4], "big")
