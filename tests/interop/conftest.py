"""A QEMU that stands still and does what the test says, the oracle of our chips."""
import shutil
import subprocess

import pytest

QEMU = "qemu-system-x86_64"


class Qtest:
    """QEMU's test protocol over a pipe: ports and memory. The machine never runs, so nor does
    its clock; most builds lack `-accel qtest`, which could move it.
    """

    def __init__(self, *arguments):
        command = [QEMU, "-M", "pc", "-S", "-qtest", "stdio", "-display", "none",
                   "-nodefaults", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        while True:
            answer = self.process.stdout.readline().split()
            if not answer:
                raise EOFError("QEMU has gone")
            if answer[0] in ("OK", "FAIL"):
                assert answer[0] == "OK", f"{line}: {answer}"
                return int(answer[1], 0) if len(answer) > 1 else None

    def inb(self, port):
        return self.ask(f"inb {port:#x}")

    def inw(self, port):
        return self.ask(f"inw {port:#x}")

    def inl(self, port):
        return self.ask(f"inl {port:#x}")

    def outb(self, port, value):
        self.ask(f"outb {port:#x} {value:#x}")

    def outw(self, port, value):
        self.ask(f"outw {port:#x} {value:#x}")

    def outl(self, port, value):
        self.ask(f"outl {port:#x} {value:#x}")

    def readb(self, address):
        return self.ask(f"readb {address:#x}")

    def readw(self, address):
        return self.ask(f"readw {address:#x}")

    def readl(self, address):
        return self.ask(f"readl {address:#x}")

    def writel(self, address, value):
        self.ask(f"writel {address:#x} {value:#x}")

    def writeb(self, address, value):
        self.ask(f"writeb {address:#x} {value:#x}")

    def writew(self, address, value):
        self.ask(f"writew {address:#x} {value:#x}")

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def qtest():
    """qtest(*arguments) starts a QEMU with these devices; skips where there is none."""
    if not shutil.which(QEMU):
        pytest.skip(f"{QEMU} is not installed")
    started = []

    def start(*arguments):
        started.append(Qtest(*arguments))
        return started[-1]

    yield start
    for oracle in started:
        oracle.close()
