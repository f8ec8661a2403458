"""The debugger's server: what it answers to each packet, and when it speaks by itself.

Source: Debugging with GDB, appendix E (the remote serial protocol); QEMU's own queries.
"""
import queue
import threading
from collections.abc import Callable
from typing import Any

from pyemu.chardev.registry import Chardevs
from pyemu.config import Config
from pyemu.gdbstub import registers
from pyemu.gdbstub.packets import ACK, INTERRUPT, LARGEST, NAK, PacketReader, escaped, framed
from pyemu.gdbstub.target import BREAK_TYPES, WATCH_TYPES, Target
from pyemu.monitor.monitor import Monitor
from pyemu.report import complain
from pyemu.runstate import RunState
from pyemu.trace.hooks import (
    trace_gdbstub_hit_break,
    trace_gdbstub_hit_watchpoint,
    trace_gdbstub_io_command,
    trace_gdbstub_io_reply,
)

READ_SIZE = 4096  # bytes
LEAVE_TIME = 2.0  # seconds for the last answer
THREAD = b"01"  # the only CPU
ANY_THREAD = ("0", "1", "01", "-1")
SIGINT, SIGQUIT, SIGTRAP, SIGABRT, SIGSTOP = 2, 3, 5, 6, 17  # gdb's numbers
SIGNALS = {RunState.DEBUG: SIGTRAP, RunState.PAUSED: SIGINT, RunState.SHUTDOWN: SIGQUIT,
           RunState.INTERNAL_ERROR: SIGABRT, RunState.IO_ERROR: SIGSTOP}
OK, UNKNOWN = b"OK", b""
BAD_ARGUMENT, BAD_ADDRESS = b"E22", b"E14"
FEATURES = f"PacketSize={LARGEST:x};qXfer:features:read+;vContSupported+".encode()
STEP_BITS = b"ENABLE=1,NOIRQ=2,NOTIMER=4"
STEP_FLAGS = b"0x7"


