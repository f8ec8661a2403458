"""Character devices: gathering, back-pressure, flushing, the mux, the terminal, sockets, ptys."""
import errno
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

import pytest
from pyemu.chardev import frontend, output
from pyemu.chardev.backend import Backend
from pyemu.chardev.frontend import FrontEnd
from pyemu.chardev.loop import IoLoop
from pyemu.chardev.mux import Mux
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


# The mux

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
    (tmp_path / "s").write_text("left by a killed one")
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


# The terminal and the standard streams, in a process of their own

ECHO = """
import os, queue, sys
from pyemu.chardev.registry import Chardevs
from pyemu.config import ChardevConfig
posted = queue.Queue()
quit = lambda status, cause: posted.put(lambda: sys.exit(status))
config = ChardevConfig("s", "stdio", "-serial stdio", mux=sys.argv[1] == "mux",
                       signals=sys.argv[1] != "mux")
chardevs = Chardevs([config], quit)
serial = chardevs.attach("s", posted.put)
serial.on_readable = lambda: serial.write(b"<" + serial.read(100) + b">")
chardevs.start()
serial.write(b"ready\\n")
if sys.argv[1] == "crash": 1 // 0
try:
    while True: posted.get()()
finally:
    chardevs.close()
"""


class Session:
    """The program above on a pseudo-terminal."""

    def __init__(self, mode):
        self.fd, slave = os.openpty()
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-c", ECHO, mode],
            stdin=slave, stdout=slave, stderr=slave)
        self.slave = slave

    def expect(self, text):
        got = b""
        while text not in got:
            assert select.select([self.fd], [], [], 10)[0], got
            got += os.read(self.fd, 1000)
        return got

    def type(self, data):
        os.write(self.fd, data)

    def state(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rsplit(")")[1].split()[0]

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self):
        status = self.process.wait(10)
        restored = termios.tcgetattr(self.slave) == self.before
        os.close(self.fd)
        os.close(self.slave)
        return status, restored


def test_the_terminal_is_raw_and_restored_by_ctrl_a_x():
    session = Session("mux")
    session.expect(b"ready")
    assert session.is_raw()
    session.type(b"\x03")  # Ctrl-C is the guest's
    session.expect(b"<\x03>")
    session.type(b"\x01x")
    session.expect(b"pyemu: Terminated")
    assert session.end() == (0, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_terminal_is_restored_after_a_signal(number):
    session = Session("mux")
    session.expect(b"ready")
    os.kill(session.process.pid, number)
    session.expect(b"pyemu: terminating on signal %d\r\n" % number)
    assert session.end() == (0, True)


def test_a_terminal_window_that_is_closed_ends_the_machine():
    session = Session("mux")
    session.expect(b"ready")
    os.close(session.slave)
    os.close(session.fd)
    assert session.process.wait(10) == 0


def test_ctrl_c_ends_where_it_is_not_the_guests():
    session = Session("plain")
    session.expect(b"ready")
    session.type(b"\x03")
    session.expect(b"terminating on signal 2")
    assert session.end() == (0, True)


def test_the_terminal_is_restored_after_an_exception():
    session = Session("crash")
    session.expect(b"ZeroDivisionError")
    assert session.end() == (1, True)


def test_the_terminal_is_given_back_while_stopped():
    session = Session("mux")
    session.expect(b"ready")
    os.kill(session.process.pid, signal.SIGTSTP)
    while session.state() != "T":
        time.sleep(0.01)
    assert termios.tcgetattr(session.slave) == session.before
    os.kill(session.process.pid, signal.SIGCONT)
    while not session.is_raw():
        time.sleep(0.01)
    session.type(b"a")
    session.expect(b"<a>")
    session.type(b"\x01x")
    assert session.end() == (0, True)


def echo(mode, shell, **options):
    return subprocess.run(["sh", "-c", f'{shell}', ECHO, sys.executable, mode],
                          capture_output=True, timeout=20, **options)


@pytest.mark.parametrize(("source", "answer"), [
    ('printf "ab\\001x"', b"ready\n<ab>pyemu: Terminated\r\n"),
    ('printf "\\001x"', b"ready\npyemu: Terminated\r\n"),
])
def test_stdin_may_be_a_pipe(source, answer):
    done = echo("mux", source + ' | "$1" -c "$0" "$2"')
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(done.stdout) == sorted(answer)  # echo and goodbye come from two threads


def test_stdin_may_be_a_file_or_end_at_once(tmp_path):
    (tmp_path / "in").write_bytes(b"\x01x")
    done = echo("mux", f'"$1" -c "$0" "$2" < {tmp_path}/in')
    assert (done.returncode, b"pyemu: Terminated" in done.stdout) == (0, True)
    for nothing in ("< /dev/null", "<&-"):
        process = subprocess.Popen(["sh", "-c", f'exec "$1" -c "$0" "$2" {nothing}', ECHO,
                                    sys.executable, "mux"], stdout=subprocess.PIPE)
        assert process.stdout.read(6) == b"ready\n"
        assert process.poll() is None  # the machine goes on without input
        process.terminate()
        assert process.wait(10) == 0


def test_output_that_nobody_reads_any_more_does_not_end_the_machine():
    process = subprocess.Popen([sys.executable, "-c", ECHO, "mux"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.read(6) == b"ready\n"
    process.stdout.close()
    for _ in range(3):
        process.stdin.write(b"a")
        process.stdin.flush()
        time.sleep(0.02)
    assert process.poll() is None
    process.stdin.write(b"\x01x")
    process.stdin.close()
    assert process.wait(10) == 0


def test_the_shells_pipe_stays_blocking():
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", ECHO, "mux"], stdin=subprocess.PIPE,
                               stdout=writer)
    assert os.read(reader, 6) == b"ready\n"
    assert os.get_blocking(writer)
    process.communicate(b"\x01x", 10)
    for fd in (reader, writer):
        os.close(fd)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(reader)
