"""`make bench`: pyemu beside QEMU TCG on the same work, and what tracing costs.

    run.py [--runs N] [--only NAME,...] [--out FILE]

Prints tables: medians of N runs in which the two take turns. Lower is better; pyemu is ahead where
the ratio is below 1. --out puts them into FILE too, between its marks.
"""
import argparse
import os
import statistics
import time
from pathlib import Path

import boots
import disks
import network
import table
import trace_boot
import trace_hooks
import work
from emulators import COMMANDS
from table import Most

BENCHES = {  # name: takes the name of an emulator, gives {title: figure}
    "firmware": boots.firmware,
    "cirros": network.tcp,
    "mini": work.busybox,
    "programs": work.programs,
    "disks": disks.speed,
    "convert": disks.convert,
    "traced": boots.traced,
    "blocks": boots.blocks,
}
TRACING = {"off": trace_boot.off, "on": trace_boot.on}  # the same, of pyemu in two ways
HOOKS = "hooks"
NAMES = [*BENCHES, *TRACING, HOOKS]
ONCE = "blocks"  # takes QEMU two minutes
# Times as many runs, for what lies near its limit.
OFTEN = {"off": 12, "on": 4, "convert": 4, "cirros": 2}

MOST = {
    "boot mini to login": Most(0.65),
    "boot cirros to login": Most(0.65),
    "start-up to the first instructions": Most(0.3, "s"),
    "idle guest, % of a core": Most(3, "%"),
    "400 000 syscalls (dd bs=1)": Most(1.1),
    "300 fork+exec": Most(1),
    "boot mini to login, exec_tb traced": Most(0.1),
    "convert 1 GB to qcow2, CPU s": Most(2),
    "convert 1 GB to raw, CPU s": Most(2),
    "all events off; no hooks": Most(1.01),
    "exec_tb to /dev/null; untraced": Most(1.3),
}
WORK = Most(1.5)  # in a guest


def measure(bench, ways, runs):
    """{title: [(figure of one way, figure of the other)]}. They take turns to be first."""
    one, other = ways
    figures = {}
    for number in range(runs):
        found = {way: bench(way) for way in ((other, one) if number % 2 else (one, other))}
        for title, figure in found[one].items():
            figures.setdefault(title, []).append((figure, found[other][title]))
    return figures


def beside_qemu(names, runs):
    """Lines of the table: a row for each kind of work, then the mean of the guests' work."""
    yield table.head("work", "pyemu", "QEMU TCG", "ratio (range)", "at most")
    means = []
    for name in names:
        times = 1 if name == ONCE else runs * OFTEN.get(name, 1)
        for title, pairs in measure(BENCHES[name], COMMANDS, times).items():
            counts = work.is_work(title)
            yield table.row(title, pairs, MOST.get(title, WORK if counts else None))
            if counts:
                means.append(statistics.median(one / other for one, other in pairs))
    if means:
        mean = table.judged(f"{statistics.geometric_mean(means):.2f}", Most(1))
        yield f"| geometric mean of {len(means)} kinds of work in the guest | | | {mean} | 1 |"


def tracing(names, runs):
    yield table.head("boot of mini, CPU seconds", "with", "without", "ratio (range)", "at most")
    for name in names:
        for title, pairs in measure(TRACING[name], trace_boot.WAYS,
                                    runs * OFTEN.get(name, 1)).items():
            yield table.row(title, pairs, MOST[title])


def hooks():
    yield table.head("one call of a hook", "ns", "at most")
    for title, cost, limit in trace_hooks.costs():
        yield f"| {title} | {table.judged(f'{cost:.1f}', Most(limit))} | {limit} |"


def host():
    cpu = next(line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
               if line.startswith("model name"))
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, load {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--only", default=",".join(NAMES), metavar="NAME,...",
                        help="of %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: no such bench, but {', '.join(NAMES)}")

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users have the modules compiled
    began, lines = time.monotonic(), []

    def show(line):
        print(line, flush=True)
        lines.append(line)

    show(f"{host()}; {options.runs} runs.")
    parts = [(beside_qemu, [name for name in names if name in BENCHES]),
             (tracing, [name for name in names if name in TRACING])]
    for part, chosen in parts:
        if chosen:
            show("")
            for line in part(chosen, options.runs):
                show(line)
    if HOOKS in names:
        show("")
        for line in hooks():
            show(line)
    show(f"\nTook {(time.monotonic() - began) / 60:.0f} minutes.")
    if options.out:
        table.put(options.out, "".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
