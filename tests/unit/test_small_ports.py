"""Ports of one register: debug console, system control port A, POST codes."""
from pyemu.machine.debugcon import DebugConsole
from pyemu.machine.port92 import Port92
from pyemu.machine.post import Post


class Sink:
    sent = b""

    def write(self, data):
        self.sent += data


def test_debug_console_shows_itself_and_passes_on_what_is_written():
    sink = Sink()
    console = DebugConsole(sink)
    assert console.read(0, 1) == 0xe9
    for byte in b"Sea":
        console.write(0, 1, byte)
    assert console.write_block(b"BIOS") == 4
    assert sink.sent == b"SeaBIOS"


def test_port92_moves_the_a20_gate():
    a20, resets = [], []
    port = Port92(a20.append, resets.append)
    port.write(0, 1, 0x02)
    port.write(0, 1, 0x00)
    assert a20 == [True, False] and not resets


def test_port92_resets_on_the_rising_bit():
    resets = []
    port = Port92(lambda on: None, resets.append)
    port.write(0, 1, 0x01)
    port.write(0, 1, 0x01)
    assert resets == ["guest-reset"] and port.read(0, 1) == 0x01
    port.reset()
    port.write(0, 1, 0x01)
    assert len(resets) == 2


def test_post_code_stays_for_the_monitor():
    post = Post()
    post.write(0, 1, 0xaa)
    assert post.code == 0xaa and post.read(0, 1) == 0xff
