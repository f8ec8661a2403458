"""Whatever is typed into the monitor of a real machine: an answer, and no fault of ours."""
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from pyemu.monitor.info import SUBCOMMANDS
from pyemu.monitor.monitor import COMMANDS

PYEMU = Path(sys.executable).with_name("pyemu")
FAULT = re.compile(r"^\w+(Error|Exception): ", re.MULTILINE)
HARMFUL = {"quit", "q", "memsave", "pmemsave", "screendump", "logfile", "trace-file", "gdbserver",
           "hostfwd_add", "change", "trace-event", "log"}  # they write files, or open ports
NAMES = [name for command in COMMANDS for name in command.names.split("|") if name not in HARMFUL]
SUBJECTS = [command.names for command in SUBCOMMANDS]
WORDS = ["/4xb", "/c", "/2i", "/999999999", "/", "$rip", "$cs.base", "$", "0x", "(", ")", "-", "--",
         "'", '"', '"a b"', "\\", "99999999999999999999999", "0", "1", "-1", "0xfff0", "a-b",
         "ctrl-alt-f1", "nosuch", "on", "off", "-a", "-f", "tcp::1-:2", "ide1-cd0", "load_*", "vnc",
         "+", "*", "/0", "%", "~"]
KILL_LINE = b"\x15"
KEYS = [b"\t", b"\x1b[A", b"\x1b[B", b"\x1b[D", b"\x1b", b"\x7f", b"\x01", b"\x0b", KILL_LINE,
        b"\xff", b"\x00", "é".encode()]
BATCH = 100  # lines


def line(chance):
    words = [chance.choice(NAMES)] + [
        chance.choice(WORDS if chance.random() < 0.8 else NAMES + SUBJECTS)
        for _ in range(chance.randrange(4))]
    if words[0] == "info":
        words[1:2] = [chance.choice(SUBJECTS)]
    data = bytearray(" ".join(words).encode())
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        at = chance.randrange(len(data) + 1)
        data[at:at] = chance.choice(KEYS)
    if KILL_LINE in data and data.endswith(b"q"):  # of "info irq" the command "q" may be left
        data += b"-"
    return bytes(data) + b"\n"


def test_no_line_brings_a_fault(messages, tmp_path):
    chance = random.Random(1)
    command = [PYEMU, "-S", "-display", "none", "-m", "16", "-monitor",
               "unix:monitor,server=on,wait=off"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        try:
            client = socket.socket(socket.AF_UNIX)
            while client.connect_ex(str(tmp_path / "monitor")):
                assert process.poll() is None
                time.sleep(0.02)
            for start in range(0, messages, BATCH):
                lines = [line(chance) for _ in range(BATCH)]
                mark = b"nosuch%d" % start
                client.sendall(b"".join(lines) + b"\x15" + mark + b"\n")
                data = b""
                while b"unknown command: '%b'" % mark not in data:
                    part = client.recv(1 << 16)
                    assert part, lines
                    data += part
                fault = FAULT.search(data.decode(errors="replace").replace("\r", ""))
                assert not fault, (data[fault.start() - 200:fault.end() + 200], lines)
        finally:
            process.kill()
