"""Character devices: gathering, back-pressure, flushing, the mux, the terminal, sockets, ptys."""
import os
import queue
import re
import select
import socket
import threading
import time

import pytest
from pyemu.chardev import frontend, output
from pyemu.chardev.backend import Backend
from pyemu.chardev.frontend import FrontEnd
from pyemu.chardev.loop import IoLoop
from pyemu.chardev.registry import Chardevs
from pyemu.config import ChardevConfig, UserError


def now(function):
    """A `post` for tests that are their own thread."""
    function()


class Owner:
    """Attaches to one device and keeps what comes in."""

    def __init__(self, config):
        self.posted: queue.Queue = queue.Queue()
        self.chardevs = Chardevs([config], on_quit=lambda status, cause: None)
        self.front = self.chardevs.attach(config.id, self.posted.put)
        self.chardevs.start()

    def expect(self, text, timeout=5.0):
        """Wait until `text` has come in and return it with all before it."""
        got = b""
        end = time.monotonic() + timeout
        while text not in got:
            self.posted.get(timeout=max(0.01, end - time.monotonic()))()
            got += self.front.read(1000)
        return got


@pytest.fixture
def owner():
    owners = []

    def make(kind, **fields):
        owners.append(Owner(ChardevConfig("dev", kind, f"-serial {kind}", **fields)))
        return owners[-1]
    yield make
    for one in owners:
        one.chardevs.close()


# The machine's side

def test_the_owner_reads_as_much_as_it_has_room_for():
    front = FrontEnd(lambda data: None, now)
    seen = []
    front.on_readable = lambda: seen.append(front.read(3))
    front.receive(b"abcde")
    assert seen == [b"abc"]
    assert (front.read(100), front.read(100)) == (b"de", b"")


def test_one_call_for_many_bytes_that_come_before_the_owner_looks():
    posted = []
    front = FrontEnd(lambda data: None, posted.append)
    front.receive(b"a")
    front.receive(b"b")
    assert len(posted) == 1
    posted.pop()()
    front.receive(b"c")
    assert len(posted) == 1


def test_a_full_input_asks_for_more_only_when_half_empty():
    front = FrontEnd(lambda data: None, now)
    calls = []
    front.on_room = lambda: calls.append(len(calls))
    front.receive(bytes(frontend.INPUT_LIMIT))
    assert front.room() == 0
    front.read(10)
    assert calls == []
    front.read(frontend.INPUT_LIMIT)
    assert calls == [0]


# Writing

def test_many_small_writes_are_few_system_calls(owner, tmp_path, monkeypatch):
    calls = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(fd) or write(fd, data))
    path = tmp_path / "log"
    device = owner("file", path=str(path))
    for _ in range(23000):
        device.front.write(b"x")
    device.chardevs.close()
    assert path.stat().st_size == 23000
    assert len(calls) < 500


def test_everything_is_in_the_file_after_close(owner, tmp_path):
    device = owner("file", path=str(tmp_path / "log"))
    device.front.write(bytes(range(256)) * 20000)
    device.chardevs.close()
    assert (tmp_path / "log").read_bytes() == bytes(range(256)) * 20000


def test_file_is_emptied_or_continued(owner, tmp_path):
    path = tmp_path / "log"
    for append, text in ((False, b"2"), (True, b"23")):
        path.write_bytes(path.read_bytes() if append else b"1")
        device = owner("file", path=str(path), append=append)
        device.front.write(text[-1:])
        device.chardevs.close()
        assert path.read_bytes() == text


def test_a_full_disk_is_reported_once(owner, capsys):
    device = owner("file", path="/dev/full")
    device.front.write(b"x")
    device.chardevs.close()
    device.front.write(b"x")
    assert capsys.readouterr().err == "pyemu: -serial file: No space left on device\n"


def test_a_file_that_cannot_be(owner):
    with pytest.raises(UserError) as caught:
        owner("file", path="/nosuch/log")
    assert str(caught.value) == (
        "-serial file: Could not open '/nosuch/log': No such file or directory")


def test_a_slow_reader_holds_up_the_writer_and_loses_nothing(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "LIMIT", 10000)
    path = str(tmp_path / "s")
    device = owner("unix", path=path, server=True, wait=False)
    with socket.socket(socket.AF_UNIX) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(path)
        client.send(b"hello")
        device.expect(b"hello")
        text = bytes(range(250)) * 4000
        writer = threading.Thread(target=lambda: [
            device.front.write(text[at:at + 1000]) for at in range(0, len(text), 1000)])
        writer.start()
        time.sleep(0.1)
        assert writer.is_alive()
        got = b""
        while len(got) < len(text):
            got += client.recv(65536)
        writer.join(5)
        assert got == text


def test_release_lets_a_held_up_writer_go(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "LIMIT", 10000)
    monkeypatch.setattr(output, "PATIENCE", 0.05)
    path = str(tmp_path / "s")
    device = owner("unix", path=path, server=True, wait=False)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.send(b"hello")
        device.expect(b"hello")
        writer = threading.Thread(
            target=lambda: [device.front.write(bytes(1000)) for _ in range(2000)], daemon=True)
        writer.start()
        time.sleep(0.05)
        assert writer.is_alive()
        device.chardevs.release_writers()
        writer.join(5)
        assert not writer.is_alive()


