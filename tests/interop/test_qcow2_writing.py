"""Random sequences of operations, ours and qemu-io's in turns, must leave one and the same disk."""
import shutil

import pytest
from interop.qcow2_model import Work

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")


def test_random_operations_as_qemu_does_them(tmp_path, sequences):
    """`--sequences 5000` for more of them."""
    for seed in range(sequences):
        work = Work(tmp_path, seed)
        try:
            for _ in range(work.dice.randrange(1, 5)):
                step = work.dice.choice((work.ours, work.ours, work.theirs))
                step(work.dice.randrange(1, 25))
                if work.dice.random() < 0.3:
                    work.compressed()
                work.verify()
        except AssertionError as error:
            error.add_note(f"seed {seed}, {work.options}, backing {work.backing}")
            raise
