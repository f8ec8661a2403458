"""CD-ROM drive, through the ports of its channel: ATA/ATAPI-6, MMC-5."""
import struct

import pytest
from pyemu.machine.block.drive import DriveError

from .ide_host import (
    ALTERNATE,
    BUS_MASTER,
    COMMAND,
    CONTROL,
    COUNT,
    DEVICE,
    DRQ,
    ERR,
    ERROR,
    LOW,
    MID,
    READY,
    STATUS,
    CdHost,
)

SECTORS = 300
TEST_UNIT_READY, REQUEST_SENSE, INQUIRY, START_STOP, PREVENT = 0x00, 0x03, 0x12, 0x1B, 0x1E
READ_CAPACITY, READ_10, READ_TOC, CONFIGURATION, EVENT = 0x25, 0x28, 0x43, 0x46, 0x4A
MODE_SENSE, READ_12, READ_CD = 0x5A, 0xA8, 0xBE
EJECT, LOAD = 0x02, 0x03
NO_MEDIUM, TRAY_OPEN = (2, 0x3A, 1), (2, 0x3A, 2)
OUT_OF_RANGE, INVALID_FIELD = (5, 0x21, 0), (5, 0x24, 0)
PREVENTED, CHANGED = (5, 0x53, 2), (6, 0x28, 0)


@pytest.fixture
def host(clock):
    return CdHost(clock, SECTORS)


def sector(number):
    return b"".join((4 * number + i).to_bytes(4, "little") * 128 for i in range(4))


def read_10(lba, count):
    return READ_10, 0, *lba.to_bytes(4, "big"), 0, *count.to_bytes(2, "big")


# The device and its protocol

def test_power_on_and_reset_show_the_signature(host):
    for _ in range(2):
        assert host.registers() == [1, 1, 1, 0x14, 0xEB, 0xA0]
        assert host.inb(STATUS) == 0
        host.outb(MID, 0)
        host.outb(CONTROL, 4)
        host.outb(CONTROL, 0)
    assert not host.irq.level


def test_identify_device_is_refused_with_the_signature(host):
    assert host.command(0xEC) == READY & ~0x10 | ERR
    assert host.registers() == [4, 1, 1, 0x14, 0xEB, 0xE0]


def test_identify_packet_device(host):
    host.command(0xA1)
    words = struct.unpack("<256H", host.take(512))
    assert words[0] == 0x85C0  # a removable CD-ROM drive that takes 12 bytes
    assert words[49] & 0x300 == 0x300 and words[88] == 0x3F
    name = b"".join(struct.pack(">H", word) for word in words[27:47])
    assert name.rstrip() == b"PYEMU DVD-ROM"


def test_device_reset_is_obeyed_in_the_middle_of_a_command(host):
    host.packet(*read_10(0, 2))
    host.outb(COMMAND, 0x08)
    assert host.inb(ALTERNATE) == 0
    assert host.registers()[1:5] == [1, 1, 0x14, 0xEB]
    assert host.answer(*read_10(1, 1)) == sector(1)


def test_a_command_without_data(host):
    assert host.packet(TEST_UNIT_READY) == READY
    assert host.irq.level and host.inb(COUNT) & 7 == 3


@pytest.mark.parametrize(("limit", "blocks"), [
    (0xFFFE, [6144]), (0xFFFF, [6144]), (2048, [2048] * 3), (4000, [4000, 2144]),
    (4001, [4000, 2144])])
def test_blocks_are_no_longer_than_the_limit(host, limit, blocks):
    host.packet(*read_10(5, 3), limit=limit)
    data, lengths = b"", []
    while host.inb(ALTERNATE) & DRQ:
        assert host.irq.level
        host.inb(STATUS)
        lengths.append(host.inb(MID) | host.inb(MID + 1) << 8)
        data += host.take(lengths[-1])
    assert host.irq.level and host.inb(STATUS) == READY
    assert (lengths, data) == (blocks, sector(5) + sector(6) + sector(7))


def test_data_without_a_limit_is_refused(host):
    assert host.packet(*read_10(0, 1), limit=0) & ERR
    assert host.inb(ERROR) == 4
    assert host.packet(TEST_UNIT_READY, limit=0) == READY


def test_an_answer_of_odd_length(host):
    assert host.answer(INQUIRY, 0, 0, 0, 5, limit=3) == bytes((5, 0x80, 0, 0x21, 31))


def test_dma_into_scattered_memory(host, clock):
    host.packet(*read_10(40, 48), by_dma=True)
    host.table((0x2000, 2048), (0x10000, 0xFE00), (0x4000, 0x8000))
    host.outb(BUS_MASTER, 9)
    assert host.inb(BUS_MASTER + 2) & 1
    clock.advance(us=1)
    assert host.inb(STATUS) == READY and host.inb(COUNT) & 7 == 3
    ram = host.memory.ram
    data = ram[0x2000:0x2800] + ram[0x10000:0x1FE00] + ram[0x4000:0x4000 + 31232]
    assert data == b"".join(map(sector, range(40, 88)))


