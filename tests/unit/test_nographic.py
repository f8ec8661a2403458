"""-nographic on a terminal: serial port and monitor on one screen, as the user meets them."""
import subprocess
import sys

import pytest
from unit.pty_program import PtyProgram

PROGRAM = """
import queue, sys
from types import SimpleNamespace
from pyemu.chardev.registry import Chardevs
from pyemu.monitor.monitor import Monitor
from pyemu.options import parse

config = parse(sys.argv[1:])
vcpu = queue.SimpleQueue()
end = lambda status=0, cause="": vcpu.put(lambda: sys.exit(status))
runner = SimpleNamespace(status=lambda: "running", quit=end, call=lambda function: function())
chardevs = Chardevs(config.chardevs, end)
serials = [chardevs.attach(ident, vcpu.put) for ident in config.serials]
monitors = [Monitor(runner, config, chardevs, ident) for ident in config.monitors]
for serial in serials:
    serial.on_readable = lambda: serial.write(b"<" + serial.read(100) + b">")
    serial.on_break = lambda: serial.write(b"<break>")
for monitor in monitors:
    monitor.start()
chardevs.start()
try:
    for serial in serials:
        serial.write(b"login: ")
    while True:
        vcpu.get()()
finally:
    chardevs.close()
"""


class Terminal(PtyProgram):
    def __init__(self, *options):
        super().__init__(PROGRAM, *options)

    def type(self, data, answer):
        """Type, and read up to `answer`."""
        super().type(data)
        return self.expect(answer).replace(b"\r\r", b"\r")


@pytest.fixture
def nographic():
    terminal = Terminal("-nographic")
    terminal.expect(b"login: ")
    return terminal


def test_the_serial_port_has_the_keyboard_first_and_ctrl_a_c_turns_to_the_monitor(nographic):
    nographic.type(b"a\x03", b"<a\x03>")
    assert nographic.type(b"\x01c", b"(qemu) ") == (
        b"pyemu 0.1.0 monitor - type 'help' for more information\r\n(qemu) ")
    assert nographic.type(b"info status\r", b"running\r\r\n(qemu) ").startswith(
        b"info status\r\nVM status: running\r\n")
    nographic.type(b"sto\x01c", b"sto\r\r\n")
    nographic.type(b"b", b"<b>")
    nographic.type(b"\x01b", b"<break>")
    nographic.type(b"\x01c", b"(qemu) sto")
    nographic.type(b"\x15quit\r", b"quit")
    assert nographic.end() == (0, True)


def test_ctrl_a_x_quits(nographic):
    nographic.type(b"\x01x", b"pyemu: Terminated")
    assert nographic.end() == (0, True)


def test_a_monitor_alone_keeps_ctrl_c():
    terminal = Terminal("-monitor", "stdio", "-display", "none")
    terminal.expect(b"(qemu) ")
    terminal.type(b"foo\r", b"unknown command: 'foo'")
    terminal.type(b"\x03", b"terminating on signal 2")
    assert terminal.end() == (0, True)


def test_commands_from_a_pipe():
    done = subprocess.run([sys.executable, "-c", PROGRAM, "-monitor", "stdio"], timeout=20,
                          input=b"info version\nquit\n", capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"pyemu 0.1.0 monitor - type 'help' for more information\r\n"
                           b"(qemu) info version\r\n0.1.0\r\n(qemu) quit\r\n")
