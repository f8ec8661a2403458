"""Requests to an image: by a worker, in order, drained, retried, counted."""
import errno
import threading
import time

import pytest
from pyemu.machine.block.backend import TRUSTED, Backend
from pyemu.machine.block.base import SECTOR
from pyemu.machine.block.open import open_image
from pyemu.machine.block.raw import RawFile
from pyemu.machine.block.request import Discard, Flush, Read, Write, WriteZeroes

from .ide_host import MemoryDisk


class Owner:
    """A thread that is called back like the vCPU's: when the test says so."""

    def __init__(self):
        self.posted = []
        self.ends = []

    def run(self):
        while self.posted:
            self.posted.pop(0)()

    def wait(self, count):
        """Until so many requests have ended."""
        while len(self.ends) < count:
            self.run()
            time.sleep(0.001)

    def done(self, name):
        return lambda data, error: self.ends.append((name, data, error and error.errno,
                                                     threading.current_thread().name))


class SlowDisk(MemoryDisk):
    """Does nothing until `gate` opens."""

    def __init__(self, sectors):
        super().__init__(sectors)
        self.gate = threading.Event()

    def write(self, offset, data):
        assert self.gate.wait(10)
        super().write(offset, data)


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def slow(owner):
    image = Backend(SlowDisk(100), "slow", "raw", report=lambda text: None)
    image.use_worker(owner.posted.append)
    yield image
    image.node.gate.set()
    image.close()


def test_requests_are_done_in_order_and_end_on_the_owners_thread(slow, owner):
    slow.start(Write(0, b"a" * SECTOR, owner.done("first")))
    slow.start(Read(0, SECTOR, owner.done("read")))  # waits in line, or it would read zeros
    slow.start(Write(0, b"b" * SECTOR, owner.done("second"), through=True))
    slow.start(Flush(owner.done("flush")))
    owner.run()
    assert owner.ends == []
    slow.node.gate.set()
    owner.wait(4)
    assert owner.ends == [("first", b"", None, "MainThread"),
                          ("read", b"a" * SECTOR, None, "MainThread"),
                          ("second", b"", None, "MainThread"), ("flush", b"", None, "MainThread")]
    assert slow.node.log == [("write", 0, 1), ("read", 0, 1), ("write", 0, 1), ("flush",),
                             ("flush",)]


def test_draining_ends_everything_at_once(slow, owner):
    """Also what is begun by the end of something else."""
    slow.start(Write(0, b"a" * SECTOR, lambda data, error: slow.start(Flush(owner.done("flush")))))
    slow.start(Write(SECTOR, b"b" * SECTOR, owner.done("write")))
    threading.Timer(0.02, slow.node.gate.set).start()
    slow.drain()
    assert [end[0] for end in owner.ends] == ["write", "flush"]
    owner.run()
    assert len(owner.ends) == 2


def test_closing_loses_nothing_and_tells_nobody(owner, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(1 << 20))
    image = open_image(str(path), "raw")
    image.use_worker(owner.posted.append)
    for sector in range(500):
        image.start(Write(sector * SECTOR, sector.to_bytes(2, "big") * 256, owner.done(sector)))
    image.close()
    written = path.read_bytes()
    assert all(written[n * SECTOR:n * SECTOR + 2] == n.to_bytes(2, "big") for n in range(500))
    assert owner.ends == []


def test_what_is_cancelled_is_done_but_not_told(slow, owner):
    request = Write(0, b"a" * SECTOR, owner.done("write"))
    slow.start(request)
    request.cancel()
    slow.node.gate.set()
    slow.drain()
    assert owner.ends == [] and slow.read(0, 1) == b"a"


def test_an_error_that_is_none_of_the_hosts_ends_the_machine(slow, owner):
    def mistake(offset, data):
        raise ZeroDivisionError
    slow.node.write = mistake
    slow.start(Write(0, b"a" * SECTOR, owner.done("write")))
    with pytest.raises(ZeroDivisionError):
        slow.drain()


@pytest.fixture
def raw(tmp_path, owner):
    path = tmp_path / "a.raw"
    path.write_bytes(b"data" * 1024)
    image = open_image(str(path), "raw", discard=True)
    image.use_worker(owner.posted.append)
    yield image
    image.close()


