"""The end of the process: the alarm thread must not ring for a CPU that is gone."""
import os
import subprocess
import sys

PROGRAM = """
import atexit, time

@atexit.register  # called last, since it was registered first
def ring():
    cpu.arm(time.monotonic_ns() + 1)
    cpu.ring()
    time.sleep(0.05)

from pyemu.engine.cpu import Cpu
cpu = Cpu()
"""


def test_the_instance_lives_as_long_as_its_alarm():
    """unicorn frees its instances at exit, before what may still use them."""
    environment = {**os.environ, "MALLOC_PERTURB_": "165"}  # freed memory is overwritten
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=False,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
