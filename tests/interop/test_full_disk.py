"""The host's disk is full: the machine pauses and goes on when there is room, or the guest is told.

The guest is writer.asm; after an error it stays where it is. QEMU does the same.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interop.writer import assemble_writer

EMULATORS = {"pyemu": [str(Path(sys.executable).with_name("pyemu"))],
             "qemu": ["qemu-system-x86_64"]}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("qemu-system-x86_64", "qemu-img", "nasm"))),
    reason="needs root to mount a small file system, QEMU and nasm")
PATIENCE = 60  # seconds
FAILURE = {"device": "ide0-hd0", "operation": "write", "reason": "No space left on device"}


@pytest.fixture
def small(tmp_path):
    """A file system with room for 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]).returncode:
        pytest.skip("cannot mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


class Machine:
    """An emulator with QMP on its pipes, writing to a disk on the small file system."""

    def __init__(self, command, folder, format, werror):
        boot = folder.parent / "writer.bin"
        assemble_writer("pio", boot)
        boot.write_bytes(boot.read_bytes().ljust(16 << 20, b"\0"))
        image = folder / "a.img"
        subprocess.run(["qemu-img", "convert", "-O", format, boot, image], check=True)
        self.told = folder.parent / "told"
        self.process = subprocess.Popen(
            [*command, "-m", "32", "-display", "none", "-nodefaults", "-vga", "none",
             "-drive", f"file={image},format={format},werror={werror}",
             "-serial", f"file:{self.told}", "-qmp", "stdio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = []
        self.execute("qmp_capabilities")

    def execute(self, command):
        self.process.stdin.write(json.dumps({"execute": command}))
        self.process.stdin.flush()
        while "return" not in (answer := json.loads(self.process.stdout.readline())):
            assert "error" not in answer
            if "event" in answer:
                self.events.append((answer["event"], answer.get("data", {})))
        return answer["return"]

    def wait_for(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def status(self):
        return self.execute("query-status")["status"]

    def io_status(self):
        return self.execute("query-block")[0].get("io-status", "not shown")

    def failures(self):
        """What the events say; each once. What images are called is a matter of chance."""
        told = [data for name, data in self.events if name == "BLOCK_IO_ERROR"]
        return [data for number, data in enumerate(told)
                if data.pop("node-name").startswith("#block") and data not in told[:number]]

    def flushes(self):
        return self.told.stat().st_size // 4


@pytest.fixture(params=EMULATORS)
def start(request, small):
    machines = []

    def start(format, werror):
        machines.append(Machine(EMULATORS[request.param], small, format, werror))
        return machines[-1]
    yield start
    for machine in machines:
        machine.execute("quit")
        machine.process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_the_machine_waits_for_room(start, small, format):
    machine = start(format, "enospc")
    machine.wait_for(lambda: machine.status() == "io-error")
    assert machine.io_status() == "nospace"
    assert [name for name, _ in machine.events][-2:] == ["BLOCK_IO_ERROR", "STOP"]
    before = machine.flushes()
    subprocess.run(["mount", "-o", "remount,size=40m", small], check=True)
    machine.execute("cont")
    machine.wait_for(lambda: machine.flushes() > before + 10)
    assert machine.status() == "running" and machine.io_status() == "ok"
    assert machine.failures() == [FAILURE | {"action": "stop", "nospace": True}]


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_the_guest_is_told(start, small, format):
    """It stops where it is at the first error, and the machine runs on."""
    machine = start(format, "report")
    machine.wait_for(lambda: machine.told.exists() and machine.flushes())
    count = [-1, -2]
    while count[-1] != count[-2]:
        time.sleep(1)
        count.append(machine.flushes())
    assert machine.status() == "running" and machine.io_status() == "not shown"
    assert machine.failures() == [FAILURE | {"action": "report"}]
    assert os.statvfs(small).f_bavail < 64
