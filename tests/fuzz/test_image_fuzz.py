"""Damaged qcow2 images: correct data or an error, in bounded memory and time; never a traceback.

Of one in twenty qemu-img is asked, too: what it can read we read likewise, or refuse.
`--sequences 25000` for 100 000 images.
"""
import random
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.open import open_image, open_node
from pyemu.machine.block.pieces import pieces
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_check import Check
from pyemu.machine.block.qcow2_snapshots import Snapshots

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")
KIB, MIB = 1 << 10, 1 << 20
MEMORY = 256 * MIB  # on top of what Python takes
SLOWEST = 5  # seconds of the processor for one image
COMPARED = 20  # of so many images one is read by qemu-img, too
LARGEST = 64 * MIB  # disk of which all is compared

LAYOUTS = ("cluster_size=512", "cluster_size=4k,refcount_bits=1", "cluster_size=512,compat=0.10",
           "cluster_size=64k", "cluster_size=1k,lazy_refcounts=on,refcount_bits=64")


def ignore(text):
    """Warnings are not what is tested here."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Whole images with everything that a table can say."""
    folder = tmp_path_factory.mktemp("whole")
    found = []
    for options in LAYOUTS:
        path = folder / f"{len(found)}.qcow2"
        run("qemu-img", "create", "-f", "qcow2", "-o", options, path, "300k")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 20k", "-c", "write -z 64k 16k",
            "-c", "write -c -P 3 128k 64k", "-c", "write -P 4 290k 10k", path)
        if "refcount_bits=1" not in options:
            run("qemu-img", "snapshot", "-c", "one", path)
            run("qemu-io", "-f", "qcow2", "-c", "write -P 5 4k 9k", path)
        found.append(path.read_bytes())
    return found


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def limited():
    """No more memory than allowed: what wants more gets a MemoryError, and the test fails."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def damaged(image, dice):
    """A copy with some bytes changed, mostly where the tables are, or with its end cut off."""
    copy = bytearray(image)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        if dice.random() < 0.5:
            at = dice.randrange(112)
        else:
            at = min(int(dice.expovariate(1 / 4096)), len(copy) - 9)
        value = dice.choice((0, 1, 0xFF, 0x80, 1 << 31, 1 << 62, 1 << 63, (1 << 64) - 1,
                             dice.getrandbits(64), dice.randrange(0, len(copy), 512)))
        if dice.random() < 0.4:
            copy[at & ~7:(at & ~7) + 8] = value.to_bytes(8, "big")
        else:
            copy[at] = value & 0xFF
    if dice.random() < 0.1:
        del copy[dice.randrange(len(copy)):]
    return copy


def use(path, dice):
    """Do with an image what a guest and a user can do. Raises OSError and nothing else."""
    disk = open_image(str(path), "qcow2", report=ignore, discard=True)
    try:
        for _ in range(6):
            offset = dice.randrange(min(disk.size, 1 << 40)) // 512 * 512
            length = min(disk.size - offset, dice.choice((512, 4096, 70_000)))
            try:
                dice.choice((disk.read, disk.write_zeroes, disk.discard,
                             lambda at, count: disk.write(at, b"w" * count)))(offset, length)
            except OSError:
                continue
        disk.flush()
    finally:
        disk.close()


def look(path, dice):
    node, _ = open_node(str(path), "qcow2", True, ignore, mend=False)
    try:
        if isinstance(node, Qcow2) and node.size < 1 << 30:
            for number, _ in enumerate(pieces(node, 0, min(node.size, MIB))):
                assert number < 5000
            Check(node, ignore).run()
    finally:
        node.close()


def mend(path, dice):
    node, _ = open_node(str(path), "qcow2", False, ignore, mend=False)
    try:
        if isinstance(node, Qcow2) and node.size < 1 << 30:
            check = Check(node, ignore)
            check.run()
            check.repair()
            snapshots = Snapshots(node)
            for snapshot in snapshots.list[:2]:
                snapshots.apply(snapshot)
    finally:
        node.close()


def test_damaged_images(images, tmp_path, sequences, limited):
    outcomes = {"used": 0, "refused": 0}
    path = tmp_path / "damaged.qcow2"
    for seed in range(4 * sequences):
        dice = random.Random(seed)
        path.write_bytes(damaged(dice.choice(images), dice))
        started = time.process_time()
        for action in look, use, mend:
            try:
                action(path, dice)
                outcomes["used"] += 1
            except OSError as error:
                assert isinstance(error, BlockError) or error.errno, (seed, error)
                outcomes["refused"] += 1
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise
        assert time.process_time() - started < SLOWEST, seed
        assert path.stat().st_blocks * 512 < 64 * MIB, seed
    assert all(outcomes.values())


def test_what_qemu_reads_of_them(images, tmp_path, sequences):
    path, copy = tmp_path / "damaged.qcow2", tmp_path / "copy"
    outcomes = {"same": 0, "refused": 0}
    for seed in range(0, 4 * sequences, COMPARED):
        dice = random.Random(seed)
        image = damaged(dice.choice(images), dice)
        if int.from_bytes(image[24:32], "big") > LARGEST:
            continue
        path.write_bytes(image)
        if subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, copy],
                          capture_output=True).returncode:
            continue
        try:
            disk, _ = open_node(str(path), "qcow2", True, ignore)
        except OSError:
            outcomes["refused"] += 1
            continue
        try:
            assert disk.read(0, disk.size) == copy.read_bytes(), seed
            outcomes["same"] += 1
        except OSError:
            outcomes["refused"] += 1
        finally:
            disk.close()
    assert outcomes["same"] > outcomes["refused"], outcomes
