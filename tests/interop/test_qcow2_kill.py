"""A process killed at a random moment of its writing leaves all that was flushed, at most leaks.

`--sequences 2000` for 500 kills.
"""
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from interop.qcow2_model import Work, ignore, perform, qemu_img
from pyemu.machine.block.open import open_image

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")
SECTOR = 512
LEAKS = 3  # exit status of qemu-img check
OPERATIONS = 3000  # more than there is time for


def write_until_killed(work, pipe):
    """In the child: one byte into the pipe for each operation that is done."""
    disk = open_image(str(work.path), "qcow2", report=ignore, discard=True)
    for operation in work.operations(OPERATIONS):
        perform(disk, operation)
        os.write(pipe, b".")
    disk.flush()


def killed(work, seconds):
    """Let a child write for so long; return how many operations it had done."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            write_until_killed(work, writing)
        finally:
            os._exit(1)
    os.close(writing)
    os.read(reading, 1)  # it has begun
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = 1
    while data := os.read(reading, 65536):
        done += len(data)
    os.close(reading)
    return done


def test_kills(tmp_path, sequences):
    flushes = 0
    for seed in range(max(10, sequences // 4)):
        work = Work(tmp_path, seed, lazy=False)
        if work.refcount_bits > 1:
            qemu_img("snapshot", "-c", "earlier", "a.qcow2", cwd=tmp_path)
        done = killed(work, random.Random(seed).uniform(0, 0.1))
        checked = subprocess.run(["qemu-img", "check", work.path], capture_output=True, text=True)
        assert checked.returncode in (0, LEAKS), (seed, checked.stdout + checked.stderr)

        content, unsafe = bytes(work.model), set()
        for number, (kind, offset, length, _) in enumerate(work.operations(OPERATIONS)):
            if kind == "flush" and number < done:
                content, unsafe = bytes(work.model), set()
                flushes += 1
            elif kind not in ("read", "flush") and length and number <= done:
                unsafe |= set(range(offset // SECTOR, (offset + length - 1) // SECTOR + 1))
            if number > done:
                break
        disk = open_image(str(work.path), "qcow2", read_only=True, report=ignore)
        found = disk.read(0, disk.size)
        disk.close()
        for sector in range(-(-work.size // SECTOR)):
            at = slice(sector * SECTOR, (sector + 1) * SECTOR)
            assert sector in unsafe or found[at] == content[at], (seed, sector)
    assert flushes
