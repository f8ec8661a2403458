"""The terminal and the standard streams as a character device, in a process of their own."""
import errno
import os
import signal
import subprocess
import sys
import termios
import time

import pytest
from unit.pty_program import PtyProgram

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


class Session(PtyProgram):
    def __init__(self, mode):
        super().__init__(ECHO, mode)


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