def test_dma_of_a_short_answer(host, clock):
    host.table((0x2000, 36))
    host.outb(BUS_MASTER, 9)
    host.packet(INQUIRY, 0, 0, 0, 36, by_dma=True)
    clock.advance(us=1)
    assert host.inb(BUS_MASTER + 2) == 4
    assert host.memory.ram[0x2008:0x2018] == b"PYEMU   PYEMU DV"


# Reading

def test_read_12_and_read_cd(host):
    assert host.answer(READ_12, 0, 0, 0, 0, 7, 0, 0, 0, 2) == sector(7) + sector(8)
    assert host.answer(READ_CD, 0, 0, 0, 0, 7, 0, 0, 1, 0x10) == sector(7)
    assert host.answer(READ_CD, 0, 0, 0, 0, 7, 0, 0, 1, 0) == b""
    raw = host.answer(READ_CD, 0, 0, 0, 0, 7, 0, 0, 1, 0xF8)
    assert raw[:16] == b"\0" + b"\xff" * 10 + b"\0" + bytes((0, 2, 7, 1))
    assert (raw[16:2064], len(raw)) == (sector(7), 2352)


def test_no_sectors_at_all_is_no_mistake(host):
    assert host.packet(*read_10(0, 0)) == READY
    assert host.packet(*read_10(SECTORS, 0)) == READY


@pytest.mark.parametrize("command", [
    read_10(SECTORS, 1), read_10(SECTORS - 1, 2), read_10(0xFFFFFFFF, 1), (0x2B, 0, 0xFF)])
def test_beyond_the_end(host, command):
    assert host.packet(*command) == 0x40 | ERR
    assert host.inb(ERROR) == 0x50
    assert host.sense() == OUT_OF_RANGE
    assert host.sense() == (0, 0, 0)


def test_a_bad_sector_fails_where_it_is(host):
    host.backend.bad.add(4 * 40)
    host.packet(*read_10(0, 64), limit=2048)
    for n in range(32):
        assert host.take(2048) == sector(n)
    assert host.inb(STATUS) & ERR
    assert host.sense() == (3, 0x11, 0)


def test_a_bad_sector_ends_dma(host, clock):
    host.backend.bad.add(0)
    host.table((0x2000, 2048))
    host.outb(BUS_MASTER, 9)
    host.packet(*read_10(0, 1), by_dma=True)
    clock.advance(us=1)
    assert host.inb(BUS_MASTER + 2) == 4 and host.inb(STATUS) & ERR


def test_an_error_may_pause_the_machine_and_be_mended(host):
    held = []
    host.drive.medium.rerror, host.drive.medium.stop = "stop", held.append
    host.backend.bad.add(0)
    assert host.packet(*read_10(0, 1)) & 0x80
    host.backend.bad.clear()
    held.pop()()
    assert host.take(2048) == sector(0)


def test_an_eject_gives_up_what_waits_for_the_user(host):
    held = []
    host.drive.medium.rerror, host.drive.medium.stop = "stop", held.append
    host.backend.bad.add(0)
    host.packet(*read_10(0, 1))
    host.drive.open_tray()
    assert host.inb(STATUS) == 0x40 | ERR
    held.pop()()
    assert host.sense() == TRAY_OPEN


# What it tells

def test_capacity(host):
    assert host.answer(READ_CAPACITY) == struct.pack(">II", SECTORS - 1, 2048)


def test_toc(host):
    assert host.answer(READ_TOC, 0, 0, 0, 0, 0, 0, 0, 100) == bytes((
        0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 1, 44))
    in_minutes = host.answer(READ_TOC, 2, 0, 0, 0, 0, 0xAA, 0, 100)
    assert in_minutes == bytes((0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, 6, 0))
    for command in ((READ_TOC, 0, 1), (READ_TOC, 0, 0, 0, 0, 0, 0, 0, 12, 0x40)):
        sessions = host.answer(*bytes(command).ljust(8, b"\0")[:8], 12, *command[9:])
        assert sessions == bytes((0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0))
    points = host.answer(READ_TOC, 2, 2, 0, 0, 0, 0, 0, 100)[4:]
    assert [points[i + 3] for i in range(0, len(points), 11)] == [0xA0, 0xA1, 0xA2, 1]
    assert host.packet(READ_TOC, 0, 0, 0, 0, 0, 2) & ERR
    assert host.sense() == INVALID_FIELD


