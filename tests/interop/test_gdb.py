"""Debian's gdb on a running machine: what it prints is what we are."""
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..guests.harness import assemble

PYEMU = Path(sys.executable).parent / "pyemu"
PATIENCE = 60  # seconds
BOOT_SECTOR = 0x7c00

LABELS_AT = 500  # in the boot sector
# 16, then 32, then 64 bits
PROGRAM = """
        cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov cx, 3
again:  inc word [count]
        loop again
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected
        bits 32
protected:
        mov ax, 16
        mov ds, ax
        mov ss, ax
        mov ebx, 0x11223344
        inc dword [count]
        mov edi, 0x10000
        mov dword [edi], 0x11007        ; the first 2 MiB, through three levels
        mov dword [0x11000], 0x12007
        mov dword [0x12000], 0x87
        mov cr3, edi
        mov eax, cr4
        or eax, 0x620
        mov cr4, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 24:wide
        bits 64
wide:   mov rax, 0x1122334455667788
        mov r8, rax
        movq xmm1, rax
        fld1
hang:   inc qword [count]
        jmp hang
        align 8
count:  dq 0
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_pointer:
        dw 31
        dd gdt
        times 500 - ($ - $$) db 0
        dw again, protected, wide, hang, count
        dw 0xaa55
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    file = tmp_path_factory.mktemp("gdb") / "disk.img"
    file.write_bytes(assemble(PROGRAM, 16, BOOT_SECTOR))
    return file


@pytest.fixture(scope="module")
def labels(image):
    values = struct.unpack_from("<5H", image.read_bytes(), LABELS_AT)
    return dict(zip(("again", "protected", "wide", "hang", "count"), values, strict=True))


class Machine:
    """A machine whose debugger's server is at a Unix socket."""

    def __init__(self, folder, *options):
        self.path = folder / "gdb"
        self.process = subprocess.Popen(
            [PYEMU, "-display", "none", "-nodefaults", "-m", "32", "-gdb",
             f"unix:{self.path},server=on,wait=off", *options], stderr=subprocess.PIPE)
        while not self.path.exists():
            assert self.process.poll() is None
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def gdb(self, *commands):
        """What gdb says to these commands."""
        words = ["gdb", "-nx", "-q", "-batch", "-ex", "set pagination off", "-ex",
                 f"target remote {self.path}"]
        for command in commands:
            words += ["-ex", command]
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, timeout=PATIENCE).stdout


@pytest.fixture
def machine(tmp_path, image):
    with Machine(tmp_path, "-S", "-drive", f"file={image},format=raw,snapshot=on") as machine:
        yield machine


def test_the_reset_vector(machine):
    text = machine.gdb("info registers rip cs eflags", "x/3i 0xfffffff0", "info threads")
    assert re.search(r"rip +0xfff0 ", text)
    assert re.search(r"cs +0xf000 ", text)
    assert re.search(r"eflags +0x2 ", text)
    assert "CPU#0" in text


def test_real_mode(machine, labels):
    again = labels["again"]
    text = machine.gdb("break *0x7c00", "continue", "stepi", "stepi", "info registers rip",
                       f"hbreak *{again}", "continue", "p $cx", "continue", "p $cx",
                       f"p *(short *){labels['count']}")
    assert "Breakpoint 1, 0x0000000000007c00" in text
    assert re.search(r"rip +0x7c03 ", text)
    assert f"Breakpoint 2, {again:#018x}" in text
    assert "$1 = 3\n" in text
    assert "$2 = 2\n" in text
    assert "$3 = 1\n" in text


def test_protected_and_long_mode(machine, labels):
    text = machine.gdb(
        f"break *{labels['protected']}", "continue", "p $cs", "stepi 4", "p/x $rbx", "p $r8",
        f"break *{labels['hang']}", "continue", "p/x $r8", "p/x $rax", "p/x $xmm1.uint128",
        "p $st0", "p $efer & 0x500", "p $cr0 & 1", "info registers eflags")
    for line in ("$1 = 8", "$2 = 0x11223344", "$3 = 0", "$4 = 0x1122334455667788",
                 "$5 = 0x1122334455667788", "$6 = 0x1122334455667788", "$7 = 1", "$8 = 1280"):
        assert f"{line}\n" in text


def test_watchpoints(machine, labels):
    count = labels["count"]
    text = machine.gdb(f"break *{labels['hang']}", "continue", "delete",
                       f"watch *(long *){count}", "continue", "continue", "delete",
                       f"rwatch *(long *){count}", "continue", "delete",
                       f"awatch *(long *){count}", "continue")
    assert "Old value = 4\nNew value = 5" in text
    assert "Old value = 5\nNew value = 6" in text
    assert re.search(r"Hardware read watchpoint 3.*\n\nValue = 7", text)
    assert re.search(r"Hardware access \(read/write\) watchpoint 4", text)


def test_memory_and_registers_can_be_changed(machine, labels):
    text = machine.gdb(
        f"break *{labels['hang']}", "continue", f"set *(long *){labels['count']} = 1000",
        "set $r8 = 77", "set $xmm1.v2_int64[1] = 5", "set $st0 = 2.5", "set $eflags = 0x246",
        "delete", "stepi", f"p *(long *){labels['count']}", "p $r8", "p $xmm1.v2i64",
        "p $st0", "p *(int *)0x40000000")
    assert "$1 = 1001\n" in text
    assert "$2 = 77\n" in text
    assert "$4 = 2.5\n" in text
    assert "Cannot access memory at address 0x40000000" in text


def test_physical_memory(machine, labels):
    text = machine.gdb(f"break *{labels['hang']}", "continue",
                       "maintenance packet Qqemu.PhyMemMode:1", "p/x *(int *)0xfffffff0",
                       "maintenance packet qqemu.PhyMemMode",
                       "maintenance packet Qqemu.PhyMemMode:0", "p/x *(int *)0xfffffff0")
    assert "$1 = 0x" in text
    assert 'received: "1"' in text
    assert "Cannot access memory at address 0xfffffff0" in text


def test_monitor_commands(machine):
    text = machine.gdb("monitor info status", "monitor nosuch", "monitor xp/2xb 0xffff0")
    assert "VM status: paused (prelaunch)" in text
    assert "unknown command: 'nosuch'" in text
    assert "0xea 0x5b" in text


def test_detach_and_come_back(machine, labels):
    text = machine.gdb(f"break *{labels['hang']}", "continue", "detach")
    assert "detached" in text
    time.sleep(0.2)
    text = machine.gdb("monitor info status", "p $pc", f"p *(long *){labels['count']}", "detach")
    assert "VM status: paused\n" in text
    assert int(re.search(r"\$2 = (\d+)", text)[1]) > 100


def test_ctrl_c(machine, labels):
    """gdb sends it when it is interrupted itself."""
    words = ["gdb", "-nx", "-q", "-batch", "-ex", f"target remote {machine.path}",
             "-ex", "python import threading, os, signal",
             "-ex", "python threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()",
             "-ex", "continue", "-ex", "p $cs", "-ex", "kill"]
    text = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE).stdout
    assert "Program received signal SIGINT" in text
    assert "$1 = 24\n" in text
    assert machine.process.wait(PATIENCE) == 0
