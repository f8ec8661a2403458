"""A guest that crashes: what pvpanic does beside QEMU, and what the flight recorder keeps."""
import subprocess
import time

import pytest
from guests.harness import assemble
from pyemu.trace.simpletrace import Analyzer, process

from .console import PYEMU

PANIC = """
    call report
    jmp $
report:
    mov dx, 0x505
    mov al, 1
    out dx, al
    ret
"""
TRIPLE_FAULT = """
    lidt [empty]
    int3
empty: dw 0, 0, 0
"""
EMULATORS = {"pyemu": [PYEMU], "qemu": ["qemu-system-x86_64", "-accel", "tcg"]}
MACHINE = ["-display", "none", "-device", "pvpanic", "-net", "none"]


class Names(Analyzer):
    def __init__(self):
        self.seen = []

    def catchall(self, event, rec):
        self.seen.append(event.name)


@pytest.fixture
def machine(tmp_path):
    """A function that starts an emulator on a boot sector."""
    started = []

    def start(code, *options, emulator="pyemu"):
        (tmp_path / "disk").write_bytes(
            assemble(code, 16, 0x7c00).ljust(510, b"\0") + b"\x55\xaa" + bytes(64 * 512))
        started.append(subprocess.Popen(
            [*EMULATORS[emulator], *MACHINE, *options,
             "-drive", f"file={tmp_path / 'disk'},format=raw"],
            stderr=subprocess.PIPE, text=True, cwd=tmp_path))
        return started[-1]

    yield start
    for process_ in started:
        process_.kill()
        process_.wait()
        process_.stderr.close()


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize(("action", "status"), [("shutdown", 0), ("exit-failure", 1)])
def test_a_panic_ends_the_machine(machine, emulator, action, status):
    options = ("-action", f"panic={action}", "-d", "guest_errors")
    panicking = machine(PANIC, *options, emulator=emulator)
    _, said = panicking.communicate(timeout=120)
    assert panicking.returncode == status
    assert "Guest crashed" in said


@pytest.mark.parametrize(("code", "last"), [(PANIC, "guest_panicked"),
                                            (TRIPLE_FAULT, "cpu_triple_fault")])
def test_the_flight_recorder_is_written_by_itself(machine, tmp_path, code, last):
    running = machine(code, "-action", "panic=pause,reboot=shutdown,shutdown=pause",
                      "-trace", "*,file=flight,overwrite=on", "-trace", "-guest_mem_*",
                      "-trace", "-exec_tb")  # it stays, for the file is written at the end as well
    names, deadline = Names(), time.monotonic() + 120
    while last not in names.seen:
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
        if (tmp_path / "flight").exists():
            names = Names()
            process(None, str(tmp_path / "flight"), names)
    assert len(names.seen) > 1000 and last in names.seen[-20:]


def test_a_trigger_tells_where_the_guest_was(machine):
    running = machine(PANIC, "-trace", "on=pvpanic_write,do=registers+backtrace")
    _, said = running.communicate(timeout=120)
    lines = said.splitlines()
    at = lines.index("CPU#0")
    assert lines[at + 1].startswith("EAX=") and lines[at + 1].endswith("EDX=00000505")
    innermost = next(n for n, line in enumerate(lines) if line.startswith("#0 "))
    assert lines[innermost].split()[1] == "0x0000000000007c0a"
    assert lines[innermost + 1].split() == ["?", "0x0000000000007c03"]
