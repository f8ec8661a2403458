"""mini.img on a terminal: what its user sees, types and gets back."""
import fcntl
import os
import signal
import struct
import termios
import time

import pyte
import pytest

from .console import IMAGES, PYEMU, Console

COLUMNS, ROWS = 100, 30
PROMPT = "root@mini:/root#"
ALT_1, ALT_2 = b"\x1b1", b"\x1b2"


class Terminal(Console):
    """`screen` is what the terminal shows."""

    def __init__(self, *options):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        stream = pyte.Stream(self.screen)
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        super().__init__([PYEMU, "-m", "256", "-display", "curses", *options],
                         on_text=stream.feed, terminal=True, env=environment)
        self.before = termios.tcgetattr(self._input)
        self.resize(COLUMNS, ROWS)

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def lines(self):
        return [line.strip() for line in self.screen.display]

    def wait_for(self, line):
        self._wait(lambda: line in self.lines(), line)

    def wait_for_prompt(self):
        """With the cursor behind it."""
        cursor = self.screen.cursor
        self._wait(lambda: self.screen.display[cursor.y][:cursor.x].lstrip() == PROMPT + " ",
                   "prompt")

    def _wait(self, condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            assert self._read(min(deadline, time.monotonic() + 1)) or not self._ended, self.text
            assert time.monotonic() < deadline, f"no {what!r}:\n" + "\n".join(self.lines())

    def cell(self, text):
        """The first cell of a text on the screen: its character and colours."""
        for number, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[number][line.index(text)]
        raise AssertionError(f"no {text!r}:\n" + "\n".join(self.lines()))

    def settings(self):
        return termios.tcgetattr(self._input)


@pytest.fixture(scope="module")
def terminal():
    with Terminal("-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on") as terminal:
        terminal.wait_for("mini login:")
        terminal.send(b"root\r")
        terminal.wait_for_prompt()
        yield terminal


def test_a_login(terminal):
    terminal.send(b'echo "Hello, $USER!" | tr a-z A-Z\r')
    terminal.wait_for("HELLO, ROOT!")
    terminal.wait_for_prompt()
    assert terminal.screen.cursor.x == (COLUMNS - 80) // 2 + len(PROMPT + " ")  # centred


def test_colours_and_line_graphics(terminal):
    terminal.send(b"printf '\\033[31;44mREDonBLUE \\033[1;32;40mGREEN\\033[0m'; "
                  b"printf ' \\342\\225\\224\\342\\226\\210 BOX\\n'\r")
    terminal.wait_for("REDonBLUE GREEN ╔█ BOX")
    red = terminal.cell("REDonBLUE GREEN ╔")
    assert (red.fg, red.bg, red.bold) == ("red", "blue", False)
    green = terminal.cell("GREEN ╔")
    assert (green.fg, green.bg, green.bold) == ("green", "black", True)


def test_control_and_function_keys(terminal):
    terminal.send(b"sleep 1000\r")
    terminal.wait_for(f"{PROMPT} sleep 1000")
    terminal.send(b"\x03")
    terminal.wait_for_prompt()
    terminal.send(b"echo ba\x1b[D\x1b[D-\x1b[F+\r")  # left twice, end
    terminal.wait_for("-ba+")
    terminal.wait_for_prompt()
    terminal.send(b"\x1b[A")  # up: once more
    terminal.wait_for(f"{PROMPT} echo -ba+")
    terminal.send(b"\r")


def test_a_smaller_window_shows_where_the_cursor_is(terminal):
    terminal.resize(40, 10)
    terminal.send(b"clear; seq 30\r")
    terminal.wait_for("30")
    terminal.wait_for_prompt()
    terminal.resize(COLUMNS, ROWS)
    terminal.send(b"echo wide again | tr a-z A-Z\r")
    terminal.wait_for("WIDE AGAIN")


def test_stop_and_resume(terminal):
    os.kill(terminal.process.pid, signal.SIGTSTP)
    deadline = time.monotonic() + 30
    while terminal.settings() != terminal.before:
        assert time.monotonic() < deadline, "the terminal stays as it was"
        time.sleep(0.05)
    terminal.screen.reset()
    os.kill(terminal.process.pid, signal.SIGCONT)
    terminal.wait_for("WIDE AGAIN")
    assert terminal.settings() != terminal.before


def test_monitor_and_graphics(terminal):
    terminal.send(ALT_2)
    terminal.wait_for("compat_monitor0 console")
    terminal.send(b"info stat\tx\x7f\r")
    terminal.wait_for("VM status: running")
    for index, value in ((4, 0), (1, 640), (2, 480), (3, 32), (4, 0x41)):
        terminal.send(b"o/2 0x1ce %d\ro/2 0x1cf %d\r" % (index, value))
    terminal.wait_for("(qemu) o/2 0x1cf 65")
    terminal.send(ALT_1)
    terminal.wait_for("640 x 480 Graphic mode")


def test_end(terminal):
    terminal.send(ALT_2 + b"quit\r")
    assert terminal.wait() == 0
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_terminal_is_given_back_after_a_signal(number):
    with Terminal() as terminal:
        terminal.expect("SeaBIOS")
        os.kill(terminal.process.pid, number)
        assert terminal.wait() == 0
        assert terminal.text.endswith(f"pyemu: terminating on signal {number:d}\r\n")
        assert terminal.settings() == terminal.before
