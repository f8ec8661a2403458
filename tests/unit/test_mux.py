"""The mux: front ends that share a device, and what Ctrl-A does."""
import re

from pyemu.chardev.mux import Mux


def now(function):
    """A `post` for tests that are their own thread."""
    function()


class Keyboard:
    """A mux with two front ends, what it has written and what each got."""

    def __init__(self, **options):
        self.log = []
        self.quits = []
        self.mux = Mux(self.log.append, lambda: self.quits.append("quit"),
                       options.get("on_commit"))
        self.serial = self.mux.attach(now)
        self.monitor = self.mux.attach(now)

    def type(self, data):
        self.mux.receive(data)
        return self.serial.read(100), self.monitor.read(100)

    def written(self):
        text = b"".join(self.log)
        self.log.clear()
        return text


def test_ctrl_a_c_switches_between_serial_port_and_monitor():
    keyboard = Keyboard()
    focus = []
    keyboard.serial.on_focus = lambda gained: focus.append(("serial", gained))
    keyboard.monitor.on_focus = lambda gained: focus.append(("monitor", gained))
    assert keyboard.type(b"ab\x01cde") == (b"ab", b"de")
    assert focus == [("serial", False), ("monitor", True)]
    assert keyboard.type(b"x\x01cy") == (b"y", b"x")


def test_ctrl_a_twice_sends_one():
    assert Keyboard().type(b"a\x01\x01b") == (b"a\x01b", b"")


def test_an_escape_may_come_in_two_reads():
    keyboard = Keyboard()
    assert keyboard.type(b"a\x01") == (b"a", b"")
    assert keyboard.type(b"cb") == (b"", b"b")


def test_ctrl_a_x_says_so_and_quits():
    keyboard = Keyboard()
    keyboard.type(b"\x01x")
    assert keyboard.quits == ["quit"]
    assert keyboard.written() == b"pyemu: Terminated\r\n"


def test_ctrl_a_h_lists_what_there_is():
    keyboard = Keyboard()
    keyboard.type(b"\x01h")
    listing = keyboard.written().decode()
    assert re.findall(r"C-a (\S+) +\S", listing) == ["h", "x", "t", "b", "c", "C-a"]
    assert "C-a x    exit emulator\r\n" in listing
    commits = []
    keyboard = Keyboard(on_commit=lambda: commits.append(1))
    keyboard.type(b"\x01?\x01s")
    assert b"C-a s    save disk data" in keyboard.written()
    assert commits == [1]


def test_ctrl_a_b_sends_a_break_to_the_one_in_focus():
    keyboard = Keyboard()
    breaks = []
    keyboard.serial.on_break = lambda: breaks.append("serial")
    keyboard.monitor.on_break = lambda: breaks.append("monitor")
    keyboard.type(b"\x01b\x01c\x01b")
    assert breaks == ["serial", "monitor"]


def test_other_keys_after_ctrl_a_are_swallowed():
    assert Keyboard().type(b"a\x01zb") == (b"ab", b"")


def test_ctrl_a_t_stamps_each_line_that_begins():
    keyboard = Keyboard()
    keyboard.serial.write(b"before")
    keyboard.type(b"\x01t")
    keyboard.serial.write(b" the end\r\nnext\r\n\n")
    keyboard.serial.write(b"last")
    text = keyboard.written()
    assert re.sub(rb"\[\d\d:\d\d:\d\d\.\d{3}\] ", b"@", text) == (
        b"before the end\r\n@next\r\n@\n@last")
    keyboard.type(b"\x01t")
    keyboard.serial.write(b"\nplain")
    assert keyboard.written() == b"\nplain"
