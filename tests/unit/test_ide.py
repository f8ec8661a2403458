"""IDE channel and ATA disk, through their ports: ATA/ATAPI-6."""
import struct

import pytest

from .ide_host import (
    ALTERNATE,
    BSY,
    COMMAND,
    CONTROL,
    COUNT,
    DATA,
    DEVICE,
    DRQ,
    ERR,
    ERROR,
    FEATURES,
    HIGH,
    LOW,
    MID,
    READY,
    STATUS,
    Host,
)

ABRT, IDNF, UNC = 0x04, 0x10, 0x40
READ, READ_EXT, READ_MULTIPLE, READ_MULTIPLE_EXT = 0x20, 0x24, 0xC4, 0x29
WRITE, WRITE_EXT, WRITE_MULTIPLE, WRITE_MULTIPLE_EXT = 0x30, 0x34, 0xC5, 0x39
SET_MULTIPLE, IDENTIFY, SET_FEATURES, FLUSH = 0xC6, 0xEC, 0xEF, 0xE7
SECTORS = 4000
SIGNATURE = [1, 1, 1, 0, 0, 0xA0]


def sector(*numbers):
    return b"".join(number.to_bytes(4, "little") * 128 for number in numbers)


@pytest.fixture
def host(clock):
    return Host(clock, SECTORS)


def words(host):
    assert host.command(IDENTIFY) == READY | DRQ
    return struct.unpack("<256H", host.take(512))


# Presence and selection

def test_power_on_shows_the_signature(host):
    assert host.registers() == SIGNATURE
    assert host.inb(STATUS) == READY
    assert not host.irq.level


def test_an_empty_channel_reads_zero(clock):
    host = Host(clock, None, None)
    assert host.command(IDENTIFY) == 0
    assert (host.registers(), host.inb(STATUS), host.inb(DATA)) == ([0] * 6, 0, 0)


def test_an_absent_device_1_has_registers_but_no_status(host):
    host.outb(DEVICE, 0xB0)
    host.outb(COUNT, 0x55)
    assert host.registers() == [0, 0x55, 1, 0xFF, 0xFF, 0xB0]
    assert host.inb(STATUS) == host.inb(ALTERNATE) == 0
    assert host.command(READ, count=1, device=0x50) == 0
    assert host.take(2) == b"\0\0" and not host.irq.level
    host.outb(DEVICE, 0xA0)
    assert host.inb(STATUS) == READY


def test_two_devices_have_their_own_data_and_take_the_same_registers(clock):
    host = Host(clock, 100, 200)
    host.backends[1].data[:512] = b"slave " * 85 + b"!!"
    assert host.command(READ, count=1, device=0x50) == READY | DRQ
    assert host.take(512).startswith(b"slave slave")
    host.outb(COUNT, 9)
    host.outb(DEVICE, 0xA0)
    assert host.registers()[1] == 9
    assert host.inb(STATUS) == READY


def test_a_slave_alone(clock):
    host = Host(clock, None, 200)
    assert host.inb(STATUS) == 0
    assert host.command(READ, lba=7, count=1, device=0x50) == READY | DRQ
    assert host.take(512) == sector(7)


# Interrupt

def test_reading_status_clears_the_interrupt_and_alternate_status_does_not(host):
    host.command(0xE5)
    assert host.irq.level
    host.inb(ALTERNATE)
    assert host.irq.level
    host.inb(STATUS)
    assert not host.irq.level


def test_nien_holds_the_interrupt_back_until_it_is_cleared(host):
    host.outb(CONTROL, 2)
    host.command(0xE5)
    assert not host.irq.level
    host.outb(CONTROL, 0)
    assert host.irq.level
    assert host.interrupts == [4]  # the bus master knew before the line rose
    host.outb(COMMAND, IDENTIFY)
    assert len(host.interrupts) == 2  # a new command lowers INTRQ first


def test_intrq_is_that_of_the_selected_device(clock):
    host = Host(clock, 100, 100)
    host.command(0xE5)
    host.outb(DEVICE, 0xB0)
    assert not host.irq.level
    host.outb(DEVICE, 0xA0)
    assert host.irq.level


