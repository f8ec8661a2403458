"""virtio-blk through the ports of its BAR and a ring in memory: Virtual I/O Device 1.1."""
import gc
import struct
from types import SimpleNamespace

import pytest
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.request import Write
from pyemu.machine.virtio_blk import MOST_MOVING, VirtioBlk

from .ide_host import MemoryDisk
from .test_i8237 import Memory

FEATURES, GUEST_FEATURES, PAGE, SIZE, SELECT, NOTIFY, STATUS, ISR, CONFIG = (
    0x00, 0x04, 0x08, 0x0C, 0x0E, 0x10, 0x12, 0x13, 0x14)
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = range(3)
INDIRECT, EVENT_INDEX, READ_ONLY = 1 << 28, 1 << 29, 1 << 5
RING, BUFFERS = 0x10000, 0x20000
ENTRIES = 256
AVAILABLE, USED = RING + 16 * ENTRIES, RING + 0x2000
SECTORS = 1000
NEXT, TO_DRIVER, TABLE = 1, 2, 4


class Driver:
    """What a guest does with a device: one request after the other."""

    def __init__(self, features=0, read_only=False):
        self.disk = MemoryDisk(SECTORS)
        self.disk.read_only = read_only
        self.image = Backend(self.disk, "disk", "raw", report=lambda text: None)
        self.memory = Memory()
        self.device = VirtioBlk(self.memory, self.image, "serial")
        self.ports = self.device.windows[0].bar.device
        self.start(features)

    def start(self, features=0):
        self.ports.write(STATUS, 1, 0)
        self.ports.write(STATUS, 1, 3)
        self.ports.write(GUEST_FEATURES, 4, features)
        self.ports.write(SELECT, 2, 0)
        assert self.ports.read(SIZE, 2) == ENTRIES
        self.memory.write(RING, bytes(0x4000))
        self.ports.write(PAGE, 4, RING >> 12)
        self.ports.write(STATUS, 1, 7)
        self.made = self.seen = 0

    def word(self, address):
        return struct.unpack("<H", self.memory.read(address, 2))[0]

    def offer(self, *buffers, at=0, indirect=False):
        """Make a chain available: bytes for the device, or how many it is to fill."""
        table, place = RING + 16 * at, BUFFERS + 0x1000 * at
        if indirect:
            table = 0x18000
            self.memory.write(RING + 16 * at, struct.pack("<QIHH", table, 16 * len(buffers),
                                                          TABLE, 0))
        self.places = []
        for n, buffer in enumerate(buffers):
            length = buffer if isinstance(buffer, int) else len(buffer)
            if not isinstance(buffer, int):
                self.memory.write(place, buffer)
            flags = (NEXT if n < len(buffers) - 1 else 0) | (
                TO_DRIVER if isinstance(buffer, int) else 0)
            following = n + 1 if indirect else at + n + 1
            self.memory.write(table + 16 * n, struct.pack("<QIHH", place, length, flags, following))
            self.places.append((place, length))
            place += length + 16
        self.memory.write(AVAILABLE + 4 + 2 * (self.made % ENTRIES), struct.pack("<H", at))
        self.made += 1
        self.memory.write(AVAILABLE + 2, struct.pack("<H", self.made & 0xFFFF))

    def kick(self):
        self.ports.write(NOTIFY, 2, 0)

    def do(self, kind, sector=0, *buffers, **options):
        """A request; its status and what has come into the buffers."""
        self.offer(struct.pack("<IIQ", kind, 0, sector), *buffers, 1, **options)
        self.kick()
        assert self.word(USED + 2) == self.made & 0xFFFF
        data = [self.memory.read(*place) for place, buffer in
                zip(self.places[1:], buffers, strict=False) if isinstance(buffer, int)]
        return self.memory.read(*self.places[-1])[0], b"".join(data)


@pytest.fixture
def driver():
    return Driver()


def sectors(first, count):
    return b"".join(n.to_bytes(4, "little") * 128 for n in range(first, first + count))


