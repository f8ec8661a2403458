"""The same line typed into QEMU's monitor and into ours, on the same guest: the same answer."""
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..guests.harness import assemble

QEMU = "qemu-system-x86_64"
PYEMU = Path(sys.executable).with_name("pyemu")
SOURCE = Path(__file__).with_name("monitors.asm")
PROMPT = b"(qemu) "
PATIENCE = 60  # seconds
BOOT_SECTOR = 0x7c00
VARYING = (  # by nature: what is counted and measured, numbers of threads and descriptors
    (r"thread_id=\d+", "thread_id"), (r"irr=[0-9a-f]{2}", "irr"), (r"\] +\d+ ", "] FD "),
    (r"current_count = \d+", "current_count"),
    (r"TR =(.*)8[9b]00( DPL=0 TSS..-)?.*", r"TR =\1"),  # the type of one that nobody has loaded
    (r": 8000(\w{12} X)", r": 0000\1"),  # QEMU takes PAE's no-execute bit for an address bit
)

EVERYWHERE = """
info registers
info registers -a
info registers 0
info registers 1
info registers x
info status
info status x
info name
info cpus
info kvm
info uuid
info uuid x
info numa
info memory_size_summary
info mice
info pic
info pic x
info lapic
info lapic 0
info lapic 1
info pci
info pci x
info mem
info tlb
info tlb x
info nosuch
help info mem
help nosuch
help x
gva2gpa 0x7c00
gva2gpa 0x10000
gva2gpa 0x12fff
gva2gpa 0x12345678
gva2gpa
gva2gpa zz
x/4xb 0x7c00
x/3xw 0x10ffe
x/2xw 0x12345678
x/20xg 0x7c00
x/c 0x7c00
xp/2c 0x7c00
xp/3og 0x7c00
xp/1i 0x7c00
xp 0x7c00
xp/x 0x7c00
xp/3xh 0x7c00
xp/2i 0x7c00
xp/2x 0x7c00
p 5
p/d 5
xp 0x7c00
p 7
xp/0xb 0
xp/20db 0x7c00
xp/9dw 0x7c00
xp/5dg 0x7c00
xp/5ug 0x7c00
xp/5oh 0x7c00
xp/3ob 0x7c00
xp/5ow 0x7c00
xp/20cb 0x7c00
xp/5cw 0x7c00
xp/5uh 0x7c00
xp/xx 0
xp/3zz 0
xp/4xb 0x100000000
xp
p $cs
p $cs.base
p $eip
p $pc
p $eflags
p $foo
p $
p 0
p/o 0
p/c 10
p/c 39
p/c 0x141
p -1
p/u -1
p (1+2)*3|8
p ~1
p 1/0
p (5
p 5 5
p 0xfffffffffffffffff
p
i/b 0x21
i/h 0x21
i
o/b 0x80 0x12
o 5
sum 0x7c00 512
sum 0 -1
sum
mouse_set 1
mouse_set 2
mouse_set 3
mouse_set zz
mouse_set
mouse_move 1 2
mouse_move 1 2 3 4
mouse_move 1
mouse_button 1
mouse_button x
mouse_button
cpu 0
cpu 1
cpu
boot_set ac
boot_set zz
boot_set cc
boot_set acdn
boot_set e
boot_set
nmi x
gdbserver none
gdbserver nosuch
gdbserver none x
commit nosuch
commit
sendkey a-b-c
sendkey nosuch
sendkey
screendump
screendump /nosuch/a
screendump /dev/null -f gif
screendump /dev/null nosuch
log
logfile
logfile /nosuch/x
memsave 0x7c00 512 "/nosuch/x"
memsave 0x12345678 16 "/dev/null"
memsave 0 10
memsave
pmemsave 0x7c00 512 "/nosuch/x"
pmemsave
stop x
cont x
quit x
system_reset x
system_powerdown x
trace-event
trace-event nosuch on
trace-event load_file
info trace-events nosuch
info history x
info usernet
info network
hostfwd_add tcp::5555-:22
hostfwd_remove tcp::5555
hostfwd_add
hostfwd_remove
"""


class Monitor:
    """An emulator with its monitor at a socket."""

    def __init__(self, command, folder, *options):
        path = folder / "monitor"
        self.process = subprocess.Popen(
            [command, "-display", "none", "-nodefaults", "-vga", "std", "-m", "32",
             "-monitor", f"unix:{path},server=on,wait=off", *options], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        while self.socket.connect_ex(str(path)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self._read()

    def _read(self):
        data = b""
        while not data.endswith(PROMPT):
            part = self.socket.recv(65536)
            assert part, f"the monitor has gone after {data}"
            data += part
        return data

    def run(self, line):
        """The lines of the answer."""
        self.socket.sendall(line.encode() + b"\n")
        _, _, answer = self._read().removesuffix(PROMPT).partition(b"\r\n")
        text = answer.decode()
        for pattern, name in VARYING:
            text = re.sub(pattern, name, text)
        return text.split("\r\n")

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while not any(text in line for line in self.run("info registers")):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()


@pytest.fixture
def both(tmp_path):
    """both(*options): QEMU's monitor and ours."""
    if not shutil.which(QEMU):
        pytest.skip(f"{QEMU} is not installed")
    monitors = []

    def start(*options):
        for command in (QEMU, PYEMU):
            folder = tmp_path / Path(command).name
            folder.mkdir()
            monitors.append(Monitor(command, folder, *options))
        return monitors

    yield start
    for monitor in monitors:
        monitor.close()


def sector(mode):
    return assemble(SOURCE.read_text(), 16, BOOT_SECTOR, MODE=mode)


@pytest.mark.parametrize("mode", [16, 32, 36, 64])
def test_the_same_answers(both, tmp_path, mode):
    disk = tmp_path / "disk.img"
    disk.write_bytes(sector(mode))
    qemu, ours = both("-name", "box",
                      "-drive", f"file={disk},format=raw,snapshot=on")
    for monitor in (qemu, ours):
        monitor.wait_for("EAX=11111111" if mode != 64 else "RAX=0000000011111111")
    compare(qemu, ours, EVERYWHERE)


def compare(qemu, ours, lines):
    """All of QEMU's first, as they may not listen on one port at a time."""
    expected, found = ([(line, monitor.run(line)) for line in lines.split("\n") if line]
                       for monitor in (qemu, ours))
    assert [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]] == []


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_network_likewise(both):
    port = free_port()
    compare(*both("-netdev", "user,id=n0", "-device", "e1000,netdev=n0,id=card",
                  "-netdev", "user,id=n1,net=192.168.5.0/24", "-device", "e1000,netdev=n1", "-S"),
            f"""
info pci
info usernet
info network
hostfwd_add tcp:127.0.0.1:{port}-:22
hostfwd_remove tcp:127.0.0.1:{port}
hostfwd_add n1 udp:127.0.0.1:{port}-192.168.5.20:53
info usernet
hostfwd_remove n1 udp:127.0.0.1:{port}
hostfwd_remove n1 udp:127.0.0.1:{port}
info usernet
hostfwd_add n1 tcp::99999-:22
hostfwd_add n1 tcp::22-:99999
hostfwd_add nosuch tcp::22-:22
hostfwd_remove nosuch tcp::22
hostfwd_remove n1 tcp:x:22
hostfwd_remove n1 tcp::x
hostfwd_add a b c
""")