# Reset and diagnostic

def test_software_reset_is_busy_while_asserted(host):
    host.command(READ, lba=9, count=2)
    host.outb(CONTROL, 4)
    assert host.inb(ALTERNATE) == BSY
    host.outb(COMMAND, IDENTIFY)
    host.outb(CONTROL, 0)
    assert host.registers() == SIGNATURE
    assert host.inb(STATUS) == READY
    assert not host.irq.level
    assert host.take(2) == b"\0\0"


def test_software_reset_wakes_a_sleeping_disk(host):
    host.command(0xE6)
    host.inb(STATUS)
    host.command(IDENTIFY)
    assert not host.irq.level and not host.inb(STATUS) & DRQ
    host.outb(CONTROL, 4)
    host.outb(CONTROL, 0)
    assert words(host)[0] == 0x40


def test_diagnostic_is_executed_by_both_and_selects_device_0(clock):
    host = Host(clock, 100, 100)
    host.command(0x90, device=0x50)
    assert host.irq.level
    assert host.registers() == SIGNATURE
    assert host.inb(STATUS) == READY


def test_hardware_reset_restores_all_settings(host):
    host.command(SET_MULTIPLE, count=4)
    host.command(SET_FEATURES, features=0x82)
    host.channel.reset()
    assert words(host)[59] == 0x110
    assert words(host)[85] & 0x20


# PIO

def test_read_sectors_interrupts_once_a_block_when_it_is_ready(host):
    assert host.command(READ, lba=300, count=3) == READY | DRQ
    for i in range(3):
        assert host.irq.level
        assert host.inb(STATUS) == READY | DRQ
        assert host.registers()[1] == 2 - i and host.lba() == 301 + i
        assert host.take(512) == sector(300 + i)
    assert not host.irq.level
    assert host.inb(STATUS) == READY
    assert len(host.interrupts) == 3


def test_write_sectors_interrupts_once_a_block_when_it_is_written(host):
    data = bytes(range(256)) * 6
    assert host.command(WRITE, lba=40, count=3) == READY | DRQ
    for i in range(3):
        assert not host.irq.level
        host.give(data[512 * i:512 * i + 512])
        assert host.irq.level
        assert host.inb(STATUS) == (READY | DRQ if i < 2 else READY)
    assert host.backend.data[40 * 512:43 * 512] == data
    assert host.lba() == 43


def test_a_count_of_zero_is_256_and_65536(clock):
    host = Host(clock, 70_000)
    host.command(READ)
    assert host.take(256 * 512, 4) == sector(*range(256))
    assert host.inb(STATUS) == READY
    host.command48(READ_MULTIPLE_EXT, 1, 0)
    blocks = 0
    while host.inb(STATUS) & DRQ:
        assert len(host.channel.data.read_block(1 << 20)) == 16 * 512
        blocks += 1
    assert blocks == 4096


@pytest.mark.parametrize("code, write", [(READ_MULTIPLE, 0), (WRITE_MULTIPLE, 1)])
def test_multiple_moves_blocks_of_the_set_size_and_a_shorter_last_one(host, code, write):
    assert host.command(SET_MULTIPLE, count=4) == READY
    host.interrupts.clear()
    host.inb(STATUS)
    host.command(code, lba=8, count=6)
    for count in 4, 2:
        assert host.inb(STATUS) == READY | DRQ
        if write:
            host.give(bytes(512 * count), 4)
        else:
            host.take(512 * count, 4)
    assert host.inb(STATUS) == READY
    assert len(host.interrupts) == 2
    assert host.backend.log == [("write" if write else "read", 8, 4),
                                ("write" if write else "read", 12, 2)]


@pytest.mark.parametrize("count, good", [(0, 1), (1, 1), (16, 1), (3, 0), (32, 0), (128, 0)])
def test_set_multiple_takes_powers_of_two_up_to_16(host, count, good):
    assert host.command(SET_MULTIPLE, count=count) == (READY if good else 0x41)
    assert words(host)[59] == (0x110 if not good else 0x100 | count if count else 0)
    assert host.command(READ_MULTIPLE, count=1) == (0x41 if count == 0 else READY | DRQ)


