"""A hostile guest on the whole machine (tests/boot/kernels/chaos.c), from outside.

It may reset or hang its machine, but the process neither dies nor writes anything but what it was
given, and the monitor ends it.
A long run: pytest tests/fuzz/test_machine_fuzz.py --fuzz-seconds 3600
"""
import random
import subprocess
import time

import pytest
from boot.console import PYEMU, Console

from ..interop.test_kernels_like_qemu import build

SECONDS = 3.0  # for which each guest may go on
SIZE = 1 << 20  # of each disk
DEVICES = [
    [],
    ["-vga", "none", "-net", "none"],
    ["-device", "pc-testdev", "-nic", "user,model=e1000", "-cpu", "Haswell"],
]


def test_chaos(request, tmp_path):
    end = time.monotonic() + request.config.getoption("--fuzz-seconds")
    kernel = build("chaos", [], "elf")
    for name in ("kept.img", "given.img", "bystander"):
        (tmp_path / name).write_bytes(bytes(SIZE))
    number = 0
    while time.monotonic() < end or number < len(DEVICES):
        seed = random.SystemRandom().randrange(1 << 30)
        options = ["-m", "32", "-no-shutdown", "-nodefaults", "-display", "none",
                   "-monitor", "stdio", "-serial", "file:serial", "-vga", "std", "-kernel", kernel,
                   "-append", str(seed), "-hda", "given.img",
                   "-drive", "file=kept.img,format=raw,index=1,snapshot=on",
                   *DEVICES[number % len(DEVICES)]]
        with Console([PYEMU, *options], cwd=tmp_path) as console:
            wait_for_chaos(console, tmp_path / "serial")
            time.sleep(SECONDS)
            try:
                console.type("info registers")
                console.expect("EIP=")
                console.type("quit")
                status = console.wait()
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                pytest.fail(f"seed {seed}, {options}: {error}\n{console.text[-2000:]}")
            assert status == 0 and "error" not in console.text, f"seed {seed}: {console.text}"
        for name in ("kept.img", "bystander"):
            assert (tmp_path / name).read_bytes() == bytes(SIZE), f"seed {seed} changed {name}"
        assert {file.name for file in tmp_path.iterdir()} == {
            "kept.img", "given.img", "bystander", "serial"}
        number += 1


def wait_for_chaos(console, serial):
    end = time.monotonic() + 60
    while time.monotonic() < end and console.process.poll() is None:
        if serial.exists() and b"chaos" in serial.read_bytes():
            return
        time.sleep(0.1)
    pytest.fail(f"the kernel did not start: {console.text}")
