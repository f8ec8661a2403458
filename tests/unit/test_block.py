"""Images without qemu-img: raw files, the snapshot overlay, probing, and what is refused."""
import errno
import os

import pytest
from pyemu.machine.block.base import BlockDevice, BlockError
from pyemu.machine.block.open import backing_path, open_image
from pyemu.machine.block.overlay import CLUSTER, Overlay
from pyemu.machine.block.probe import probe
from pyemu.machine.block.qcow2_create import Options, create
from pyemu.machine.block.raw import RawFile


class Reports(list):
    def __call__(self, text):
        self.append(text)


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(range(256)) * 1024)
    return path


def test_raw_reads_and_writes_the_bytes_of_the_file(raw):
    disk = open_image(str(raw), "raw")
    assert (disk.size, disk.read_only, disk.format) == (256 << 10, False, "raw")
    assert disk.read(255, 3) == b"\xff\0\1"
    disk.write(1024, b"x" * 512)
    disk.flush()
    disk.close()
    assert raw.read_bytes()[1023:1537] == b"\xff" + b"x" * 512 + b"\0"


def test_a_last_part_of_a_sector_reads_padded_and_can_be_written(tmp_path):
    path = tmp_path / "odd.img"
    path.write_bytes(b"a" * 1000)
    disk = open_image(str(path), "raw")
    assert disk.size == 1024
    assert disk.read(512, 512) == b"a" * 488 + bytes(24)
    disk.write(512, b"b" * 512)
    assert path.read_bytes() == b"a" * 512 + b"b" * 512


def test_holes_read_as_zeros_and_stay_holes(tmp_path):
    path = tmp_path / "sparse.img"
    path.touch()
    os.truncate(path, 1 << 30)
    disk = open_image(str(path), "raw", snapshot=True)
    assert disk.read(1 << 29, 8192) == bytes(8192)
    assert path.stat().st_blocks == 0


@pytest.mark.parametrize("offset, length", [(256 << 10, 1), (-1, 1), ((256 << 10) - 1, 2)])
def test_requests_beyond_the_end_are_errors(raw, offset, length):
    reports = Reports()
    disk = open_image(str(raw), "raw", report=reports)
    with pytest.raises(OSError):
        disk.read(offset, length)
    with pytest.raises(OSError):
        disk.write(offset, bytes(length))
    assert len(reports) == 2
    assert raw.stat().st_size == 256 << 10


def test_read_only_refuses_writes_and_tells_once(raw):
    reports = Reports()
    disk = open_image(str(raw), "raw", read_only=True, report=reports)
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            disk.write(0, bytes(512))
        assert caught.value.errno == errno.EROFS
    assert reports == [f"Could not write '{raw}': Read-only file system"]


def test_read_only_image_serves_a_snapshot(raw):
    raw.chmod(0o444)
    disk = open_image(str(raw), "raw", snapshot=True)
    disk.write(0, b"new!" * 128)
    assert disk.read(0, 4) == b"new!"


def test_probing_raw_warns_as_qemu_does_and_guards_the_first_sector(raw):
    reports = Reports()
    disk = open_image(str(raw), report=reports)
    assert reports == [
        f"WARNING: Image format was not specified for '{raw}' and probing guessed raw.\n"
        "         Automatically detecting the format is dangerous for raw images, write operations"
        " on block 0 will be restricted.\n"
        "         Specify the 'raw' format explicitly to remove the restrictions."]
    disk.write(0, b"MBR" + bytes(509))
    disk.write(512, b"QFI\xfb\0\0\0\3" + bytes(504))
    with pytest.raises(OSError) as caught:
        disk.write(0, b"QFI\xfb\0\0\0\3" + bytes(1016))
    assert caught.value.errno == errno.EPERM
    assert disk.read(0, 3) == b"MBR"


@pytest.mark.parametrize("head, format", [
    (b"QFI\xfb\0\0\0\3", "qcow2"), (b"QFI\xfb\0\0\0\1", "qcow"), (b"KDMV", "vmdk"),
    (bytes(64) + b"\x7f\x10\xda\xbe", "vdi"), (b"", "raw"), (b"QFI", "raw")])
def test_probe(head, format):
    assert probe(head) == format


def test_refusals_are_one_clear_line(tmp_path):
    (tmp_path / "empty.img").touch()
    (tmp_path / "disk.vmdk").write_bytes(b"KDMV".ljust(512, b"\0"))
    (tmp_path / "secret").write_bytes(bytes(512))
    os.mkfifo(tmp_path / "fifo")
    for name, format, text in [
            ("nosuch.img", None, "Could not open '{}': No such file or directory"),
            ("", None, "Could not open '{}': Is a directory"),
            ("empty.img", None, "Could not open '{}': the image is empty"),
            ("empty.img", "raw", "Could not open '{}': the image is empty"),
            ("empty.img", "qcow2", "Image is not in qcow2 format"),
            ("fifo", None, "Could not open '{}': neither a regular file nor a block device"),
            ("disk.vmdk", None, "Could not open '{}': vmdk images are not supported"),
            ("secret", "foo", "Unknown driver 'foo'"),
            ("a\0b", None, "Could not open '{}': embedded null byte")]:
        path = str(tmp_path / name) if name else str(tmp_path)
        reports = Reports()
        with pytest.raises(BlockError) as caught:
            open_image(path, format, read_only=True, report=reports)
        assert (str(caught.value), reports) == (text.format(path), [])