def test_lba48_reaches_beyond_28_bits_and_hob_reads_the_upper_bytes(clock):
    host = Host(clock, 8)
    disk = host.disks[0]
    disk.total = 1 << 40
    host.images[0].read = lambda offset, length: struct.pack("<QQ", offset, length) * 32
    host.command48(READ_EXT, 0x12_3456_789A, 0x0102)
    assert struct.unpack("<QQ", host.take(512)[:16]) == (0x12_3456_789A * 512, 512)
    assert host.registers()[1:5] == [0x00, 0x9C, 0x78, 0x56]
    host.outb(CONTROL, 0x80)
    assert host.registers()[1:5] == [0x01, 0x34, 0x12, 0x00]
    host.outb(CONTROL, 0x80)
    disk.abort()
    host.outb(COUNT, 1)  # any write clears HOB
    assert host.registers()[2] == 0x9C


def test_chs_counts_sectors_from_one(host):
    host.command(READ, device=0x03, lba=5 | 2 << 8, count=1)
    assert host.take(512) == sector((2 * 16 + 3) * 63 + 4)
    host.command(READ, device=0x0F, lba=63 | 2 << 8, count=1)
    assert host.registers()[2:] == [1, 3, 0, 0xA0]  # the next sector is on the next cylinder
    host.take(512)
    assert host.command(READ, device=0, lba=64, count=1) == 0x41
    assert host.inb(ERROR) == IDNF
    assert host.command(READ, device=0, lba=0, count=1) == 0x41


