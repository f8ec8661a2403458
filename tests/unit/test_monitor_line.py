"""What is typed into the monitor: editing, history, completion, words, expressions."""
import itertools
import re

import pytest
from pyemu.monitor.command import CommandError, UsageError, words_of
from pyemu.monitor.expression import evaluate
from pyemu.monitor.lineedit import HISTORY, LineEditor


class Screen:
    """A LineEditor and the text its user sees, as a terminal shows it."""

    def __init__(self, complete=lambda line: []):
        self.rows = [""]
        self.column = 0
        self.editor = LineEditor("> ", self.write, complete)
        self.editor.show_prompt()

    def write(self, text):
        for part in re.findall(r"\x1b\[\d*(?:;\d*)?[A-Z]|.|\n", text):
            row = self.rows[-1]
            if part == "\n":
                self.rows.append("")
                self.column = 0
            elif part == "\x1b[K":
                self.rows[-1] = row[:self.column]
            elif part[0] == "\x1b":
                assert part[-1] == "D"
                self.column -= int(part[2:-1])
            else:
                self.rows[-1] = row[:self.column] + part + row[self.column + 1:]
                self.column += 1

    def type(self, data):
        return list(self.editor.feed(data))


LEFT, RIGHT, UP, DOWN = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1bOB"
HOME, END, DELETE = b"\x1b[1~", b"\x1b[F", b"\x1b[3~"


@pytest.mark.parametrize(("keys", "line", "cursor"), [
    (b"abc", "abc", 3),
    (b"abc" + LEFT + LEFT + b"X", "aXbc", 2),
    (b"abc" + LEFT * 9 + RIGHT + b"X", "aXbc", 2),
    (b"abc" + HOME + b"X" + END + b"Y", "XabcY", 5),
    (b"abc\x01X\x05Y", "XabcY", 5),
    (b"abc\x7f", "ab", 2), (b"abc\x08\x08\x08\x08", "", 0),
    (b"abc" + LEFT + b"\x7f", "ac", 1),
    (b"abc" + HOME + DELETE, "bc", 0), (b"abc\x04", "abc", 3),
    (b"abc" + LEFT + b"\x0b", "ab", 2), (b"abc def\x15", "", 0),
    (b"abc def \x17", "abc ", 4), (b"abc\x17\x17x", "x", 1),
    (b"a\x1b[99;5Zb\x1bxc\x02\x06", "abc", 3),
    ("gr\u00fc\u00df".encode(), "gr\u00fc\u00df", 4),
])
def test_editing_shows_what_is_in_the_line(keys, line, cursor):
    screen = Screen()
    screen.type(keys)
    assert screen.rows == [f"> {line}"]
    assert screen.column == 2 + cursor
    assert screen.type(b"\r") == [line]


def test_any_mix_of_keys_leaves_line_and_screen_alike():
    keys = [b"a", b" ", LEFT, RIGHT, HOME, END, DELETE, b"\x7f", b"\x0b", b"\x17", UP, DOWN]
    for mix in itertools.product(keys, repeat=3):
        screen = Screen()
        screen.type(b"old line\r")
        screen.editor.show_prompt()
        screen.type(b"xy z" + b"".join(mix))
        seen = screen.rows[-1]
        assert seen == "> " + screen.type(b"\r")[0]


def test_history():
    screen = Screen()
    assert screen.type(b"one\rtwo\n \rone\r") == ["one", "two", " ", "one"]
    assert screen.editor.history == ["two", "one"]
    assert screen.type(b"new" + UP + UP + UP + DOWN + b"\r") == ["one"]
    assert screen.type(b"new" + UP + DOWN + b"er\r") == ["newer"]
    for number in range(HISTORY + 10):
        screen.type(b"%d\r" % number)
    assert len(screen.editor.history) == HISTORY


def test_line_ends():
    assert Screen().type(b"a\r\nb\nc\r") == ["a", "b", "c"]


def test_completion_of_one_of_several_and_of_none():
    words = ["stop", "status", "quit"]
    screen = Screen(lambda line: [w for w in words if w.startswith(line.split(" ")[-1])])
    screen.type(b"q\t")
    assert screen.rows == ["> quit "]
    screen.type(b"s\t")
    assert screen.rows == ["> quit st"]
    screen.type(b"\t")
    assert screen.rows == ["> quit st", "status  stop", "> quit st"]
    screen.type(b"x\t")
    assert screen.rows[-1] == "> quit stx"


@pytest.mark.parametrize(("typed", "line"), [
    ("trace-f", "trace-file "), ("inf", "info "), ("info sta", "info status "),
    ("help system_r", "help system_reset "), ("help info trace", "help info trace-events "),
    ("trace-event load_f", "trace-event load_file "), ("trace-event load_file of",
                                                        "trace-event load_file off "),
    ("info trace-events load_f", "info trace-events load_file "),
    ("trace-file fl", "trace-file flush "), ("info block ide", "info block ide0-hd0 "),
    ("sendkey ctrl-delet", "sendkey ctrl-delete "), ("nosuch x", "nosuch x"),
])
def test_completion_in_the_monitor(monitor, typed, line):
    list(monitor.editor.feed(typed.encode() + b"\t"))
    assert monitor.editor._line == line


# Expressions and words

@pytest.mark.parametrize(("text", "value"), [
    ("1+2*3", 7), ("(1+2)*3", 9), ("010", 8), ("0x1F", 31), ("7%4", 3), ("6&3|8", 10),
    ("5^1", 4), ("~0", 2**64 - 1), ("-1", 2**64 - 1), ("'a'", 97), (" 1 + 2 ", 3), ("8-4-2", 2),
])
def test_expressions(text, value):
    assert evaluate(text, lambda name: 0) == value


@pytest.mark.parametrize("text", ["1+", "09", "1 2", "(", "0x", "$", "1**2", str(2**64), "''"])
def test_bad_expressions(text):
    with pytest.raises(UsageError):
        evaluate(text, {}.__getattribute__)


def test_words():
    assert words_of('set  "a b\\"c" d"e f"') == ["set", 'a b"c', "de f"]
    with pytest.raises(CommandError):
        words_of('"open')
