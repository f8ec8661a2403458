"""`pyemu-img convert` in parts: how often it waits for the disk, what it leaves out."""
import os

import pytest
from pyemu.config import UserError
from pyemu.img.convert import SPARSE, Copy, convert
from pyemu.img.progress import Progress
from pyemu.machine.block.raw import RawFile

MIB = 1 << 20


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"\1" * 3 * MIB + bytes(MIB))
    return path


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_cache_modes(source, monkeypatch, format):
    """writethrough waits for each megabyte, writeback once for all, unsafe never."""
    waits = {}
    for mode in "unsafe", "writeback", "writethrough":
        calls = []
        monkeypatch.setattr(os, "fdatasync", calls.append)
        convert(["-q", "-t", mode, "-f", "raw", "-O", format, str(source), f"{source}.{mode}"])
        waits[mode] = len(calls)
    made = waits["unsafe"]  # only when a qcow2 image was made
    assert made == (format == "qcow2")
    assert made < waits["writeback"]
    assert waits["writethrough"] >= waits["writeback"] + 2


@pytest.mark.parametrize("data, runs", [
    (b"", []), (bytes(SPARSE), []), (b"\1" * SPARSE, [(0, SPARSE)]),
    (bytes(SPARSE) + b"\1", [(SPARSE, SPARSE + 1)]),
    (bytes(SPARSE) + b"\1" + bytes(2 * SPARSE), [(SPARSE, 2 * SPARSE)]),
    (b"\1" + bytes(2 * SPARSE), [(0, SPARSE)]),
    (b"\1" * (SPARSE + 1) + bytes(SPARSE - 1) + bytes(5), [(0, 2 * SPARSE)]),
])
def test_zeros_are_left_out(source, data, runs):
    file = RawFile.open(str(source))
    assert list(Copy(file, file, SPARSE, True, Progress(False, True))._filled(data)) == runs
    file.close()


def test_what_cannot_be_read(source, monkeypatch, capsys):
    def read(file, offset, length):
        if offset <= MIB + 512 < offset + length and "source" in file.path:
            raise OSError(5, "Input/output error")
        return whole(file, offset, length)
    whole = RawFile.read
    monkeypatch.setattr(RawFile, "read", read)
    words = ["-f", "raw", str(source), f"{source.parent}/copy"]
    with pytest.raises(UserError, match=r"^error while reading at byte 1048576: Input/output"):
        convert(words)
    convert(["--salvage", *words])
    assert capsys.readouterr().err == (
        "pyemu-img: warning: error while reading offset 1049088: Input/output error\n")
    copy = (source.parent / "copy").read_bytes()
    assert copy == b"\1" * (MIB + 512) + bytes(512) + b"\1" * (2 * MIB - 1024) + bytes(MIB)


def test_a_target_that_is_zero(source):
    copy = source.parent / "copy"
    copy.write_bytes(b"\2" * 4 * MIB)
    words = ["-f", "raw", "-O", "raw", str(source), str(copy)]
    with pytest.raises(UserError, match=r"^--target-is-zero requires use of -n flag$"):
        convert(["--target-is-zero", *words])
    convert(["-n", "--target-is-zero", *words])
    assert copy.read_bytes() == b"\1" * 3 * MIB + b"\2" * MIB
    convert(["-n", *words])
    assert copy.read_bytes() == source.read_bytes()
