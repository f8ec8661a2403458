"""Writes that fail, for want of room or for good: nothing else of the image is lost by them.

Any write of the file may do a part of its work and then fail. The disk goes on being used; what did
not fail must be there, and `qemu-img check` may find leaks at most. `--sequences 5000` for 2500.
"""
import errno
import os
import random
import shutil
import subprocess

import pytest
from interop.qcow2_model import Work, ignore, perform
from pyemu.machine.block import open as opening
from pyemu.machine.block.open import open_image
from pyemu.machine.block.raw import RawFile

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")
SECTOR = 512
LEAKS = 3  # exit status of qemu-img check


class Failing(RawFile):
    """A file of which each write fails with some probability, those that make it longer or all."""

    dice = random.Random()
    probability = 0.0
    full = False  # it is for want of room
    failures = 0
    torn = False  # what is now to be written is the rest of something

    def _write(self, offset, data):
        needs_room = offset + len(data) > os.fstat(self.fd).st_size
        lucky = self.dice.random() >= self.probability or (self.full and not needs_room)
        if lucky and not self.torn:
            return super()._write(offset, data)
        Failing.failures += 1
        part = self.dice.randrange(len(data)) // SECTOR * SECTOR
        if part and not self.torn:
            self.torn = True
            return super()._write(offset, data[:part])
        self.torn = False
        number = errno.ENOSPC if self.full else errno.EIO
        raise OSError(number, os.strerror(number))


def work_with_failures(work):
    """Sectors of the disk of which nobody can say what is in them."""
    unknown = set()
    disk = open_image(str(work.path), "qcow2", report=ignore, discard=True)
    Failing.full = work.dice.random() < 0.5
    Failing.probability = work.dice.choice((0.02, 0.1, 0.4))
    for operation in work.operations(work.dice.randrange(10, 80)):
        kind, offset, length, _ = operation
        touched = set(range(offset // SECTOR, -(-(offset + length) // SECTOR)))
        try:
            perform(disk, operation)
        except OSError as error:
            assert error.errno == (errno.ENOSPC if Failing.full else errno.EIO), (operation, error)
            if kind not in ("flush", "read"):
                unknown |= touched
        else:
            if kind in ("write", "zero", "zero-keep"):
                unknown -= touched
    Failing.probability = 0
    found = disk.read(0, disk.size)
    compare(work, found, unknown)
    disk.close()
    return unknown


def compare(work, found, unknown):
    for sector in range(-(-work.size // SECTOR)):
        at = slice(sector * SECTOR, (sector + 1) * SECTOR)
        assert sector in unknown or found[at] == work.model[at], sector


def test_failing_writes(tmp_path, sequences, monkeypatch):
    monkeypatch.setattr(opening, "RawFile", Failing)
    Failing.failures = 0
    for seed in range(max(20, sequences // 2)):
        work = Work(tmp_path, seed)
        work.ours(10)
        Failing.dice = random.Random(seed)
        unknown = work_with_failures(work)
        done = subprocess.run(["qemu-img", "check", work.path], capture_output=True, text=True)
        assert done.returncode in (0, LEAKS), (seed, done.stdout + done.stderr)
        disk = open_image(str(work.path), "qcow2", read_only=True, report=ignore)
        compare(work, disk.read(0, disk.size), unknown)
        disk.close()
    assert Failing.failures
