"""What tracing costs a boot of mini.img: all events off, and each executed block recorded.

    .venv/bin/python tests/bench/trace_boot.py [--pairs N] [--qemu N]

CPU seconds of the process from power-on to the login, in pairs that take turns. Hooks that are off
are compared with an emulator that has none (stubbed.py); exec_tb with an untraced boot, and with
QEMU's of the same.
"""
import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/boot"), str(Path(__file__).parent)]
import stubbed  # noqa: E402
from console import Console, shell  # noqa: E402

MACHINE = ["-m", "256", "-snapshot", "-nographic", "-no-reboot",
           "-drive", f"file={ROOT / 'images/out/mini.img'},format=raw"]
PYEMU = [str(ROOT / ".venv/bin/pyemu"), *MACHINE]
QEMU = ["qemu-system-x86_64", "-accel", "tcg", *MACHINE]
EXEC_TB = ["-trace", "exec_tb,file=/dev/null,full=wait"]
QEMU_EXEC_TB = ["-d", "nochain", "-trace", "exec_tb", "-D", "/dev/null"]
CPU_CLOCK = 2  # of a process, as Linux encodes it in a clockid_t


def boot(command):
    """CPU seconds until the login prompt."""
    with Console(command) as console:
        console.expect("mini login:", timeout=1200)
        return time.clock_gettime(~console.process.pid << 3 | CPU_CLOCK)


def compare(title, ours, theirs, pairs, limit):
    """A line with the median ratio of pairs of boots; whether it is above the limit."""
    ratios, seconds = [], {0: [], 1: []}
    for pair in range(pairs):
        for which in ((0, 1), (1, 0))[pair % 2]:
            seconds[which].append(boot((ours, theirs)[which]))
        ratios.append(seconds[0][-1] / seconds[1][-1])
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4) if pairs > 1 else [ratio] * 3
    one, other = (statistics.median(figures) for figures in seconds.values())
    print(f"{title:34} {one:7.2f} s {other:7.2f} s"
          f"  {ratio:.3f} ({low:.3f}-{high:.3f}, at most {limit})", flush=True)
    return ratio > limit


def recorded():
    """How many blocks a boot to the prompt executes, and how many records were dropped."""
    with Console([*PYEMU, "-plugin", "hotblocks"]) as console:
        shell(console, timeout=1200)
        console.type("poweroff -f")
        console.wait(300)
    with Console([*PYEMU, *EXEC_TB]) as traced:
        shell(traced, timeout=1200)
        status = traced.monitor("trace-file")
    return int(re.search(r"(\d+) executions", console.text)[1]), "dropped" in status


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--qemu", type=int, default=1, metavar="PAIRS")
    options = parser.parse_args()
    script = str(Path(stubbed.__file__))
    with tempfile.TemporaryDirectory() as folder:
        variants = {name: [sys.executable, script, name, str(stubbed.build(folder, flag)), *MACHINE]
                    for name, flag in (("plain", False), ("stubbed", True))}
        slow = compare("all events off, beside no hooks", variants["plain"], variants["stubbed"],
                       options.pairs, 1.01)
    slow |= compare("exec_tb on, beside off", [*PYEMU, *EXEC_TB], PYEMU, options.pairs, 1.3)
    if options.qemu:
        slow |= compare("exec_tb on, beside QEMU's", [*PYEMU, *EXEC_TB], [*QEMU, *QEMU_EXEC_TB],
                        options.qemu, 0.1)
    blocks, dropped = recorded()
    print(f"{blocks} blocks executed, {'some' if dropped else 'none'} dropped")
    return int(slow or dropped)


if __name__ == "__main__":
    sys.exit(main())
