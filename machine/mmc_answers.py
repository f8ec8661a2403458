"""What a CD-ROM drive tells about itself and its disc: the layouts of MMC-5's answers.

The disc has one data track in one session. All numbers are big-endian.
Source: MMC-5 (T10 1675D), sections 5 (features), 6 (commands), 7 (mode pages).
"""
import struct

SECTOR = 2048  # bytes of user data
RAW_SECTOR = 2352  # with all that is around them
SECTORS_PER_SECOND = 75
PREGAP = 150  # sectors before LBA 0
LARGEST_CD = 80 * 60 * SECTORS_PER_SECOND  # sectors; what is larger is a DVD

LEAD_OUT = 0xAA  # as a track number
DATA_TRACK = 0x14  # Q channel holds the position; data, recorded without interruption

NO_PROFILE, CD_ROM, DVD_ROM = 0x0000, 0x0008, 0x0010

# Mode pages
ERROR_RECOVERY, CAPABILITIES, ALL_PAGES = 0x01, 0x2A, 0x3F
PAGES = (ERROR_RECOVERY, CAPABILITIES)
READS_CD_R, READS_CD_RW, READS_DVD_ROM = 1 << 0, 1 << 1, 1 << 3
LOCKS, LOCKED, EJECTS, HAS_TRAY = 1 << 0, 1 << 1, 1 << 3, 1 << 5
SPEED, BUFFER_SIZE = 706, 512  # kB/s, KiB
MEDIUM_TYPES = {True: 0x01, False: 0x70}  # in the header: a data CD, or none

# READ DISC INFORMATION
COMPLETE = 0b11 << 2 | 0b10  # the last session is, and so is the disc
UNRESTRICTED_USE = 1 << 5


def position(lba: int, in_minutes: bool) -> bytes:
    """An address in four bytes: a number, or minutes, seconds and frames."""
    if not in_minutes:
        return lba.to_bytes(4, "big")
    seconds, frame = divmod(lba + PREGAP, SECTORS_PER_SECOND)
    return bytes((0, *divmod(seconds, 60), frame))


def inquiry(vendor: str, product: str, revision: str) -> bytes:
    """Standard data of a CD-ROM drive with removable media, by ATAPI."""
    return (bytes((0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0))
            + f"{vendor:8.8}{product:16.16}{revision:4.4}".encode("ascii"))


def fixed_sense(key: int, code: int, qualifier: int) -> bytes:
    return bytes((0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0))


def toc(start: int, sectors: int, in_minutes: bool) -> bytes:
    """Format 0: the tracks from `start` on."""
    tracks = b""
    if start <= 1:
        tracks = bytes((0, DATA_TRACK, 1, 0)) + position(0, in_minutes)
    tracks += bytes((0, DATA_TRACK, LEAD_OUT, 0)) + position(sectors, in_minutes)
    return struct.pack(">HBB", len(tracks) + 2, 1, 1) + tracks


def sessions(in_minutes: bool) -> bytes:
    """Format 1: where the last session begins."""
    return struct.pack(">HBBBBBB", 10, 1, 1, 0, DATA_TRACK, 1, 0) + position(0, in_minutes)


def full_toc(sectors: int, in_minutes: bool) -> bytes:
    """Format 2: the entries of the lead-in: first track, last track, lead-out, track 1."""
    def entry(point: int, where: bytes) -> bytes:
        return bytes((1, DATA_TRACK, 0, point, 0, 0, 0)) + where

    entries = (entry(0xA0, bytes((0, 1, 0, 0))) + entry(0xA1, bytes((0, 1, 0, 0)))
               + entry(0xA2, position(sectors, in_minutes)) + entry(1, position(0, in_minutes)))
    return struct.pack(">HBB", len(entries) + 2, 1, 1) + entries


def profile(sectors: int) -> int:
    """What kind of disc it is; of 0 sectors: none."""
    if not sectors:
        return NO_PROFILE
    return DVD_ROM if sectors > LARGEST_CD else CD_ROM


def configuration(kind: int, first: int, sectors: int) -> bytes:
    """Features from number `first` on. kind: 0 all, 1 those of this disc, 2 only `first`."""
    here = profile(sectors)
    profiles = b"".join(struct.pack(">HBx", each, each == here) for each in (DVD_ROM, CD_ROM))
    features = (  # number, version, persistent, current, what it says
        (0x0000, 0, True, True, profiles),
        (0x0001, 2, True, True, struct.pack(">IBxxx", 2, 1)),  # core: ATAPI, medium events
        (0x0003, 0, True, True, bytes((HAS_TRAY | EJECTS | LOCKS, 0, 0, 0))),
        (0x0010, 0, False, bool(sectors), struct.pack(">IHxx", SECTOR, 16)),  # random readable
        (0x001E, 2, False, here == CD_ROM, bytes(4)),
        (0x001F, 0, False, here == DVD_ROM, bytes(4)),
    )
    chosen = b"".join(
        struct.pack(">HBB", number, version << 2 | persistent << 1 | current, len(data)) + data
        for number, version, persistent, current, data in features
        if (number == first if kind == 2 else number >= first and (current or kind == 0)))
    return struct.pack(">IxxH", len(chosen) + 4, here) + chosen


def mode_pages(page: int, locked: bool, loaded: bool, changeable: bool) -> bytes:
    """The header and a page, or all. changeable: which bits can be set, which is none."""
    bodies = {
        ERROR_RECOVERY: bytes((0, 5, 0, 0, 0, 0)),
        CAPABILITIES: struct.pack(
            ">BBBBBBHHHHxxxx", READS_DVD_ROM | READS_CD_RW | READS_CD_R, 0, 0, 0,
            HAS_TRAY | EJECTS | LOCKS | (LOCKED if locked else 0), 0, SPEED, 2, BUFFER_SIZE,
            SPEED),
    }
    pages = b"".join(
        bytes((each, len(body))) + (bytes(len(body)) if changeable else body)
        for each, body in bodies.items() if page in (each, ALL_PAGES))
    return struct.pack(">HBxxxxx", len(pages) + 6, MEDIUM_TYPES[loaded]) + pages


def disc_information() -> bytes:
    body = bytes((COMPLETE, 1, 1, 1, 1, UNRESTRICTED_USE)).ljust(32, b"\0")
    return struct.pack(">H", len(body)) + body


def medium_event(event: int, tray_open: bool, loaded: bool) -> bytes:
    """GET EVENT STATUS NOTIFICATION, class 4."""
    return bytes((0, 6, MEDIUM_CLASS, 1 << MEDIUM_CLASS, event, loaded << 1 | tray_open, 0, 0))


def no_event() -> bytes:
    """None of the classes that were asked for is supported."""
    return bytes((0, 2, 1 << 7, 1 << MEDIUM_CLASS))


MEDIUM_CLASS = 4
MECHANISM_STATUS = bytes((0, 0, 0, 0, 0, 1, 0, 0))  # idle, one slot, no table of slots


def raw_sector(lba: int, data: bytes) -> bytes:
    """All of a mode 1 sector. The error correction reads as zeros."""
    seconds, frame = divmod(lba + PREGAP, SECTORS_PER_SECOND)
    minute, second = divmod(seconds, 60)
    header = bytes(number // 10 << 4 | number % 10 for number in (minute, second, frame)) + b"\1"
    return (b"\0" + b"\xff" * 10 + b"\0" + header + data).ljust(RAW_SECTOR, b"\0")
