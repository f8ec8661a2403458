"""Debian's gdb debugs Debian's kernel, by the symbols that the kernel has of itself."""
import re
import subprocess
import time

import pytest

from .console import IMAGES, PYEMU, Console, shell

PROMPT = "root@mini:/root# "
PATIENCE = 120  # seconds
FUNCTIONS = ("_stext", "__x64_sys_newuname", "do_syscall_64", "tick_do_update_jiffies64", "_etext")
DATA = ("jiffies_64", "linux_banner")


@pytest.fixture(scope="module")
def console():
    command = [PYEMU, "-m", "256", "-nographic", "-nic", "none",
               "-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on"]
    with Console(command) as console:
        shell(console)
        yield console


@pytest.fixture(scope="module")
def addresses(console):
    """Of the kernel's symbols: it is somewhere else at each boot."""
    names = "|".join((*FUNCTIONS, *DATA))
    text = console.run(f"grep -E ' ({names})$' /proc/kallsyms", PROMPT)
    return {name: int(address, 16) for address, _, name in map(str.split, text.splitlines())}


@pytest.fixture(scope="module")
def symbols(addresses, tmp_path_factory):
    """An object file that has nothing but the functions' names, for gdb's add-symbol-file."""
    folder = tmp_path_factory.mktemp("symbols")
    start = at = addresses["_stext"]
    lines = ["section .text nobits alloc exec"]
    for name in sorted(FUNCTIONS, key=addresses.__getitem__):
        lines += [f"resb {addresses[name] - at}", f"global {name}:function", f"{name}:"]
        at = addresses[name]
    (folder / "kernel.asm").write_text("\n".join(lines) + "\n")
    subprocess.run(["nasm", "-f", "elf64", "-o", folder / "kernel.o", folder / "kernel.asm"],
                   check=True)
    return f"add-symbol-file {folder}/kernel.o {start:#x}"


class Gdb:
    """gdb carrying out commands, beginning with those that reach the machine."""

    def __init__(self, folder, socket, *commands):
        self.ready = folder / "ready"
        self.ready.unlink(missing_ok=True)
        words = ["gdb", "-nx", "-q", "-batch", "-ex", "set confirm off",
                 "-ex", "set pagination off", "-ex", f"target remote {socket}",
                 "-ex", f"shell touch {self.ready}"]
        for command in commands:
            words += ["-ex", command]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while not self.ready.exists():
            assert self.process.poll() is None
            time.sleep(0.05)

    def output(self):
        return self.process.communicate(timeout=PATIENCE)[0]


def test_a_system_call_is_stopped_at_and_followed(console, addresses, symbols, tmp_path):
    device = f"unix:{tmp_path}/gdb,server=on"
    assert console.monitor(f"gdbserver {device}") == (
        f"Waiting for gdb connection on device '{device}'\n")
    gdb = Gdb(tmp_path, tmp_path / "gdb", symbols, "break __x64_sys_newuname", "continue",
              "backtrace 2", "info symbol $pc", "print/x $cs", "info registers rip",
              f"x/s {addresses['linux_banner']:#x}", "stepi", "info symbol $pc",
              f"watch *(long *){addresses['jiffies_64']:#x}", "continue", "info symbol $pc",
              "delete", "monitor info status", "detach")
    answer = console.run("uname -sr", PROMPT, PATIENCE)
    text = gdb.output()
    assert "Breakpoint 1, " in text
    assert re.search(r"#0 .* __x64_sys_newuname \(\)\n#1 .* do_syscall_64 \(\)", text), text
    assert "__x64_sys_newuname in section .text" in text
    assert "$1 = 0x10\n" in text
    assert '"Linux version 6.' in text
    assert re.search(r"__x64_sys_newuname \+ \d+ in section .text", text)
    old, new = re.search(r"Old value = (\d+)\nNew value = (\d+)", text).groups()
    assert int(new) > int(old)
    assert re.search(r"tick_do_update_jiffies64 \+ \d+ in section .text", text)
    assert "VM status: paused (debug)" in text
    assert re.match(r"Linux 6\.", answer)


def test_a_debugger_that_vanishes_leaves_nothing_behind(console, symbols, tmp_path):
    socket = tmp_path / "again"
    console.monitor(f"gdbserver unix:{socket},server=on")
    gdb = Gdb(tmp_path, socket, symbols, "break __x64_sys_newuname", "continue")
    while console.monitor("info status") != "VM status: running\n":
        time.sleep(0.1)
    gdb.process.kill()
    gdb.process.communicate()
    while "disconnected:unix" not in console.monitor("info chardev"):
        time.sleep(0.1)
    assert console.run("uname -s", PROMPT) == "Linux\n"
    gdb = Gdb(tmp_path, socket, symbols, "info threads", "detach")
    assert "CPU#0" in gdb.output()
    console.monitor("gdbserver none")
    assert not socket.exists()
    assert console.run("echo going on", PROMPT) == "going on\n"