def test_initialize_device_parameters_changes_the_translation(host):
    assert host.command(0x91, device=0x03, count=10) == READY
    host.command(READ, device=0x01, lba=2 | 1 << 8, count=1)
    assert host.take(512) == sector((4 + 1) * 10 + 1)
    identity = words(host)
    assert identity[54:57] == (3 * 16 * 63 // 40, 4, 10)
    assert identity[1] == 3 and identity[57] | identity[58] << 16 == identity[54] * 40
    assert host.command(0x91, device=0x03, count=0) == 0x41


def test_data_port_widths(host):
    host.command(READ, lba=0x0345, count=1)
    assert host.ports.read(DATA, 4) == 0x345
    assert host.ports.read(DATA, 2) == 0x345
    assert host.inb(DATA) == 0  # a byte access moves a word all the same
    assert host.ports.read(DATA, 4) == 0x345
    host.command(WRITE, count=1)
    assert host.ports.read(DATA, 2) != 0  # the command was ignored: DRQ is set
    host.take(512 - 14)
    assert host.inb(STATUS) == READY
    assert host.ports.read(DATA, 4) == 0


def test_block_transfers_end_with_the_data_block(host):
    data = host.channel.data
    assert (data.read_block(512), data.write_block(b"12")) == (b"", 0)
    host.command(READ, lba=5, count=2)
    assert data.write_block(b"12") == 0
    assert data.read_block(100) == sector(5)[:100]
    assert data.read_block(10_000) == sector(5)[100:]
    assert host.inb(STATUS) & DRQ
    assert data.read_block(512) == sector(6)
    assert data.read_block(512) == b""
    host.command(WRITE, lba=5, count=1)
    assert data.read_block(512) == b""
    assert data.write_block(b"a" * 500) == 500
    assert data.write_block(b"b" * 500) == 12
    assert host.backend.data[5 * 512:6 * 512] == b"a" * 500 + b"b" * 12


def test_registers_cannot_be_written_while_data_is_pending(host):
    host.command(READ, lba=5, count=1)
    host.outb(LOW, 99)
    host.outb(DEVICE, 0xB0)
    assert host.lba() == 6 and host.inb(STATUS) == READY | DRQ


# Errors

@pytest.mark.parametrize("code", [READ, READ_MULTIPLE, WRITE, WRITE_MULTIPLE, 0x40, 0x70, 0xC8])
def test_no_such_sector_is_idnf(host, code):
    assert host.command(code, lba=SECTORS, count=1) == 0x41
    assert host.irq.level and host.inb(ERROR) == IDNF
    assert host.lba() == SECTORS
    assert host.command48(READ_EXT, 1 << 47, 1) == 0x41


def test_reading_across_the_end_fails_at_the_end(host):
    host.command(READ, lba=SECTORS - 1, count=2)
    assert host.take(512) == sector(SECTORS - 1)
    assert host.inb(STATUS) == 0x41 and host.inb(ERROR) == IDNF


def test_a_bad_sector_is_unc_at_its_address(host):
    host.backend.bad.add(21)
    host.command(READ, lba=20, count=3)
    host.take(512)
    assert host.irq.level
    assert host.inb(STATUS) == 0x41
    assert (host.inb(ERROR), host.lba(), host.inb(COUNT)) == (UNC, 21, 2)
    assert host.command(READ, lba=20, count=1) == READY | DRQ


def test_a_failed_write_and_a_failed_flush_are_aborted(host):
    host.backend.bad.add(21)
    host.backend.full = True
    host.command(WRITE, lba=21, count=2)
    host.give(bytes(512))
    assert (host.inb(STATUS), host.inb(ERROR), host.lba()) == (0x41, ABRT, 21)
    assert host.command(FLUSH) == 0x41
    assert host.inb(ERROR) == ABRT


@pytest.mark.parametrize("code", [0x00, 0x08, 0x81, 0xA0, 0xA1, 0xB0, 0xC0, 0xFF])
def test_commands_of_others_are_aborted(host, code):
    assert host.command(code) == 0x41
    assert host.irq.level and host.inb(ERROR) == ABRT


# Identity, features, power

def test_identify(host):
    identity = words(host)
    text = b"".join(struct.pack(">H", word) for word in identity)
    assert text[20:40].decode() == "QM00001".ljust(20)
    assert text[46:54].decode() == "2.5+    "
    assert text[54:94].decode() == "PYEMU HARDDISK".ljust(40)
    assert identity[60] | identity[61] << 16 == identity[100] | identity[101] << 16 == SECTORS
    assert (identity[1], identity[3], identity[6]) == (3, 16, 63)
    assert identity[83] & 0xC000 == identity[84] & 0xC000 == identity[87] & 0xC000 == 0x4000
    assert identity[83] & 0x3400 == identity[86] == 0x3400  # LBA48, FLUSH CACHE, its EXT
    assert (identity[62], identity[63], identity[64], identity[88]) == (7, 7, 3, 0x203F)


def test_identify_of_a_large_disk_saturates_the_old_words(clock):
    host = Host(clock, 8)
    host.disks[0].total = 1 << 33
    identity = words(host)
    assert identity[60] | identity[61] << 16 == (1 << 28) - 1
    assert identity[100:104] == (0, 0, 2, 0)


@pytest.mark.parametrize("mode, selected", [
    (0x00, (7, 7, 0x3F)), (0x01, (7, 7, 0x3F)), (0x0C, (7, 7, 0x3F)), (0x12, (0x407, 7, 0x3F)),
    (0x22, (7, 0x407, 0x3F)), (0x45, (7, 7, 0x203F)), (0x40, (7, 7, 0x013F)),
    (0x46, None), (0x23, None), (0x0D, None), (0x02, None), (0xFF, None)])
def test_set_transfer_mode(host, mode, selected):
    host.command(SET_FEATURES, features=3, count=0x21)
    assert host.command(SET_FEATURES, features=3, count=mode) == (READY if selected else 0x41)
    identity = words(host)
    assert (identity[62], identity[63], identity[88]) == (selected or (7, 0x207, 0x3F))


def test_without_write_cache_each_write_is_flushed(host):
    assert host.command(SET_FEATURES, features=0x82) == READY
    host.command(WRITE, lba=1, count=1)
    host.give(bytes(512))
    assert host.backend.log == [("flush",), ("write", 1, 1), ("flush",)]
    assert not words(host)[85] & 0x20
    host.command(SET_FEATURES, features=0x02)
    assert words(host)[85] & 0x20
    assert host.command(SET_FEATURES, features=0x99) == 0x41


def test_flush_reaches_the_image(host):
    for code in FLUSH, 0xEA:
        assert host.command(code) == READY
    assert host.backend.log == [("flush",)] * 2


@pytest.mark.parametrize("code, mode", [(0xE0, 0), (0xE2, 0), (0xE1, 0x80), (0xE3, 0x80)])
def test_power_modes(host, code, mode):
    assert host.command(0xE5) == READY and host.inb(COUNT) == 0xFF
    host.command(code)
    host.command(0xE5)
    assert host.inb(COUNT) == mode
    host.command(READ, count=1)
    host.take(512)
    host.command(0xE5)
    assert host.inb(COUNT) == 0xFF


def test_native_max_address(host):
    host.command(0xF8)
    assert host.lba() == SECTORS - 1
    host.disks[0].total = 1 << 40
    host.command(0x27)
    host.outb(CONTROL, 0x80)
    assert [host.inb(port) for port in (LOW, MID, HIGH)] == [0xFF, 0xFF, 0]
    host.command(0xF8)
    assert host.lba() == (1 << 28) - 1


def test_commands_without_data(host):
    for code in 0x10, 0x1F, 0x40, 0x70:
        assert host.command(code, lba=3, count=1) == READY
        assert host.irq.level
        assert host.inb(STATUS) == READY
    assert host.command48(0x42, 3, 300) == READY


def test_state_survives_in_the_middle_of_a_block(clock, host):
    host.command(WRITE, lba=2, count=2)
    host.give(b"x" * 300)
    saved = host.channel.save(), host.disks[0].save()
    other = Host(clock, SECTORS)
    other.disks[0].load(saved[1])
    other.channel.load(saved[0])
    other.give(b"y" * 724)
    assert other.backend.data[1024:2048] == b"x" * 300 + b"y" * 724
    assert other.irq.level


def test_no_write_of_any_value_raises(clock):
    import random
    dice = random.Random(5)
    host = Host(clock, 100, 50)
    for _ in range(20_000):
        port = dice.choice((DATA, FEATURES, COUNT, LOW, MID, HIGH, DEVICE, COMMAND, COMMAND,
                            CONTROL, 0xC000, 0xC002, 0xC004, 0xC006))
        size = dice.choice((1, 2, 4)) if port == DATA or port >= 0xC000 else 1
        value = dice.getrandbits(8 * size)
        if dice.random() < 0.5:
            host.ports.write(port, size, value)
        else:
            assert 0 <= host.ports.read(port, size) < 1 << 8 * size
        if dice.random() < 0.1:
            clock.advance(us=1)
        if dice.random() < 0.1:
            host.channel.data.read_block(dice.randrange(10_000))
    assert host.backend.log
    assert ERR


def test_what_the_host_could_not_write_waits_for_the_machine_to_go_on(host):
    """werror=stop: the command stays busy, and is done again when the user has made room."""
    held = []
    host.images[0].werror, host.images[0].stop = "stop", held.append
    host.backend.bad.add(5)
    host.command(WRITE, lba=5, count=1)
    host.give(b"w" * 512)
    assert host.inb(STATUS) & BSY and len(held) == 1
    host.backend.bad.clear()
    held.pop()()
    assert host.inb(STATUS) == READY
    assert host.backend.read(5 * 512, 4) == b"wwww"


def test_a_reset_gives_up_what_was_held_back(host):
    held = []
    host.images[0].rerror, host.images[0].stop = "stop", held.append
    host.backend.bad.add(5)
    host.command(READ, lba=5, count=1)
    host.outb(CONTROL, 4)
    host.outb(CONTROL, 0)
    host.backend.bad.clear()
    host.backend.log.clear()
    held.pop()()
    assert host.backend.log == []
