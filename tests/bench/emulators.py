"""The two emulators and what the bench asks of each: a console, a CPU time, a timed command."""
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/boot"))
from console import IMAGES, PYEMU, Console, log_in, shell  # noqa: E402

__all__ = ["CIRROS", "COMMANDS", "MINI", "Console", "cpu_seconds", "emulator", "log_in",
           "peak_memory", "shell", "timed"]

COMMANDS = {"pyemu": [str(PYEMU)], "qemu": ["qemu-system-x86_64", "-accel", "tcg"]}
MACHINE = ["-m", "256", "-snapshot", "-no-reboot"]
CIRROS = ["-drive", f"file={IMAGES / 'cirros.img'},format=qcow2"]
MINI = ["-drive", f"file={IMAGES / 'mini.img'},format=raw"]
CPU_CLOCK = 2  # of a process, as Linux encodes it in a clockid_t


def emulator(name, *options):
    """A command line: the machine with its console on stdin and stdout, and `options`."""
    return [*COMMANDS[name], *MACHINE, "-nographic", *options]


def timed(console, command, prompt, timeout=300):
    """(what a shell command prints, its seconds from Enter to the prompt). Without an echo."""
    start = len(console.text)
    before = time.monotonic()
    console.type(command)
    console.expect(prompt, timeout)
    seconds = time.monotonic() - before
    return console.text[start:], seconds


def cpu_seconds(console):
    """CPU time that the emulator has used so far."""
    return time.clock_gettime(~console.process.pid << 3 | CPU_CLOCK)


def peak_memory(console):
    """The most memory that the emulator has had so far, in MiB."""
    status = Path(f"/proc/{console.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
