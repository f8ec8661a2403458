"""A hostile guest on the whole machine (tests/boot/kernels/chaos.c), from outside.

It may reset, hang or switch off its machine, but the process neither dies, nor grows without end,
nor writes anything but what it was given; the monitor answers all the while, and ends it.
A long run: pytest tests/fuzz/test_machine_fuzz.py --guests 1000
A seed that failed: SEED=1234 pytest tests/fuzz/test_machine_fuzz.py
"""
import os
import random
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest
from boot.console import MONITOR, PYEMU, Console

from ..interop.test_kernels_like_qemu import build

SECONDS = 3.0  # for which each guest may go on
PATIENCE = 60  # seconds for an answer, on a busy host
SIZE = 1 << 20  # of each disk
FLOPPY_SIZE = 1440 << 10
ADDRESS_SPACE = 4 << 30  # bytes
RESIDENT = 500 << 10  # KiB
GIVEN = {"given.img": SIZE, "virtual.img": SIZE, "given.floppy": FLOPPY_SIZE, "screen.ppm": 0}
KEPT = {"kept.img": SIZE, "kept.iso": SIZE, "bystander": SIZE}
DEVICES = [
    ["-vga", "std"],
    ["-vga", "none", "-net", "none"],
    ["-vga", "std", "-device", "pc-testdev", "-nic", "user,model=e1000", "-cpu", "Haswell"],
    ["-vga", "std", "-nic", "user,model=e1000", "-drive", "file=virtual.img,format=raw,if=virtio",
     "-fda", "given.floppy", "-cdrom", "kept.iso", "-vnc", "unix:screen"],
]
COMMANDS = ["info registers", "x /8x 0", "x /4i $eip", "info tlb", "info mem", "info pci",
            "screendump screen.ppm", "info irq", "info mtree", "xp /4x 0xfee00020", "stop", "cont",
            "system_reset", "nmi", "system_powerdown", "sendkey ctrl-alt-delete"]


def command_line(seed):
    return [PYEMU, "-m", "32", "-no-shutdown", "-nodefaults", "-display", "none",
            "-monitor", "stdio", "-serial", "file:serial", "-kernel", build("chaos", [], "elf"),
            "-append", str(seed), "-hda", "given.img",
            "-drive", "file=kept.img,format=raw,index=1,snapshot=on", *DEVICES[seed % len(DEVICES)]]


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def resident(process):
    """KiB at most so far."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])


def run_guest(seed, folder):
    rng = random.Random(seed)
    serial = folder / "serial"
    serial.unlink(missing_ok=True)
    with Console(command_line(seed), cwd=folder, preexec_fn=limit_memory) as console:
        try:
            console.expect(MONITOR)
            wait_for_chaos(console, serial)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                time.sleep(rng.random() * SECONDS / 5)
                console.run(rng.choice(COMMANDS), MONITOR, PATIENCE)
                if "shutdown" in console.run("info status", MONITOR, PATIENCE):
                    console.run("system_reset", MONITOR, PATIENCE)
                console.run("cont", MONITOR, PATIENCE)
            size = resident(console.process)
            console.type("quit")
            status = console.wait(PATIENCE)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            pytest.fail(f"seed {seed}: {error}\n{console.text[-2000:]}")
    assert status == 0 and "Traceback" not in console.text, f"seed {seed}: {console.text}"
    assert size < RESIDENT, f"seed {seed}: {size} KiB of the host's memory"
    for name, length in KEPT.items():
        assert (folder / name).read_bytes() == bytes(length), f"seed {seed} changed {name}"
    assert {file.name for file in folder.iterdir()} == {*GIVEN, *KEPT, "serial"}, f"seed {seed}"


def wait_for_chaos(console, serial):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and console.process.poll() is None:
        if serial.exists() and b"chaos" in serial.read_bytes():
            return
        time.sleep(0.1)
    raise AssertionError("the kernel did not start")


def test_chaos(request, tmp_path):
    for name, length in {**GIVEN, **KEPT}.items():
        (tmp_path / name).write_bytes(bytes(length))
    first = random.SystemRandom().randrange(1 << 30)
    seeds = range(first, first + request.config.getoption("--guests"))
    for seed in [int(os.environ["SEED"])] if "SEED" in os.environ else seeds:
        run_guest(seed, tmp_path)
