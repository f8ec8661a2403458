"""`make bench`: pyemu beside QEMU TCG on the same work, in paired runs. Prints a table of ratios.

    run.py [--runs N] [--only NAME,...] [--out FILE]

Each figure is the median of N runs that alternate between the two; below 1 pyemu is faster.
"""
import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/boot"))
import disks  # noqa: E402
import network  # noqa: E402
from console import Console  # noqa: E402

MACHINE = ["-m", "256", "-snapshot", "-nographic", "-no-reboot"]
EMULATORS = {
    "pyemu": [str(ROOT / ".venv/bin/pyemu"), *MACHINE],
    "qemu": ["qemu-system-x86_64", "-accel", "tcg", *MACHINE],
}
CIRROS, MINI = ROOT / "images/out/cirros.img", ROOT / "images/out/mini.img"

# In mini's shell; each prints nothing but is timed from Enter to the next prompt.
WORK = {
    "shell loop, 300 000 turns": "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done",
    "sha256 of 40 MB": "dd if=/dev/zero bs=1M count=40 2>/dev/null | sha256sum >/dev/null",
    "gzip -9 of 8 MB, four runs":
        "for n in 1 2 3 4; do dd if=/bin/busybox bs=1k count=1900 2>/dev/null"
        " | gzip -9 >/dev/null; done",
    "300 fork+exec": "n=0; while [ $n -lt 300 ]; do /bin/busybox true; n=$((n+1)); done",
    "400 000 syscalls (dd bs=1)": "dd if=/dev/zero of=/dev/null bs=1 count=200000 2>/dev/null",
    "1 GB of rep stosq (dd bs=64k)":
        "dd if=/dev/zero of=/dev/null bs=64k count=16384 2>/dev/null",
}
PROMPT = "# "


def boot(emulator, image, login):
    """Seconds from power-on to the login prompt."""
    with Console([*EMULATORS[emulator], "-hda", str(image)]) as console:
        return {f"boot {image.stem} to login": console.expect(login, timeout=300)}


def work(emulator):
    """Seconds of each piece of work in one session."""
    with Console([*EMULATORS[emulator], "-hda", str(MINI)]) as console:
        console.expect("mini login:", timeout=300)
        console.expect(PROMPT)
        console.run("stty -echo", PROMPT)
        times = {}
        for name, command in WORK.items():
            before = console.expect("", 1)
            console.type(command)
            times[name] = console.expect(PROMPT, timeout=300) - before
        return times


def idle(emulator):
    """Percent of a core that a guest at its prompt takes, and the peak memory in MiB."""
    with Console([*EMULATORS[emulator], "-hda", str(MINI)]) as console:
        console.expect("mini login:", timeout=300)
        console.expect(PROMPT)
        subprocess.run(["sleep", "3"], check=True)
        before = cpu_seconds(console.process.pid)
        subprocess.run(["sleep", "5"], check=True)
        busy = (cpu_seconds(console.process.pid) - before) / 5
        status = Path(f"/proc/{console.process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
        return {"idle guest, % of a core": busy * 100, "peak memory, MiB": peak}


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


BENCHES = {
    "cirros": lambda emulator: boot(emulator, CIRROS, "cirros login:"),
    "mini": lambda emulator: boot(emulator, MINI, "mini login:"),
    "work": work,
    "idle": idle,
    "network": lambda emulator: network.tcp([*EMULATORS[emulator], "-hda", str(CIRROS)]),
    "disks": lambda emulator: disks.speed(EMULATORS[emulator]),
}


def measure(bench, runs):
    """{name: {emulator: [figure of each run]}} of alternating runs."""
    figures = {}
    for _ in range(runs):
        for emulator in EMULATORS:
            for name, figure in bench(emulator).items():
                figures.setdefault(name, {}).setdefault(emulator, []).append(figure)
    return figures


def row(name, figures):
    ours, theirs = figures["pyemu"], figures["qemu"]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b]
    ratio = (f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
             if ratios else "-")
    return (f"| {name} | {statistics.median(ours):.2f} | {statistics.median(theirs):.2f} "
            f"| {ratio} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    lines = ["| work | pyemu | QEMU TCG | ratio (spread) |", "|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    work_ratios = []
    for name in options.only.split(","):
        for title, figures in measure(BENCHES[name], options.runs).items():
            lines.append(row(title, figures))
            print(lines[-1], flush=True)
            if name == "work" and "rep stosq" not in title:
                work_ratios.append(statistics.median(figures["pyemu"])
                                   / statistics.median(figures["qemu"]))
    if work_ratios:
        lines.append("| geometric mean of the work, rep stosq apart | | | "
                     f"{statistics.geometric_mean(work_ratios):.2f} |")
        print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
