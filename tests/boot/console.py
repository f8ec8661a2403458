"""A guest's serial console at the end of a pair of pipes: run an emulator, wait for texts, type."""
import os
import select
import subprocess
import time


class Console:
    """A process whose stdin and stdout are a guest's console.

    All it has printed is in `text`. Leave it by `with`: what still runs then is killed.
    on_text: takes what is printed as it comes.
    """

    def __init__(self, command, on_text=None, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, **options)
        self.started = time.monotonic()
        self.text = ""
        self.on_text = on_text
        self._seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def expect(self, text, timeout=60):
        """Wait until `text` comes after what was last waited for; seconds since the start.

        Raises AssertionError, with the end of what was printed, if it does not come.
        """
        deadline = time.monotonic() + timeout
        while (found := self.text.find(text, self._seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"no {text!r} within {timeout} s; the last lines were:\n"
                                     + self.text[-3000:])
        self._seen = found + len(text)
        return time.monotonic() - self.started

    def type(self, line):
        """Send a line as the user would type it."""
        self.send(line.encode() + b"\n")

    def send(self, keys):
        """Send bytes as they are."""
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def run(self, command, prompt, timeout=60):
        """Type a shell command, and return what it prints before the next prompt."""
        start = self._seen
        self.type(command)
        self.expect("\n", timeout)  # the echo
        start = self._seen
        self.expect(prompt, timeout)
        return self.text[start:self._seen - len(prompt)].replace("\r\n", "\n")

    def wait(self, timeout=60):
        """Wait for the end of the process; its exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        return self.process.wait(max(0, deadline - time.monotonic()))

    def _read(self, deadline):
        output = self.process.stdout.fileno()
        ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
        data = os.read(output, 65536) if ready else b""
        text = data.decode(errors="replace")
        self.text += text
        if self.on_text:
            self.on_text(text)
        return bool(data)