def test_a_reader_that_goes_away_in_the_middle_is_let_go():
    """Its descriptor polls as writable for ever, so it must not be watched any more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lost = threading.Event()

    class Pipe(Backend):
        def on_write_error(self, error):
            lost.set()

    loop = IoLoop(on_crash=lambda error: None)
    backend = Pipe(ChardevConfig("p", "null", ""), loop)
    backend.connect(None, writer)
    loop.start()
    backend.output.write(bytes(200000))
    while not backend.output.blocked:
        time.sleep(0.001)
    os.close(reader)
    assert lost.wait(5)
    backend.output.write(b"dropped")
    loop.stop()
    assert writer not in loop._watched
    os.close(writer)


def test_a_fault_on_the_io_thread_ends_the_run_with_one_line(capsys):
    quits = []
    chardevs = Chardevs([], on_quit=lambda status, cause: quits.append(status))
    chardevs.start()
    chardevs.loop.call(lambda: 1 // 0)
    while chardevs.loop.running():
        time.sleep(0.001)
    chardevs.close()
    assert quits == [1]
    assert capsys.readouterr().err == (
        "pyemu: internal error: ZeroDivisionError: integer division or modulo by zero\n")


# The kinds

def test_null_and_nobody_take_and_give_nothing(owner):
    device = owner("null")
    nobody = device.chardevs.attach(None, now)
    for front in (device.front, nobody):
        front.write(b"x")
        assert front.read(10) == b""
    assert device.chardevs.describe() == [("dev", "null")]


def test_unix_server_takes_one_client_after_the_other(owner, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(path)  # and left there
    device = owner("unix", path=path, server=True, wait=False)
    device.front.write(b"lost")
    assert device.chardevs.describe() == [("dev", f"disconnected:unix:{path},server=on")]
    for name in (b"first", b"second"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.send(name)
            device.expect(name)
            device.front.write(b"to " + name)
            assert client.recv(100) == b"to " + name
    device.chardevs.close()
    assert not os.path.exists(path)


def test_a_unix_server_does_not_take_the_place_of_a_file(owner, tmp_path):
    (tmp_path / "disk.img").write_text("precious")
    with pytest.raises(UserError, match=r"disk\.img.: Address already in use"):
        owner("unix", path=str(tmp_path / "disk.img"), server=True, wait=False)
    assert (tmp_path / "disk.img").read_text() == "precious"


def test_a_unix_server_whose_path_is_gone_ends_as_well(owner, tmp_path):
    device = owner("unix", path=str(tmp_path / "s"), server=True, wait=False)
    (tmp_path / "s").unlink()
    device.chardevs.close()


def test_a_peer_that_has_nothing_more_to_say_is_still_answered(owner, tmp_path):
    device = owner("unix", path=str(tmp_path / "s"), server=True, wait=False)
    closed = threading.Event()
    device.front.on_close = closed.set
    answer = b"x" * 1_000_000  # more than a socket takes at once

    def serve():
        while not closed.is_set():
            device.posted.get(timeout=5)()

    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(tmp_path / "s"))
            client.send(b"question")
            client.shutdown(socket.SHUT_WR)
            device.expect(b"question")
            device.front.write(answer)
            closed.clear()
            server = threading.Thread(target=serve)
            server.start()
            with client.makefile("rb") as file:
                assert file.read() == answer
            server.join()


def test_one_is_added_and_removed_while_the_others_run(owner, tmp_path):
    device = owner("null")
    path = tmp_path / "more"
    config = ChardevConfig("more", "unix", "gdbserver", path=str(path), server=True, wait=False)
    for _ in range(2):
        device.chardevs.add(config)
        front = device.chardevs.attach("more", device.posted.put)
        device.chardevs.begin("more")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.send(b"hello")
            while not (got := front.read(100)):
                device.posted.get(timeout=5)()
            assert got == b"hello"
            device.chardevs.remove("more")
        assert not path.exists()
    with pytest.raises(UserError, match="Could not open"):
        device.chardevs.add(ChardevConfig("more", "unix", "gdbserver", path="/nosuch/x",
                                          server=True))


def test_a_break_by_name(owner):
    device = owner("null")
    breaks = []
    device.front.on_break = lambda: breaks.append(True)
    assert device.chardevs.send_break("dev")
    assert not device.chardevs.send_break("nosuch")
    device.posted.get(timeout=5)()
    assert breaks == [True]


def test_tcp_client(owner):
    with socket.create_server(("localhost", 0)) as server:
        device = owner("tcp", host="localhost", port=server.getsockname()[1])
        peer, _ = server.accept()
        with peer:
            device.front.write(b"ping")
            assert peer.recv(100) == b"ping"
            peer.send(b"pong")
            device.expect(b"pong")


def test_tcp_to_nobody(owner):
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=f"Could not open 'localhost:{port}': Connection refused"):
        owner("tcp", host="localhost", port=port)


def test_a_port_that_is_in_use(owner):
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"'localhost:{port}': Address already in use$"):
            owner("tcp", host="localhost", port=port, server=True, wait=False)


def test_pty_connects_and_reconnects(owner, capsys, monkeypatch):
    from pyemu.chardev import pty
    monkeypatch.setattr(pty, "LOOK_AGAIN", 0.01)
    device = owner("pty")
    name = re.fullmatch(r"char device redirected to (/dev/pts/\d+) \(label dev\)\n",
                        capsys.readouterr().out)[1]
    device.front.write(b"lost")
    for text in (b"first", b"second"):
        fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, text)
        device.expect(text)
        device.front.write(b"echo\r\n")
        assert select.select([fd], [], [], 5)[0]
        assert os.read(fd, 100) == b"echo\r\n"
        os.close(fd)
        time.sleep(0.05)
