"""After a power cut at any moment an image has what was flushed, and at worst leaked clusters.

All writes, holes and flushes of the file are recorded, then replayed up to a random moment. Of what
was written after the last flush each sector of each write may be there or not; that is all that a
disk can make of it by dropping writes and by doing them in another order. `--sequences 2000` for
3000 cuts.
"""
import random
import shutil
import subprocess

import pytest
from interop.qcow2_model import Work, ignore, perform, qemu_img
from pyemu.machine.block import open as opening
from pyemu.machine.block.open import open_image
from pyemu.machine.block.raw import RawFile

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")
SECTOR = 512
LEAKS = 3  # exit status of qemu-img check
CUTS = 6  # for each sequence


class Recorder(RawFile):
    log = []

    def write(self, offset, data):
        if not self.read_only:
            self.log.append((offset, bytes(data)))
        super().write(offset, data)

    def discard(self, offset, length):
        self.log.append((offset, bytes(max(0, min(length, self.length - offset)))))
        super().discard(offset, length)

    def resize(self, size):
        self.log.append((size, b""))
        super().resize(size)

    def flush(self):
        super().flush()
        self.log.append("flush")


def apply(image, offset, data):
    image.extend(bytes(max(0, offset + len(data) - len(image))))
    image[offset:offset + len(data)] = data


def sectors(offset, data):
    """The parts of a write that a disk does as a whole."""
    while data:
        count = SECTOR - offset % SECTOR
        yield offset, data[:count]
        offset, data = offset + count, data[count:]


def after_cut(before, log, dice):
    """The file as a power cut in the middle of `log` may leave it."""
    image = bytearray(before)
    flushes = [number for number, item in enumerate(log) if item == "flush"]
    safe = flushes[-1] if flushes else 0
    for item in log[:safe]:
        if item != "flush":
            apply(image, *item)
    kept = dice.choice((0, 0.1, 0.5, 0.9, 1))
    for item in log[safe:]:
        if item != "flush":
            for offset, data in sectors(*item):
                if dice.random() < kept:
                    apply(image, offset, data)
    return image


class History:
    """What each sector of the disk may hold at each moment of the log."""

    def __init__(self, model):
        self.moments = [(0, bytes(model), frozenset())]
        self.unsafe = set()

    def changed(self, offset, length):
        self.unsafe |= set(range(offset // SECTOR, (offset + length - 1) // SECTOR + 1))

    def remember(self, moment, model, flushed):
        content = self.moments[-1][1]
        if flushed:
            self.unsafe = set()
            content = bytes(model)
        self.moments.append((moment, content, frozenset(self.unsafe)))

    def at(self, cut):
        """Flushed content, and the sectors that were written since, of a cut in the log."""
        before = [moment for moment in self.moments if moment[0] <= cut]
        after = next((moment for moment in self.moments if moment[0] > cut), None)
        # While an operation goes on, it may or may not have been done.
        return before[-1][1], before[-1][2] | (after[2] if after else frozenset())


def record(work, log):
    history = History(work.model)
    disk = open_image(str(work.path), "qcow2", report=ignore, discard=True)
    for operation in work.operations(work.dice.randrange(5, 40)):
        kind, offset, length, _ = operation
        if kind != "read" and length:
            history.changed(offset, length)
            history.remember(len(log), work.model, flushed=False)
        perform(disk, operation)
        if kind == "flush":
            history.unsafe.clear()
            history.remember(len(log), work.model, flushed=True)
    disk.close()
    return history


def test_power_cuts(tmp_path, sequences, monkeypatch):
    monkeypatch.setattr(opening, "RawFile", Recorder)
    leaks = 0
    for seed in range(max(30, sequences // 4)):
        work = Work(tmp_path, seed, lazy=False)
        work.ours(10)
        work.compressed()
        if work.refcount_bits > 1:
            qemu_img("snapshot", "-c", "earlier", "a.qcow2", cwd=tmp_path)
            work.ours(3)
        before = work.path.read_bytes()
        Recorder.log.clear()
        history = record(work, Recorder.log)
        log = list(Recorder.log)
        dice = random.Random(seed)
        for cut in sorted(dice.randrange(len(log) + 1) for _ in range(CUTS)):
            work.path.write_bytes(after_cut(before, log[:cut], dice))
            done = subprocess.run(["qemu-img", "check", work.path], capture_output=True, text=True)
            assert done.returncode in (0, LEAKS), (seed, cut, done.stdout + done.stderr)
            leaks += done.returncode == LEAKS
            content, unsafe = history.at(cut)
            disk = open_image(str(work.path), "qcow2", read_only=True, report=ignore)
            found = disk.read(0, disk.size)
            disk.close()
            for sector in range(work.size // SECTOR):
                at = slice(sector * SECTOR, (sector + 1) * SECTOR)
                if sector not in unsafe:
                    assert found[at] == content[at], (seed, cut, sector)
    assert leaks  # else no cut has come in the middle of anything
