"""A guest's serial console: run an emulator on pipes or on a terminal, wait for texts, type."""
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images/out"
PYEMU = Path(sys.executable).with_name("pyemu")

QUERY = "\x1b[6n"  # busybox' shell asks the terminal where its cursor is, and does not insist
MUX = b"\x01"  # Ctrl-A
MONITOR = "(qemu) "


class Console:
    """A process whose stdin and stdout are a guest's console.

    All it has printed is in `text`. Leave it by `with`: what still runs then is killed.
    on_text: takes what is printed as it comes.
    terminal: give it a terminal instead of pipes; `settings()` are those of the terminal.
    """

    def __init__(self, command, on_text=None, terminal=False, **options):
        if terminal:
            self._input, process_end = os.openpty()
            self._output = os.dup(self._input)
            command = ["setsid", "--ctty", *command]  # the terminal is to send it signals, too
            options |= {"stdin": process_end, "stdout": process_end}
        else:
            options |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, **options)
        if terminal:
            os.close(process_end)
        else:
            self._input = os.dup(self.process.stdin.fileno())
            self._output = os.dup(self.process.stdout.fileno())
            self.process.stdin.close()
            self.process.stdout.close()
        self.started = time.monotonic()
        self.text = ""
        self.on_text = on_text
        self._seen = 0
        self._ended = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._input)
        os.close(self._output)

    def expect(self, text, timeout=60):
        """Wait until `text` comes after what was last waited for; seconds since the start.

        Raises AssertionError, with the end of what was printed, if it does not come.
        """
        deadline = time.monotonic() + timeout
        while (found := self.text.find(text, self._seen)) < 0:
            if not self._read(deadline):
                limit = "before the end" if self._ended else f"within {timeout} s"
                raise AssertionError(f"no {text!r} {limit}; the last lines were:\n"
                                     + self.text[-3000:])
        self._seen = found + len(text)
        return time.monotonic() - self.started

    def type(self, line):
        """Send a line as the user would type it."""
        self.send(line.encode() + b"\n")

    def send(self, keys):
        """Send bytes as they are."""
        os.write(self._input, keys)

    def run(self, command, prompt, timeout=60):
        """Type a shell command, and return what it prints before the next prompt."""
        self.type(command)
        self.expect("\n", timeout)  # the echo
        start = self._seen
        self.expect(prompt, timeout)
        text = self.text[start:self._seen - len(prompt)]
        return re.sub("\r+\n", "\n", text).replace(QUERY, "")

    def monitor(self, *commands):
        """Go to the monitor by Ctrl-A c, give the commands, come back; what the last one said."""
        self.send(MUX + b"c")
        self.expect(MONITOR)
        answer = ""
        for command in commands:
            answer = self.run(command, MONITOR)
        self.send(MUX + b"c")
        self.expect("\n")
        return answer

    def wait(self, timeout=60):
        """Wait for the end of the process; its exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        return self.process.wait(max(0, deadline - time.monotonic()))

    def _read(self, deadline):
        """Take what has come; False at the end of the output or when it is too late."""
        ready, _, _ = select.select([self._output], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self._output, 65536) if ready else b""
        except OSError:  # a terminal that nobody has open any more
            data = b""
        self._ended = bool(ready) and not data
        text = data.decode(errors="replace")
        self.text += text
        if self.on_text:
            self.on_text(text)
        return bool(data)


def log_in(console, timeout=120):
    """From power-on to the shell prompt of cirros.img; `console.run(command, "$ ")` works then.

    Returns the seconds from the start of the process to the login prompt.
    """
    seconds = console.expect("cirros login:", timeout)
    console.type("cirros")
    console.expect("Password:")
    console.type("gocubsgo")
    console.expect("$ ")
    console.run("stty columns 500", "$ ")  # the shell is not to fold its echo
    return seconds


def shell(console, timeout=120):
    """From power-on to the prompt of mini.img; `console.run(command, "# ")` works then."""
    console.expect("mini login:", timeout)
    console.expect("# ")
    console.run("stty columns 500", "# ")


def screen_lines(page):
    """The text of a VGA text page: bytes in pairs of character and attribute, 80 a line."""
    text = re.sub(rb"[^ -~]", b" ", page[::2]).decode("ascii")
    return [text[start:start + 80].rstrip() for start in range(0, len(text), 80)]
