"""`pyemu-img convert` in parts: how often it waits for the disk, what it leaves out."""
import os

import pytest
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
