"""QEMU's VNC server beside ours: one client for both, and the same answers of the monitors."""
import json
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ..unit.vnc_client import (
    DESKTOP_SIZE,
    EXTENDED_DESKTOP_SIZE,
    EXTENDED_KEYS,
    HEXTILE,
    POINTER_TYPE,
    RAW,
    ZLIB,
    Viewer,
)

COMMANDS = {"pyemu": [Path(sys.executable).parent / "pyemu"],
            "qemu": ["qemu-system-x86_64", "-M", "pc"]}
OPTIONS = ["-S", "-nodefaults", "-vga", "std", "-name", "hal", "-m", "32", "-qmp", "stdio"]
PATIENCE = 30  # seconds

CONVERSATION = r"""
{"execute":"query-vnc"}
{"execute":"query-vnc-servers"}
{"execute":"set_password","arguments":{"protocol":"vnc","password":"abc"}}
{"execute":"set_password","arguments":{"protocol":"vnc","password":"abc","connected":"keep"}}
{"execute":"set_password","arguments":{"protocol":"vnc","password":"abc","connected":"fail"}}
{"execute":"set_password","arguments":{"protocol":"vnc","password":"abc","display":"default"}}
{"execute":"set_password","arguments":{"protocol":"vnc","password":"abc","display":"x"}}
{"execute":"set_password","arguments":{"protocol":"spice","password":"abc"}}
{"execute":"set_password","arguments":{"protocol":"spice","password":"abc","display":"x"}}
{"execute":"set_password","arguments":{"protocol":"foo","password":"abc"}}
{"execute":"set_password","arguments":{"protocol":"vnc"}}
{"execute":"expire_password","arguments":{"protocol":"vnc","time":"never"}}
{"execute":"expire_password","arguments":{"protocol":"vnc","time":"+10","display":"x"}}
{"execute":"change-vnc-password","arguments":{"password":"x"}}
HMP info vnc
HMP set_password vnc foo -d x
HMP set_password vnc foo disconnect
HMP set_password vnc foo bla
HMP set_password bla foo
HMP set_password vnc
HMP expire_password vnc now
HMP expire_password foo now
HMP expire_password vnc now -d x
HMP change vnc :4
HMP change vnc password
HMP change vnc password foo
"""


class Emulator:
    """With QMP at its pipes, and VNC on `port`."""

    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.events = []
        self.read()
        self.ask('{"execute":"qmp_capabilities"}')

    def read(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, line):
        """The answer to a command of QMP, or of the monitor; events go aside."""
        if line.startswith("HMP "):
            line = json.dumps({"execute": "human-monitor-command",
                               "arguments": {"command-line": line[4:]}})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        while "event" in (answer := self.read()):
            self.events.append(answer)
        return answer

    def connect(self, **options):
        viewer = Viewer(socket.create_connection(("127.0.0.1", self.port)),
                        lambda: time.sleep(0.01))
        self.name = viewer.greet(**options)
        return viewer


@contextmanager
def running(which, vnc, *options):
    port = free_port()
    process = subprocess.Popen(
        [*COMMANDS[which], *OPTIONS, *options, "-vnc", f"127.0.0.1:{port - 5900}{vnc}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            yield Emulator(process, port)
        finally:
            process.kill()


def free_port():
    for port in range(5990, 6990):
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            continue
    raise AssertionError("no port is free")


def without_numbers(answer):
    return json.loads(re.sub(r"\b[0-9]{4,5}\b", "PORT", json.dumps(answer)))


@pytest.mark.parametrize("vnc", [",password=on", ""])
def test_the_same_answers(vnc):
    said = {}
    for which in COMMANDS:
        with running(which, vnc) as emulator:
            said[which] = [(line, without_numbers(emulator.ask(line)))
                           for line in CONVERSATION.strip().splitlines()]
    assert said["pyemu"] == said["qemu"]


def test_the_same_events():
    told = {}
    for which in COMMANDS:
        with running(which, "") as emulator:
            emulator.connect().close()
            deadline = time.monotonic() + PATIENCE
            while len(emulator.events) < 3:
                assert time.monotonic() < deadline, emulator.events
                emulator.ask('{"execute":"query-status"}')
            told[which] = [(event["event"], without_numbers(event["data"]))
                           for event in emulator.events]
    assert told["pyemu"] == told["qemu"]


def test_the_same_news():
    """What a client is told before it has asked for anything."""
    news = {}
    for which in COMMANDS:
        with running(which, "") as emulator:
            viewer = emulator.connect()
            viewer.set_encodings(RAW, DESKTOP_SIZE, POINTER_TYPE, EXTENDED_KEYS,
                                 EXTENDED_DESKTOP_SIZE)
            viewer.refresh()
            assert emulator.name == ("pyemu (hal)" if which == "pyemu" else "QEMU (hal)")
            news[which] = set(viewer.news), viewer.picture.shape
    assert news["pyemu"] == news["qemu"]


@pytest.mark.parametrize("which", COMMANDS)
def test_the_client_understands_both(which, tmp_path):
    """What it makes of each encoding is what screendump shows; so our encoders are no dialect."""
    def shown():
        emulator.ask(json.dumps({"execute": "screendump", "arguments": {
            "filename": str(tmp_path / "dump")}}))
        _, size, _, pixels = (tmp_path / "dump").read_bytes().split(b"\n", 3)
        parts = np.frombuffer(pixels, np.uint8).reshape(*map(int, reversed(size.split())), 3)
        return parts.astype(np.uint32) @ np.array((1 << 16, 1 << 8, 1), np.uint32)

    with running(which, "") as emulator:
        emulator.ask('{"execute":"cont"}')
        deadline = time.monotonic() + PATIENCE
        for encoding in (RAW, HEXTILE, ZLIB):
            viewer = emulator.connect()
            viewer.set_encodings(encoding, DESKTOP_SIZE)
            viewer.refresh()
            while not (np.array_equal(viewer.picture, dump := shown()) and dump.any()):
                assert time.monotonic() < deadline, "the pictures differ"
                viewer.refresh()  # the cursor blinks
            viewer.close()
