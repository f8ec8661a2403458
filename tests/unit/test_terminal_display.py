"""-display curses: keys, the consoles' paper, who may have the terminal."""
import curses
import subprocess

import numpy as np
import pytest
from pyemu.config import UserError
from pyemu.display.cells import Cells
from pyemu.display.paper import Paper
from pyemu.display.terminal_keys import for_console, strokes
from pyemu.machine.keymap import KEYS
from pyemu.options import parse

from ..boot.console import PYEMU
from .vnc_client import FakeRunner


@pytest.mark.parametrize(("key", "pressed"), [
    ("a", ("a",)), ("A", ("shift", "a")), ("!", ("shift", "1")), (" ", ("spc",)),
    ("\r", ("ret",)), ("\t", ("tab",)), ("\x7f", ("backspace",)), ("\x1b", ("esc",)),
    ("\x03", ("ctrl", "c")), ("\x1c", ("ctrl", "backslash")), ("é", ()),
    (curses.KEY_UP, ("up",)), (curses.KEY_BTAB, ("shift", "tab")), (curses.KEY_F1, ("f1",)),
    (curses.KEY_F12, ("f12",)), (curses.KEY_F1 + 12, ("shift", "f1")),
    (curses.KEY_F1 + 24, ("ctrl", "f1")), (curses.KEY_RESIZE, ()), (curses.KEY_MOUSE, ()),
])
def test_keys(key, pressed):
    assert strokes(key) == pressed
    assert strokes(key, alt=True) == (("alt", *pressed) if pressed else ())
    assert set(pressed) <= set(KEYS)


def test_all_of_ascii_can_be_typed():
    assert all(strokes(chr(code)) for code in range(0x80))


def test_keys_for_a_console():
    assert [for_console(key) for key in ("x", "\t", curses.KEY_UP, curses.KEY_F1)] == [
        b"x", b"\t", b"\x1b[A", b""]


def written(*parts, width=20):
    paper = Paper("title", width)
    for part in parts:
        paper.write(part)
    return paper.lines[1:], paper.column


@pytest.mark.parametrize(("parts", "lines", "column"), [
    ([b"one\r\ntwo"], ["one", "two"], 3),
    ([b"abc\x1b[2Dxy"], ["axy"], 3),
    ([b"abc\x1b[1D\x1b[K"], ["ab"], 2),
    ([b"abc\x1b", b"[1", b"D*"], ["ab*"], 3),
    ([b"\xc3", b"\xa9"], ["é"], 1),
    ([b"ab\b\b\b", b"x"], ["xb"], 1),
    ([b"12345", b"678"], ["12345678"], 8),
    ([24 * b"x"], [20 * "x", 4 * "x"], 4),
    ([b"\x1b]0;a title that does not end"], ["]0;a title that does", " not end"], 8),
    ([b"\x1b[31mred\x1b[0m"], ["red"], 3),
    ([b"\x1b[99D\a"], [""], 0),
    ([b"\x1b[" + 5000 * b"1" + b"D"], ["[" + 19 * "1", *249 * [20 * "1"], "1D"], 2),
])
def test_paper(parts, lines, column):
    assert written(*parts) == (lines, column)


def test_paper_is_cleared_and_ends():
    paper = Paper("title", 10)
    paper.write(b"text\x1b[2J\x1b[1;1Hnew")
    assert (paper.lines, paper.column) == (["new"], 3)
    paper.write(b"line\n" * 5000)
    assert len(paper.lines) == 500


def test_the_monitor_is_on_a_console():
    config = parse(["-display", "curses"])
    assert [chardev.kind for chardev in config.chardevs] == ["vc"]
    assert parse(["-display", "curses", "-monitor", "none"]).monitors == []
    config = parse(["-display", "curses", "-serial", "vc"])
    assert [chardev.id for chardev in config.chardevs] == ["serial0", "compat_monitor0"]


@pytest.mark.parametrize(("line", "complaint"), [
    ("-display curses -serial stdio", "-serial stdio: -display curses has the terminal"),
    ("-display none -monitor vc", "-monitor vc: only -display curses has consoles"),
    ("-display curses,foo=on", "-display curses,foo=on: Parameter 'foo' is unexpected"),
    ("-nographic -display curses", "-nographic and -display exclude each other"),
])
def test_complaints(line, complaint):
    with pytest.raises(UserError) as caught:
        parse(line.split())
    assert str(caught.value) == complaint


def test_no_terminal():
    result = subprocess.run([PYEMU, "-display", "curses"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "pyemu: -display curses: We need a terminal output\n"


# The guest's screen

@pytest.fixture
def runner(clock):
    runner = FakeRunner(clock)
    vga = runner.machine.vga
    vga.registers.attribute_index = 0x20
    for index, value in ((0x01, 9), (0x09, 15), (0x12, 31), (0x13, 5), (0x0a, 0), (0x0b, 15),
                         (0x0f, 12), (0x18, 0xff), (0x07, 0x10)):
        vga.registers.crtc[index] = value
    for place, pair in enumerate([(0x41, 0x1e), (0xc9, 0x1e), (0, 0x07)]):
        vga.vram[4 * place:4 * place + 2] = bytes(pair)
    vga.vram[12 * 4:12 * 4 + 2] = b"Z\x70"
    return runner


@pytest.fixture
def cells(runner):
    return Cells(runner, "utf-8")


def test_text(cells):
    cells.rows()  # asks for the registers
    rows, cursor = cells.rows()
    assert rows[0][:2] == [("A╔", 0x1e), (" ", 0x07)]
    assert ("Z", 0x70) in rows[1]
    assert len(rows) == 2 and sum(len(text) for text, _ in rows[0]) == 10
    assert cursor == (1, 2)


def test_what_the_terminal_cannot_write(runner):
    ascii_only = Cells(runner, "ascii")
    ascii_only.rows()
    assert ascii_only.rows()[0][0][0] == ("A?", 0x1e)


def test_other_modes(runner, cells):
    vga = runner.machine.vga
    assert cells.rows() == ([[("VGA Blank mode", 7)]], None)
    vga.registers.graphics[6] = 1
    cells.rows()
    assert cells.rows()[0] == [[("80 x 32 Graphic mode", 7)]]
    runner.show(np.zeros((64, 48), np.uint32))
    cells.rows()
    assert cells.rows()[0] == [[("48 x 64 Graphic mode", 7)]]
    runner.machine.vga = None
    assert Cells(runner, "utf-8").rows() == ([[("VGA Blank mode", 7)]], None)
