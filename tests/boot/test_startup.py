"""-version and -help answer at once: nothing heavy is loaded for them."""
import subprocess
import sys

import pytest

HEAVY = {"unicorn", "numpy", "capstone", "ctypes", "sdl2", "asyncio", "pyemu.engine",
         "pyemu.machine", "pyemu.trace"}
PROGRAM = """
import sys
from pyemu import cli
status = cli.main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(("option", "answer"), [
    ("--version", "pyemu emulator version "), ("--help", "usage: pyemu [options] [disk_image]\n")])
def test_answers_at_once(option, answer):
    done = subprocess.run([sys.executable, "-c", PROGRAM, option], text=True, capture_output=True)
    assert done.returncode == 0
    assert done.stdout.startswith(answer)
    loaded = {".".join(name.split(".")[:2]) for name in done.stderr.split()}
    loaded |= {name.split(".")[0] for name in loaded}
    assert loaded.isdisjoint(HEAVY)