def test_what_the_host_has_in_memory_is_read_at_once(raw, owner, monkeypatch):
    def cached(file, buffers, offset, flags):
        buffers[0][:] = b"now!" * (len(buffers[0]) // 4)
        return len(buffers[0])
    monkeypatch.setattr("os.preadv", cached)
    raw.start(Read(0, SECTOR, owner.done("read")))
    assert owner.ends == [("read", b"now!" * 128, None, "MainThread")]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_what_it_has_not_or_cannot_say_is_waited_for(raw, owner, monkeypatch, number):
    _not_in_memory(monkeypatch, number)
    raw.start(Read(0, SECTOR, owner.done("read")))
    assert owner.ends == []
    owner.wait(1)
    assert owner.ends == [("read", b"data" * 128, None, "MainThread")]
    assert RawFile.patient and raw.node.patient


@pytest.mark.parametrize("werror, number, stops, ends", [
    ("enospc", errno.ENOSPC, True, None), ("enospc", errno.EIO, False, errno.EIO),
    ("stop", errno.EIO, True, None), ("report", errno.ENOSPC, False, errno.ENOSPC),
    ("ignore", errno.EIO, False, None)])
def test_what_a_failure_leads_to(owner, werror, number, stops, ends):
    disk, stopped, told = MemoryDisk(10), [], []
    image = Backend(disk, "disk", "raw", report=told.append)
    image.werror, image.stop = werror, stopped.append

    def fail(offset, data):
        raise OSError(number, "because")
    disk.write = fail
    request = Write(0, b"w" * SECTOR, owner.done("write"))
    image.start(request)
    assert told == ["Could not write 'disk': because"]
    assert len(stopped) == stops
    if stops:
        assert owner.ends == []
        del disk.write
        stopped.pop()()
        assert disk.data[:4] == b"wwww"
    assert owner.ends == [("write", b"", ends, "MainThread")]


def test_an_ignored_failure_reads_zeros(owner):
    disk = MemoryDisk(10)
    image = Backend(disk, "disk", "raw", report=lambda text: None)
    image.rerror = "ignore"
    disk.bad.add(1)
    image.start(Read(SECTOR, SECTOR, owner.done("read")))
    assert owner.ends == [("read", bytes(SECTOR), None, "MainThread")]


def test_requests_are_counted(raw, owner):
    raw.start(Read(0, 2 * SECTOR, owner.done("read")))
    raw.start(Write(SECTOR, bytes(SECTOR), owner.done("write")))
    raw.start(WriteZeroes(0, SECTOR, owner.done("zeroes")))
    raw.start(Discard(0, SECTOR, owner.done("discard")))
    raw.start(Flush(owner.done("flush")))
    raw.start(Read(1 << 40, SECTOR, owner.done("beyond")))
    raw.drain()
    raw.invalid("rd")
    counts = raw.statistics.counts
    assert [(count.operations, count.bytes, count.failed, count.invalid)
            for count in counts.values()] == [
        (1, 1024, 1, 1), (2, 1024, 0, 0), (1, 0, 0, 0), (1, 512, 0, 0)]
    assert all(count.total_ns > 0 for count in counts.values())
    assert raw.statistics.highest == 2 * SECTOR
    assert owner.ends[-1][:3] == ("beyond", b"", errno.EIO)


def test_a_write_is_done_at_once_while_the_host_is_quick(slow, owner):
    slow.node.gate.set()
    for _ in range(TRUSTED):
        slow.start(Write(0, b"a" * SECTOR, owner.done("write")))
        slow.drain()
    owner.ends.clear()
    slow.start(Write(0, b"b" * SECTOR, owner.done("at once")))
    assert [end[0] for end in owner.ends] == ["at once"]
    slow.start(Write(0, b"b" * SECTOR, owner.done("through"), through=True))
    assert len(owner.ends) == 1
    slow.drain()

    slow.node.gate.clear()
    threading.Timer(0.02, slow.node.gate.set).start()
    slow.start(Write(0, b"c" * SECTOR, owner.done("slow")))
    assert owner.ends.pop()[0] == "slow"
    owner.ends.clear()
    slow.start(Write(0, b"d" * SECTOR, owner.done("not trusted again")))
    assert owner.ends == []


def test_a_write_that_would_have_to_read_first_is_done_again_by_the_worker(
        tmp_path, owner, monkeypatch):
    """A small piece of a cluster: what is around it comes from the backing file."""
    path = tmp_path / "base.raw"
    path.write_bytes(b"base" * 1024)
    told = []
    image = open_image(str(path), "raw", snapshot=True, report=told.append)
    image.use_worker(owner.posted.append)
    for _ in range(TRUSTED):
        image.start(Write(2048, b"w" * SECTOR, lambda data, error: None))
        image.drain()
    image.node.empty()
    _not_in_memory(monkeypatch, errno.EAGAIN)
    image.start(Write(SECTOR, b"w" * SECTOR, owner.done("write")))
    assert owner.ends == []
    image.drain()
    assert [end[:3] for end in owner.ends] == [("write", b"", None)]
    assert image.read(0, 3 * SECTOR) == b"base" * 128 + b"w" * SECTOR + b"base" * 128
    assert told == []
    image.close()


def _not_in_memory(monkeypatch, number):
    def missing(file, buffers, offset, flags=0):
        raise OSError(number, "not now")
    monkeypatch.setattr("os.preadv", missing)
