"""Random sequences of work, ours and QEMU's in turns, must leave one and the same disk.

Formats, widths, backing chains, compression and snapshots are as the dice fall; three readers must
agree after each step. `--sequences 5000` for 2500 of them.
"""
import shutil
import subprocess

import pytest
from interop.qcow2_model import Work, check, ignore, qemu_img
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.open import open_image
from pyemu.machine.block.qcow2_header import CORRUPT, INCOMPATIBLE_FIELD

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")


def test_random_operations_as_qemu_does_them(tmp_path, sequences):
    for seed in range(sequences // 2):
        folder = tmp_path / "work"
        folder.mkdir()
        work = Work(folder, seed)
        dice = work.dice
        try:
            for _ in range(dice.randrange(1, 5)):
                step = dice.choice((work.ours, work.ours, work.theirs, work.theirs, work.abandoned))
                step(dice.randrange(1, 25))
                if dice.random() < 0.3:
                    work.compressed()
                if dice.random() < 0.4:
                    work.snapshot()
                work.verify()
        except Exception as error:
            error.add_note(f"seed {seed}, {work.options}, backing {work.chain}")
            raise
        shutil.rmtree(folder)


def test_an_image_marked_corrupt_is_only_read_by_both(tmp_path):
    path = tmp_path / "a.qcow2"
    qemu_img("create", "-f", "qcow2", path, "1M", cwd=tmp_path)
    with path.open("r+b") as file:
        file.seek(INCOMPATIBLE_FIELD)
        file.write(CORRUPT.to_bytes(8, "big"))
    for words in ["-c", "write 0 512"], ["-r", "-c", "read 0 512"]:
        done = subprocess.run(["qemu-io", "-f", "qcow2", *words, path], capture_output=True)
        assert (b"cannot be opened read/write" in done.stderr) == (words[0] == "-c")
    with pytest.raises(BlockError, match="Image is corrupt; cannot be opened read/write"):
        open_image(str(path), "qcow2")
    open_image(str(path), "qcow2", read_only=True, report=ignore).close()
    qemu_img("check", "-r", "all", path, cwd=tmp_path)
    check(path)
    open_image(str(path), "qcow2").close()
