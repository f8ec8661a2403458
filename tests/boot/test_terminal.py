"""-nographic on a real terminal: Ctrl-A, signals, and the terminal as it was in the end."""
import signal
import sys
import termios

import pytest

from .console import PYEMU, Console

ARGUMENTS = ["-nographic", "-net", "none"]  # nothing to boot from: SeaBIOS says so and waits
HELPS = ("C-a h    print this help", "C-a x    exit emulator", "C-a c    ")


class Terminal(Console):
    def __init__(self, command=PYEMU, arguments=ARGUMENTS):
        super().__init__([command, *arguments], terminal=True)
        self.before = self.settings()

    def settings(self):
        return termios.tcgetattr(self._input)


@pytest.fixture
def terminal():
    with Terminal() as terminal:
        terminal.expect("No bootable device.")
        assert terminal.settings() != terminal.before
        yield terminal
        assert terminal.settings() == terminal.before


def test_control_a_x(terminal):
    terminal.send(b"\x01x")
    assert terminal.wait() == 0


def test_control_a_h(terminal):
    terminal.send(b"\x01h")
    for line in HELPS:
        terminal.expect(line)
    terminal.send(b"\x01x")
    assert terminal.wait() == 0


def test_control_c_goes_to_the_guest(terminal):
    terminal.send(b"\x03")
    assert terminal.monitor("info status") == "VM status: running\n"
    terminal.send(b"\x01x")
    assert terminal.wait() == 0


def test_control_a_c_and_quit(terminal):
    terminal.send(b"\x01c")
    terminal.expect("(qemu) ")
    terminal.type("quit")
    assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_the_machine(terminal, number):
    """Twice in a row is once: timeout(1) sends its signal so."""
    for _ in range(2):
        terminal.process.send_signal(number)
    assert terminal.wait() == 0
    assert f"pyemu: terminating on signal {number:d}" in terminal.text


FAULT = """
import sys
from pyemu import cli
from pyemu.machine.mc146818 import Rtc

def read(self, offset, size):
    raise ZeroDivisionError("division by zero")

Rtc.read = read
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_fault_of_ours_ends_in_one_line_with_the_terminal_restored():
    with Terminal(sys.executable, ["-c", FAULT, *ARGUMENTS]) as terminal:
        assert terminal.wait() == 1
        assert terminal.settings() == terminal.before
        assert "pyemu: internal error: ZeroDivisionError: division by zero" in terminal.text
        assert "Traceback" not in terminal.text
