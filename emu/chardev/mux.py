"""One device for several front ends: all may write, one has the keyboard. Ctrl-A commands it."""
import threading
import time
from collections.abc import Callable

from pyemu.chardev.frontend import FrontEnd

ESCAPE = 0x01  # Ctrl-A


class Mux:
    """Input, and output with time stamps if wanted, between a back end and its front ends.

    write: the back end's. on_quit() and on_commit() are called on the I/O thread; without
    on_commit there is no Ctrl-A s.
    """

    def __init__(self, write: Callable[[bytes], None], on_quit: Callable[[], None],
                 on_commit: Callable[[], None] | None):
        self._write = write
        self._on_quit = on_quit
        self._commands: dict[bytes, tuple[Callable[[], None], str]] = {
            b"h": (self._help, "print this help"),
            b"x": (self._quit, "exit emulator"),
            b"t": (self._toggle_stamps, "toggle console timestamps"),
            b"b": (self.send_break, "send break (magic sysrq)"),
            b"c": (self._switch, "switch between console and monitor"),
            b"\1": (self._send_escape, "sends C-a"),
        }
        if on_commit:
            self._commands[b"s"] = on_commit, "save disk data back to file (if -snapshot)"
        self._front_ends: list[FrontEnd] = []
        self._focus = 0
        self._escaped = False
        self._lock = threading.Lock()  # around the time stamps: front ends have their own threads
        self._stamps_since: float | None = None
        self._line_start = True

    def attach(self, post: Callable[[Callable], None]) -> FrontEnd:
        """One more front end. The first has the focus to begin with."""
        self._front_ends.append(FrontEnd(self.write, post))
        return self._front_ends[-1]

    def write(self, data: bytes) -> None:
        """From a front end, on its thread."""
        if self._stamps_since is not None:
            with self._lock:
                data = self._stamped(data)
        self._write(data)

    def opened(self) -> None:
        for front_end in self._front_ends:
            front_end.opened(focus=front_end is self._front_ends[self._focus])

    def when_done(self, function: Callable[[], None]) -> None:
        self._front_ends[self._focus].when_done(function)

    def closed(self) -> None:
        for front_end in self._front_ends:
            front_end.closed()

    def room(self) -> int:
        return self._front_ends[self._focus].room()

    def receive(self, data: bytes) -> None:
        """From the back end, on the I/O thread: pass on what is not a command."""
        plain = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                self._pass_on(plain)
                key = b"h" if byte == ord("?") else bytes([byte])
                if key in self._commands:
                    self._commands[key][0]()
            elif byte == ESCAPE:
                self._escaped = True
            else:
                plain.append(byte)
        self._pass_on(plain)

    def _pass_on(self, plain: bytearray) -> None:
        if plain:
            self._front_ends[self._focus].receive(bytes(plain))
            plain.clear()

    def _help(self) -> None:
        for key, (_, text) in sorted(self._commands.items(), key=lambda item: item[0] == b"\1"):
            name = "C-a" if key == b"\1" else key.decode()
            self._write(f"\r\nC-a {name:4} {text}".encode())
        self._write(b"\r\n")

    def _quit(self) -> None:
        self._write(b"pyemu: Terminated\r\n")
        self._on_quit()

    def _toggle_stamps(self) -> None:
        with self._lock:
            self._stamps_since = time.monotonic() if self._stamps_since is None else None
            self._line_start = False

    def send_break(self) -> None:
        self._front_ends[self._focus].send_break()

    def _send_escape(self) -> None:
        self._front_ends[self._focus].receive(bytes([ESCAPE]))

    def _switch(self) -> None:
        self._front_ends[self._focus].set_focus(False)
        self._focus = (self._focus + 1) % len(self._front_ends)
        self._front_ends[self._focus].set_focus(True)

    def _stamped(self, data: bytes) -> bytes:
        """`data` with [HH:MM:SS.mmm] before each line that begins in it."""
        if self._stamps_since is None:
            return data
        milliseconds = int((time.monotonic() - self._stamps_since) * 1000)
        seconds, milliseconds = divmod(milliseconds, 1000)
        stamp = b"[%02d:%02d:%02d.%03d] " % (
            seconds // 3600, seconds // 60 % 60, seconds % 60, milliseconds)
        stamped = data.replace(b"\n", b"\n" + stamp)
        if data.endswith(b"\n"):
            stamped = stamped.removesuffix(stamp)
        if self._line_start:
            stamped = stamp + stamped
        self._line_start = data.endswith(b"\n")
        return stamped