def test_identity(driver):
    config = driver.device.config
    assert struct.unpack("<HH", config[:4]) == (0x1AF4, 0x1001)
    assert struct.unpack("<HH", config[0x2C:0x30]) == (0x1AF4, 2)
    assert config[0x3D] == 1
    assert not driver.ports.read(FEATURES, 4) & READ_ONLY
    assert Driver(read_only=True).ports.read(FEATURES, 4) & READ_ONLY


def test_config_space(driver):
    ports = driver.ports
    assert ports.read(CONFIG, 4) | ports.read(CONFIG + 4, 4) << 32 == SECTORS
    assert ports.read(CONFIG + 12, 4) == 254
    assert ports.read(CONFIG + 20, 4) == 512
    assert ports.read(CONFIG + 100, 4) == 0


def test_read(driver):
    status, data = driver.do(IN, 7, 1024, 512)
    assert (status, data) == (OK, sectors(7, 3))
    assert struct.unpack("<II", driver.memory.read(USED + 4, 8)) == (0, 1537)


def test_write_and_flush(driver):
    assert driver.do(OUT, 5, b"a" * 512, b"b" * 1024) == (OK, b"")
    assert driver.disk.data[5 * 512:8 * 512] == b"a" * 512 + b"b" * 1024
    assert driver.do(FLUSH) == (OK, b"")
    assert driver.disk.log[-1] == ("flush",)


def test_other_requests(driver):
    assert driver.do(GET_ID, 0, 20) == (OK, b"serial".ljust(20, b"\0"))
    zeros = struct.pack("<QII", 3, 2, 1)
    assert driver.do(WRITE_ZEROES, 0, zeros) == (OK, b"")
    assert driver.disk.data[3 * 512:6 * 512] == bytes(1024) + sectors(5, 1)
    assert driver.do(DISCARD, 0, struct.pack("<QII", 3, 2, 0))[0] == OK
    assert driver.do(DISCARD, 0, struct.pack("<QII", 3, 2, 1))[0] == UNSUPPORTED
    assert driver.do(WRITE_ZEROES, 0, struct.pack("<QII", SECTORS, 2, 0))[0] == IO_ERROR
    assert driver.do(99)[0] == UNSUPPORTED


@pytest.mark.parametrize(("sector", "length"), [
    (SECTORS, 512), (SECTORS - 1, 1024), (1 << 63, 512), (0, 100)])
def test_what_is_not_on_the_disk(driver, sector, length):
    assert driver.do(IN, sector, length)[0] == IO_ERROR
    assert driver.do(OUT, sector, bytes(length))[0] == IO_ERROR


def test_host_errors_and_write_protection(driver):
    driver.disk.bad.add(3)
    assert driver.do(IN, 3, 512)[0] == IO_ERROR
    assert driver.do(IN, 4, 512)[0] == OK
    protected = Driver(read_only=True)
    assert protected.do(OUT, 0, bytes(512))[0] == IO_ERROR
    assert protected.do(IN, 0, 512)[0] == OK


def test_an_indirect_table(driver):
    assert driver.do(IN, 9, 512, 512, indirect=True) == (OK, sectors(9, 2))


def test_the_ring_goes_round(driver):
    for n in range(2 * ENTRIES + 3):
        assert driver.do(IN, n, 512, at=n % 100) == (OK, sectors(n, 1))


def test_interrupt(driver):
    driver.do(FLUSH)
    assert driver.device.intx.level
    assert driver.ports.read(ISR, 1) == 1
    assert not driver.device.intx.level and driver.ports.read(ISR, 1) == 0
    driver.memory.write(AVAILABLE, b"\1\0")  # not wanted
    driver.do(FLUSH)
    assert not driver.device.intx.level


def test_interrupt_by_index():
    driver = Driver(features=EVENT_INDEX)
    driver.memory.write(AVAILABLE + 4 + 2 * ENTRIES, struct.pack("<H", 1))
    driver.do(FLUSH)
    assert not driver.device.intx.level
    driver.do(FLUSH)  # used index 1 becomes 2: that was asked for
    assert driver.device.intx.level
    driver.ports.read(ISR, 1)
    driver.do(FLUSH)
    assert not driver.device.intx.level
    assert driver.word(USED + 4 + 8 * ENTRIES) == 3  # where we want to be notified


