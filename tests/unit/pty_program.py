"""A Python program on a pseudo-terminal, which is its controlling one."""
import os
import select
import subprocess
import sys
import termios


class PtyProgram:
    """`source` is run with `arguments`. The far end of its terminal stays open as `slave`."""

    def __init__(self, source: str, *arguments: str):
        self.fd, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-c", source, *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave)

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def expect(self, text: bytes) -> bytes:
        """Read until `text` has come; returns it with all before it."""
        got = b""
        while text not in got:
            assert select.select([self.fd], [], [], 10)[0], got
            got += os.read(self.fd, 4096)
        return got

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def state(self) -> str:
        """A letter, as in ps(1)."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rsplit(")")[1].split()[0]

    def end(self) -> tuple[int, bool]:
        """The exit status, and whether the terminal is as it was before."""
        status = self.process.wait(10)
        restored = termios.tcgetattr(self.slave) == self.before
        os.close(self.fd)
        os.close(self.slave)
        return status, restored