def test_configuration_names_the_current_profile(host):
    data = host.answer(CONFIGURATION, 0, 0, 0, 0, 0, 0, 1, 0)
    assert struct.unpack(">IxxH", data[:8]) == (len(data) - 4, 8)
    numbers, at = [], 8
    while at < len(data):
        numbers.append(int.from_bytes(data[at:at + 2], "big"))
        at += 4 + data[at + 3]
    assert numbers == [0, 1, 3, 0x10, 0x1E, 0x1F]
    one = host.answer(CONFIGURATION, 2, 0, 3, 0, 0, 0, 1, 0)
    assert one[8:12] == bytes((0, 3, 3, 4)) and len(one) == 16
    host.backend.size = 4 << 30
    host.drive.medium.size = 4 << 30
    assert host.answer(CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 8)[7] == 0x10  # a DVD


def test_mode_pages(host):
    page = host.answer(MODE_SENSE, 0, 0x2A, 0, 0, 0, 0, 0, 100)
    assert page[:3] == bytes((0, len(page) - 2, 1)) and page[8:10] == bytes((0x2A, 18))
    assert page[14] == 0x29
    host.answer(PREVENT, 0, 0, 0, 1)
    assert host.answer(MODE_SENSE, 0, 0x2A, 0, 0, 0, 0, 0, 100)[14] == 0x2B
    every = host.answer(MODE_SENSE, 0, 0x3F, 0, 0, 0, 0, 0, 100)
    assert len(every) == 8 + 8 + 20
    assert host.packet(MODE_SENSE, 0, 0x0E) & ERR
    assert host.sense() == INVALID_FIELD


def test_unknown_commands(host):
    assert host.packet(0x2A) & ERR
    assert host.sense() == (5, 0x20, 0)


# The tray

def event(host):
    header = host.answer(EVENT, 1, 0, 0, 0x10, 0, 0, 0, 8)
    assert header[:4] == bytes((0, 6, 4, 0x10))
    return header[4], header[5]


def test_the_guest_opens_and_closes_the_tray(host):
    moves = []
    host.drive.on_tray = moves.append
    assert host.packet(START_STOP, 0, 0, 0, EJECT) == READY
    assert host.packet(TEST_UNIT_READY) & ERR and host.sense() == TRAY_OPEN
    assert event(host) == (3, 1)
    assert host.packet(START_STOP, 0, 0, 0, LOAD) == READY
    assert event(host) == (2, 2)
    assert moves == [True, False]
    assert host.packet(TEST_UNIT_READY) & ERR and host.sense() == CHANGED
    assert host.packet(TEST_UNIT_READY) == READY
    assert event(host) == (0, 2)


def test_a_locked_tray(host):
    host.packet(PREVENT, 0, 0, 0, 1)
    assert host.packet(START_STOP, 0, 0, 0, EJECT) & ERR
    assert host.sense() == PREVENTED
    with pytest.raises(DriveError, match="Device 'ide1-cd0' is locked and force"):
        host.drive.open_tray()
    assert event(host) == (1, 2)  # the guest is asked to do it
    host.drive.open_tray(force=True)
    assert host.drive.tray_open
    host.packet(PREVENT)
    assert not host.drive.locked


def test_another_disc(host, clock):
    old = host.drive.medium
    host.drive.open_tray()
    assert host.drive.exchange(None) is old
    host.drive.close_tray()
    assert host.packet(*read_10(0, 1)) & ERR and host.sense() == NO_MEDIUM
    assert host.answer(CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 8)[6:] == bytes(2)
    other = CdHost(clock, 7)
    host.drive.open_tray()
    host.drive.exchange(other.drive.medium)
    host.drive.close_tray()
    assert host.answer(INQUIRY, 0, 0, 0, 36)[8:13] == b"PYEMU"  # in spite of the news
    assert host.sense() == CHANGED
    assert host.answer(READ_CAPACITY)[:4] == bytes((0, 0, 0, 6))


def test_a_read_ends_when_the_disc_is_taken_out(host):
    host.packet(*read_10(0, 64), limit=2048)
    host.drive.open_tray()
    for n in range(32):  # they have been read already
        assert host.take(2048) == sector(n)
    assert host.inb(STATUS) & ERR
    assert host.sense() == TRAY_OPEN


def test_state_is_saved_and_loaded(host):
    host.packet(PREVENT, 0, 0, 0, 1)
    host.packet(*read_10(5, 1))
    host.take(100)
    state = host.cdrom.save()
    host.outb(COMMAND, 8)
    host.drive.locked = False
    host.cdrom.load(state)
    assert host.take(1948) == sector(5)[100:]
    assert host.drive.locked


def test_registers_that_have_nothing_to_say(host):
    host.outb(DEVICE, 0xA0)
    host.outb(LOW, 9)
    assert host.registers()[2] == 9
    assert host.command(0xE5) == READY and host.registers()[1] == 0xFF
    assert host.command(0xEF, features=3, count=0x42) == READY
    assert host.command(0xEF, features=3, count=0x99) & ERR