class Stub:
    """A server for one debugger at a time on the character device `ident`.

    The machine stops when one connects, and goes on when it detaches. It has a thread of its own.
    """

    def __init__(self, runner: Any, config: Config, chardevs: Chardevs, ident: str):
        self.runner = runner
        self.target = Target(runner)
        self.hmp = Monitor(runner, config, chardevs, None)  # for gdb's `monitor`
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._reader = PacketReader()
        self._last = b""  # what to send again if it did not arrive
        self._waiting = False  # the client waits for the machine to stop
        self._ended = False
        self._description = registers.description().encode()
        self._front_end = chardevs.attach(ident, self._queue.put)
        self._front_end.on_open = self._on_open
        self._front_end.on_close = self._on_close
        self._front_end.on_readable = self._read
        self._thread = threading.Thread(target=self._main, name="gdb", daemon=True)
        runner.on_state.append(self._on_state)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Tell the client that the machine has ended."""
        def end() -> None:
            if self._waiting:
                self._send(b"W00")
            self._ended = True
        self._queue.put(end)
        self._thread.join(LEAVE_TIME)

    def leave(self) -> None:
        """Serve no longer, whoever is connected. Not on the thread."""
        def end() -> None:
            self.call(self.target.remove_all)
            self.runner.on_state.remove(self._on_state)
            self._ended = True
        self._queue.put(end)
        self._thread.join(LEAVE_TIME)

    # --- on the thread ---

    def _main(self) -> None:
        while not self._ended:
            self._queue.get()()

    def _on_open(self) -> None:
        self._reader = PacketReader()
        self._last = b""
        self._waiting = False
        self.runner.pause()

    def _on_close(self) -> None:
        """The client has gone, perhaps without a word: nothing stops the machine for it."""
        self._waiting = False
        self.call(self.target.remove_all)

    def _on_state(self, state: RunState) -> None:
        """On the vCPU's thread."""
        if state is not RunState.RUNNING:
            hit = None
            if state is RunState.DEBUG and (hit := self.target.watch_hit()):
                trace_gdbstub_hit_watchpoint(hit[0], 1, hit[1])
            elif state is RunState.DEBUG:
                trace_gdbstub_hit_break()
            self._queue.put(lambda: self._tell_stop(state, hit))

    def _tell_stop(self, state: RunState, hit: tuple[str, int] | None) -> None:
        if self._waiting and not self._ended:
            self._waiting = False
            more = b"" if hit is None else f"{hit[0]}:{hit[1]:x};".encode()
            self._send(b"T%02xthread:%b;%b" % (SIGNALS.get(state, SIGTRAP), THREAD, more))

    def _read(self) -> None:
        while not self._ended and (data := self._front_end.read(READ_SIZE)):
            for piece in self._reader.feed(data):
                self._take(piece)

    def _take(self, piece: bytes) -> None:
        if piece.startswith(b"$"):
            self._front_end.write(ACK)
            self.runner.pause()
            if self._waiting:  # nothing but a stop may be asked for
                return
            if trace_gdbstub_io_command:
                trace_gdbstub_io_command(piece[1:].decode("latin-1"))
            answer = self.answer(piece[1:])
            if answer is not None:
                self._send(answer)
        elif piece == INTERRUPT:
            if self._waiting:
                self.runner.pause()
        elif piece == NAK:
            self._front_end.write(self._last)
        elif piece != ACK:
            self._front_end.write(NAK)

    def _send(self, data: bytes) -> None:
        if trace_gdbstub_io_reply:
            trace_gdbstub_io_reply(data.decode("latin-1"))
        self._last = framed(data)
        self._front_end.write(self._last)

    # --- packets ---

    def answer(self, packet: bytes) -> bytes | None:
        """What a packet is answered with; None: nothing yet."""
        text = packet.decode("latin-1")
        handler = HANDLERS.get(text[:1])
        if handler is None:
            return UNKNOWN
        try:
            return handler(self, text[1:])
        except (ValueError, IndexError):
            return BAD_ARGUMENT
        except RuntimeError:  # the machine has just ended
            return None

    def call(self, function: Callable[[], Any]) -> Any:
        return self.runner.call(function)

    def why(self, text: str) -> bytes:
        return b"T%02xthread:%b;" % (SIGTRAP, THREAD)

    def read_registers(self, text: str) -> bytes:
        cpu = self.runner.cpu
        return self.call(lambda: b"".join(
            registers.read(cpu, number) for number in range(len(registers.REGISTERS)))
        ).hex().encode()

    def write_registers(self, text: str) -> bytes:
        data = bytes.fromhex(text)
        self.call(lambda: registers.write_all(self.runner.cpu, data))
        return OK

    def read_register(self, text: str) -> bytes:
        number = hexadecimal(text)
        return self.call(lambda: registers.read(self.runner.cpu, number)).hex().encode()

    def write_register(self, text: str) -> bytes:
        number, data = text.split("=")
        done = self.call(lambda: registers.write(self.runner.cpu, hexadecimal(number),
                                                 bytes.fromhex(data)))
        return OK if done else BAD_ARGUMENT

    def read_memory(self, text: str) -> bytes:
        address, length = map(hexadecimal, text.split(","))
        if length > LARGEST // 2:
            return BAD_ARGUMENT
        data = self.call(lambda: self.target.read(address, length))
        return BAD_ADDRESS if data is None else data.hex().encode()

    def write_memory(self, text: str) -> bytes:
        where, content = text.split(":")
        address, length = map(hexadecimal, where.split(","))
        data = bytes.fromhex(content)
        if len(data) != length:
            return BAD_ARGUMENT
        return OK if self.call(lambda: self.target.write(address, data)) else BAD_ADDRESS

    def insert(self, text: str) -> bytes:
        return self._point(text, self.target.insert)

    def remove(self, text: str) -> bytes:
        return self._point(text, self.target.remove)

    def _point(self, text: str, action: Callable[[int, int, int], bool]) -> bytes:
        kind, address, length = map(hexadecimal, text.split(";")[0].split(","))
        if kind not in (*BREAK_TYPES, *WATCH_TYPES):
            return UNKNOWN
        return OK if self.call(lambda: action(kind, address, length)) else BAD_ARGUMENT

    def go_on(self, text: str) -> None:
        self._go(text, self.runner.resume)

    def step(self, text: str) -> None:
        self._go(text, self.runner.step)

    def _go(self, address: str, how: Callable[[], None]) -> None:
        """From `address`, if one is given."""
        if address:
            rip = hexadecimal(address)
            self.call(lambda: setattr(self.runner.cpu, "rip", rip))
        self._waiting = True
        how()
        state = self.runner.state
        if state is RunState.SHUTDOWN:  # it cannot
            self._tell_stop(state, None)

    def go_on_with_signal(self, text: str) -> None:
        self.go_on(text.partition(";")[2])

    def step_with_signal(self, text: str) -> None:
        self.step(text.partition(";")[2])

    def select_thread(self, text: str) -> bytes:
        if text[:1] not in ("c", "g") or text[1:] not in ANY_THREAD:
            return BAD_ARGUMENT
        return OK

    def is_alive(self, text: str) -> bytes:
        return OK if text in ANY_THREAD else BAD_ARGUMENT

    def detach(self, text: str) -> bytes:
        self.call(self.target.remove_all)
        self.runner.resume()
        return OK

    def kill(self, text: str = "") -> None:
        complain("terminated via GDBstub")
        self.runner.quit(cause="host-ui")
        self._ended = True

    def verbose(self, text: str) -> bytes | None:
        if text == "Cont?":
            return b"vCont;c;C;s;S"
        if text.startswith("Cont;"):
            action = text.removeprefix("Cont;")[:1]
            if action not in ("c", "C", "s", "S"):
                return BAD_ARGUMENT
            self._go("", self.runner.step if action in "sS" else self.runner.resume)
            return None
        if text.startswith("Attach;"):
            return self.why("")
        if text.startswith("Kill;"):
            self._send(OK)
            self.kill()
            return None
        return UNKNOWN

    def query(self, text: str) -> bytes:
        name, _, rest = text.partition(":")
        if text.startswith("Rcmd,"):
            return self._monitor_command(bytes.fromhex(text[5:]).decode("utf-8", "replace"))
        if text.startswith("Xfer:features:read:target.xml:"):
            return self._describe(rest.rpartition(":")[2])
        if text.startswith("ThreadExtraInfo,"):
            return f"CPU#0 [{self.runner.status()}]".encode().hex().encode()
        if text == "qemu.PhyMemMode":
            return b"1" if self.target.physical else b"0"
        return {"Supported": FEATURES, "C": b"QC" + THREAD, "fThreadInfo": b"m" + THREAD,
                "sThreadInfo": b"l", "Attached": b"1",
                "qemu.Supported": b"sstepbits;sstep;PhyMemMode", "qemu.sstepbits": STEP_BITS,
                "qemu.sstep": STEP_FLAGS}.get(name, UNKNOWN)

    def _describe(self, window: str) -> bytes:
        offset, length = map(hexadecimal, window.split(","))
        part = self._description[offset:offset + min(length, LARGEST // 2)]
        more = offset + len(part) < len(self._description)
        return (b"m" if more else b"l") + escaped(part)

    def _monitor_command(self, line: str) -> bytes:
        text = self.hmp.execute(line).encode("utf-8", "surrogateescape")
        if text and not text.endswith(b"\n"):
            text += b"\n"
        size = LARGEST // 2 - 1
        for at in range(0, len(text), size):
            self._send(b"O" + text[at:at + size].hex().encode())
        return OK

    def set_mode(self, text: str) -> bytes:
        name, _, value = text.partition(":")
        if name != "qemu.PhyMemMode":
            return UNKNOWN
        self.target.physical = hexadecimal(value) != 0
        return OK


def hexadecimal(text: str) -> int:
    """Raises ValueError unless it is an address in plain hexadecimal digits."""
    if not text.isalnum() or len(text) > 16:
        raise ValueError(text)
    return int(text, 16)


HANDLERS: dict[str, Callable[[Stub, str], bytes | None]] = {
    "?": Stub.why, "g": Stub.read_registers, "G": Stub.write_registers, "p": Stub.read_register,
    "P": Stub.write_register, "m": Stub.read_memory, "M": Stub.write_memory, "Z": Stub.insert,
    "z": Stub.remove, "c": Stub.go_on, "s": Stub.step, "C": Stub.go_on_with_signal,
    "S": Stub.step_with_signal, "H": Stub.select_thread, "T": Stub.is_alive, "D": Stub.detach,
    "k": Stub.kill, "v": Stub.verbose, "q": Stub.query, "Q": Stub.set_mode,
}