def test_failed_opens_leave_no_files_open(tmp_path):
    (tmp_path / "empty.img").touch()
    before = os.listdir("/proc/self/fd")
    for name in "", "empty.img", "nosuch":
        with pytest.raises(BlockError):
            open_image(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("name, path", [
    ("base.img", "/images/base.img"), ("sub/base.img", "/images/sub/base.img"),
    ("/else/base.img", "/else/base.img"), ("file:base.img", "/images/base.img"),
    ("./a:b", "/images/./a:b")])
def test_backing_names_are_relative_to_the_folder_of_the_image(name, path):
    assert backing_path("/images/top.qcow2", name) == path


@pytest.mark.parametrize("name", [
    "nbd://host/disk", "nbd:unix:/socket", 'json:{"driver":"file","filename":"/etc/passwd"}',
    "fd:3", "http://host/disk"])
def test_backing_names_of_other_protocols_are_refused(name):
    with pytest.raises(BlockError, match="only files"):
        backing_path("top.qcow2", name)


@pytest.mark.parametrize("name, reason", [
    ("fifo", "neither a regular file nor a block device"),
    ("/dev/zero", "neither a regular file nor a block device"),
    (".", "Is a directory"), ("top.qcow2", "it is its own backing file"),
    ("/proc/self/mem", "Invalid argument"), ("nosuch", "No such file or directory")])
def test_what_is_no_backing_file_is_neither_waited_for_nor_read(tmp_path, name, reason):
    os.mkfifo(tmp_path / "fifo")
    path = tmp_path / "top.qcow2"
    path.touch()
    file = RawFile.open(str(path))
    create(file, 1 << 20, Options(backing_file=name))
    file.close()
    with pytest.raises(BlockError, match=f"Could not open backing file '{name}': .*: {reason}$"):
        open_image(str(path), "qcow2")


class Memory(BlockDevice):
    def __init__(self, data):
        self.data, self.size, self.read_only = data, len(data), True

    def read(self, offset, length):
        assert 0 <= offset <= offset + length <= self.size
        return bytes(self.data[offset:offset + length])

    def write(self, offset, data):
        raise AssertionError("the base of a snapshot is never written")


def test_overlay_equals_a_copy_and_leaves_the_base(tmp_path):
    import random
    dice = random.Random(1)
    original = dice.randbytes(10 * CLUSTER + 1536)
    disk, copy = Overlay(Memory(original), str(tmp_path)), bytearray(original)
    for _ in range(200):
        offset = dice.randrange(len(copy))
        length = min(len(copy) - offset, dice.choice((1, 512, 4096, CLUSTER, 3 * CLUSTER)))
        if dice.random() < 0.4:
            data = dice.randbytes(length)
            disk.write(offset, data)
            copy[offset:offset + length] = data
        else:
            assert disk.read(offset, length) == copy[offset:offset + length]
    assert disk.read(0, disk.size) == copy
    assert os.listdir(tmp_path) == []


def test_overlay_takes_only_the_room_of_what_is_written(tmp_path):
    disk = Overlay(RawFile(os.memfd_create("empty")), str(tmp_path))
    disk.backing.size = disk.size = 1 << 50
    disk.write(1 << 49, bytes(512))
    assert disk.file.length <= CLUSTER
    assert disk.read((1 << 49) - 512, 1024) == bytes(1024)


def test_overlay_without_a_place_for_its_file_says_so(tmp_path):
    with pytest.raises(BlockError, match="Could not create a temporary file in '/nonexistent'"):
        Overlay(Memory(bytes(512)), "/nonexistent")


def test_commit_brings_a_snapshot_into_its_image(raw):
    before = raw.read_bytes()
    disk = open_image(str(raw), "raw", snapshot=True)
    disk.write(CLUSTER - 100, b"c" * 200)
    assert raw.read_bytes() == before
    disk.commit()
    expected = before[:CLUSTER - 100] + b"c" * 200 + before[CLUSTER + 100:]
    assert raw.read_bytes() == expected
    assert disk.read(0, disk.size) == expected
    disk.write(0, b"later")
    assert raw.read_bytes() == expected


def test_only_what_has_a_backing_file_can_be_committed(raw):
    with pytest.raises(BlockError, match="Operation not supported"):
        open_image(str(raw), "raw", read_only=True).commit()
    disk = open_image(str(raw), "raw", read_only=True, snapshot=True)
    with pytest.raises(BlockError, match="Operation not supported"):
        disk.commit()


def test_an_image_has_one_writer(raw):
    disk = open_image(str(raw), "raw")
    for read_only, what in (False, '"write"'), (True, 'shared "write"'):
        with pytest.raises(BlockError) as caught:
            open_image(str(raw), "raw", read_only)
        assert str(caught.value) == (f"Failed to get {what} lock\n"
                                     f"Is another process using the image [{raw}]?")
    disk.close()
    readers = [open_image(str(raw), "raw", read_only=True) for _ in range(2)]
    assert readers[0].read(0, 3) == readers[1].read(0, 3)


def test_zeros_make_holes(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(b"x" * (1 << 20))
    disk = open_image(str(path), "raw", discard=True)
    disk.write_zeroes(1000, 500_000)
    disk.flush()
    assert path.read_bytes() == b"x" * 1000 + bytes(500_000) + b"x" * ((1 << 20) - 501_000)
    assert path.stat().st_blocks * 512 < 700_000
    disk.discard(700_000, 300_000)
    assert path.stat().st_blocks * 512 < 400_000
    disk = disk.close() or open_image(str(path), "raw")
    disk.discard(0, 1000)
    assert path.read_bytes()[:1000] == b"x" * 1000


def test_a_failed_flush_stays_failed(raw, monkeypatch):
    """The host forgets what it could not write: a later flush has nothing to say about it."""
    disk = open_image(str(raw), "raw", report=Reports())
    real = os.fdatasync

    def fail(fd):
        raise OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError):
        disk.flush()
    monkeypatch.setattr(os, "fdatasync", real)
    with pytest.raises(OSError, match="Input/output"):
        disk.flush()
