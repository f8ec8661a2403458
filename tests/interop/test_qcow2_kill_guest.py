"""An emulator killed at a random moment under a guest that writes: the same promises.

The guest takes turns: PIO, the bus master's DMA, virtio. `--sequences 12500` for 250 kills.
"""
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interop.qcow2_model import ignore, qemu_img
from interop.writer import WAYS, assemble_writer, interface
from pyemu.machine.block.open import open_image

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("nasm"),
                                reason="needs qemu-utils and nasm")
PYEMU = Path(sys.executable).with_name("pyemu")
SECTOR = 512
LEAKS = 3  # exit status of qemu-img check
FLUSHED = struct.Struct("<I")  # what the guest tells: so many writes are flushed
BETWEEN = 8  # writes between two flushes
OPTIONS = ("cluster_size=64k", "cluster_size=512,compat=0.10", "cluster_size=4k,refcount_bits=8",
           "cluster_size=2M", "lazy_refcounts=on")


def place(number):
    return 64 + number * 40503 % 16384


def killed(image, way, seconds):
    """Let the guest write for so long after its first flush; how many writes were flushed."""
    command = [PYEMU, "-m", "32", "-display", "none", "-nodefaults", "-vga", "none",
               "-drive", f"file={image},format=qcow2,if={interface(way)}", "-serial", "stdio"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        told = process.stdout.read(FLUSHED.size)
        assert told, "the guest has not begun"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read()
        process.wait()
    return FLUSHED.unpack_from(told, len(told) // FLUSHED.size * FLUSHED.size - FLUSHED.size)[0]


def test_kills_under_a_guest(tmp_path, sequences):
    boots = {way: assemble_writer(way, tmp_path / way) for way in WAYS}
    image, most = tmp_path / "a.qcow2", dict.fromkeys(WAYS, 0)
    for seed in range(max(3, sequences // 50)):
        dice, way = random.Random(seed), WAYS[seed % len(WAYS)]
        options = dice.choice(OPTIONS)
        qemu_img("create", "-f", "qcow2", "-o", options, image, "16M", cwd=tmp_path)
        disk = open_image(str(image), "qcow2", report=ignore)
        disk.write(0, boots[way].read_bytes())
        disk.close()
        if dice.random() < 0.5:
            qemu_img("snapshot", "-c", "before", image, cwd=tmp_path)
        flushed = killed(image, way, dice.uniform(0, 0.5))
        most[way] = max(most[way], flushed)

        checked = subprocess.run(["qemu-img", "check", image], capture_output=True, text=True)
        if "lazy" in options:  # the counts are rebuilt by whoever opens it next
            open_image(str(image), "qcow2", report=ignore).close()
            checked = subprocess.run(["qemu-img", "check", image], capture_output=True, text=True)
        assert checked.returncode in (0, LEAKS), (
            seed, way, options, checked.stdout + checked.stderr)

        expected = {place(number): number for number in range(flushed)}
        unsafe = {place(number) for number in range(flushed, flushed + 2 * BETWEEN)}
        disk = open_image(str(image), "qcow2", read_only=True, report=ignore)
        for sector, number in expected.items():
            if sector not in unsafe:
                found = disk.read(sector * SECTOR, SECTOR)
                assert found == FLUSHED.pack(number) * 128, (seed, way, options, sector, number)
        disk.close()
        image.unlink()
    assert min(most.values()) >= BETWEEN, most