def test_several_requests_at_once_end_in_whatever_order(driver):
    held = []
    driver.image.rerror, driver.image.stop = "stop", held.append
    driver.disk.bad.add(0)
    driver.offer(struct.pack("<IIQ", IN, 0, 0), 512, 1)
    driver.offer(struct.pack("<IIQ", IN, 0, 1), 512, 1, at=8)
    driver.kick()
    assert driver.word(USED + 2) == 1
    driver.disk.bad.clear()
    held.pop()()
    assert struct.unpack("<IIII", driver.memory.read(USED + 4, 16)) == (8, 513, 0, 513)


def test_a_reset_forgets_what_is_going_on(driver):
    held = []
    driver.image.rerror, driver.image.stop = "stop", held.append
    driver.disk.bad.add(0)
    driver.offer(struct.pack("<IIQ", IN, 0, 0), 512, 1)
    driver.kick()
    driver.start()
    driver.disk.bad.clear()
    held.pop()()
    assert driver.word(USED + 2) == 0


@pytest.mark.parametrize("descriptor", [
    (BUFFERS, 16, NEXT, 0), (BUFFERS, 16, NEXT, 999), (1 << 63, 16, 0, 0),
    (BUFFERS, 0xFFFFFFFF, TO_DRIVER, 0), (BUFFERS, 15, TABLE, 0), (BUFFERS, 0, TABLE, 0),
    (BUFFERS, 16, TABLE | NEXT, 0), (BUFFERS, 8, 0, 0), (1 << 63, 32, TABLE, 0)])
def test_a_broken_chain_stops_the_device_until_it_is_reset(driver, descriptor):
    driver.offer(b"")
    driver.memory.write(RING, struct.pack("<QIHH", *descriptor))
    driver.kick()
    assert driver.ports.read(STATUS, 1) & 0x40
    assert driver.word(USED + 2) == 0
    driver.start()
    assert driver.do(IN, 0, 512) == (OK, sectors(0, 1))


def test_a_ring_that_is_too_full(driver):
    driver.memory.write(AVAILABLE + 2, struct.pack("<H", 5000))
    driver.kick()
    assert driver.ports.read(STATUS, 1) & 0x40


def test_no_queue_no_work(driver):
    driver.ports.write(PAGE, 4, 0)
    driver.kick()
    driver.ports.write(NOTIFY, 2, 7)
    driver.ports.write(SELECT, 2, 9)
    assert driver.ports.read(SIZE, 2) == driver.ports.read(PAGE, 4) == 0
    driver.ports.write(PAGE, 4, 5)
    assert not driver.ports.read(STATUS, 1) & 0x40


def test_state_is_saved_and_loaded(driver):
    driver.do(IN, 0, 512)
    state = driver.device.save()
    driver.device.reset()
    driver.device.load(state)
    assert driver.device.intx.level
    assert driver.do(IN, 1, 512, at=3) == (OK, sectors(1, 1))


def test_more_than_the_host_should_hold_waits_in_the_queue(driver):
    """Else a guest would have 256 requests of 32 MiB each copied at once."""
    started = []
    driver.device.image = SimpleNamespace(size=1 << 30, read_only=False, start=started.append)
    for _ in range(20):
        driver.offer(struct.pack("<IIQ", IN, 0, 0), MOST_MOVING // 8, 1)
    driver.kick()
    driver.kick()
    assert len(started) == 8
    for n in range(20):
        started[n].done(b"", None)
        assert driver.word(USED + 2) == n + 1 and len(started) == min(n + 9, 20)
    driver.kick()
    assert len(started) == 20


def test_data_of_requests_that_are_done_are_not_kept(driver):
    """Not even until Python looks for cycles of references."""
    gc.collect()
    gc.disable()
    try:
        assert driver.do(OUT, 5, b"a" * 512) == (OK, b"")
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Write)]
    finally:
        gc.enable()
