"""One QMP monitor: greeting, negotiation, commands in turn, events as they happen."""
from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pyemu.chardev.registry import Chardevs
from pyemu.config import Config
from pyemu.monitor.monitor import Monitor
from pyemu.monitor.qmp import media, queries, screen, steering, tracing, vnc
from pyemu.monitor.qmp.json_reader import JsonError, JsonReader
from pyemu.monitor.qmp.schema import SCHEMA
from pyemu.monitor.qmp.types import QmpError
from pyemu.trace.hooks import trace_handle_qmp_command, trace_monitor_qmp_respond

READ_SIZE = 65536  # bytes
MOST_EVENTS = 4096  # that wait for a client which does not read; later ones are lost
LEAVE_TIME = 2.0  # seconds for the last answers
NEGOTIATE = "qmp_capabilities"
MEMBERS = ("execute", "arguments", "id")
COMMANDS: dict[str, Callable[..., Any]] = (
    queries.COMMANDS | media.COMMANDS | screen.COMMANDS | steering.COMMANDS | tracing.COMMANDS
    | vnc.COMMANDS)


class Session:
    """A QMP monitor on the character device `ident` of `chardevs`. `start` before the devices do.

    It has a thread of its own, so that neither a command that waits for the vCPU nor a client that
    does not read holds anybody up. runner: as for a `Monitor`, and `on_event`, `thread_id`.
    """

    def __init__(self, runner: Any, config: Config, chardevs: Chardevs, ident: str | None,
                 pretty: bool = False):
        self.runner = runner
        self.config = config
        self.chardevs = chardevs
        self.hmp = Monitor(runner, config, chardevs, None)  # for human-monitor-command
        self.after_reply: Callable[[], None] | None = None  # set by a command that ends it all
        self._indent = 4 if pretty else None
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._events: deque[dict[str, Any]] = deque()
        self._reader = JsonReader()
        self._negotiated = False
        self._ended = False
        self._front_end = chardevs.attach(ident, self._queue.put)
        self._front_end.on_open = self._on_open
        self._front_end.on_readable = self._read
        self._thread = threading.Thread(target=self._main, name="qmp", daemon=True)
        runner.on_event.append(self.on_event)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Say what is left to say, and end. The machine has."""
        self._queue.put(self._end)
        self._thread.join(LEAVE_TIME)

    def on_event(self, name: str, data: dict[str, Any]) -> None:
        """Something has happened. From any thread; never waits."""
        if self._negotiated and len(self._events) < MOST_EVENTS:
            seconds, rest = divmod(time.time_ns(), 1_000_000_000)
            self._events.append({
                "timestamp": {"seconds": seconds, "microseconds": rest // 1000},
                "event": name, **({"data": data} if data else {})})
            self._queue.put(self._send_events)

    # --- on the session's thread ---

    def _main(self) -> None:
        while not self._ended:
            self._queue.get()()

    def _end(self) -> None:
        self._send_events()
        self._ended = True

    def _on_open(self) -> None:
        self._reader = JsonReader()
        self._negotiated = False
        self._events.clear()
        self._send({"QMP": {"version": queries.version_info(), "capabilities": []}})

    def _read(self) -> None:
        while data := self._front_end.read(READ_SIZE):
            for message in self._reader.feed(data):
                self._reply(self.answer(message))

    def _reply(self, answer: dict[str, Any]) -> None:
        self._send_events()  # what the command has brought about
        self._send(answer)
        if self.after_reply:
            self.after_reply()
            self.after_reply = None

    def _send_events(self) -> None:
        while self._events:
            self._send(self._events.popleft())

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, indent=self._indent)
        if trace_monitor_qmp_respond:
            trace_monitor_qmp_respond(self, text)
        self._front_end.write(text.encode() + b"\r\n")

    # --- commands ---

    def answer(self, message: Any) -> dict[str, Any]:
        """What a message is answered with."""
        ident = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        try:
            return {"return": self._execute(message), **ident}
        except QmpError as error:
            answer = {"class": error.error_class, "desc": str(error)}
        except Exception as error:  # a fault of ours, or the machine has just ended
            answer = {"class": "GenericError", "desc": f"{type(error).__name__}: {error}"}
        return {"error": answer, **ident}

    def _execute(self, message: Any) -> Any:
        if isinstance(message, JsonError):
            raise QmpError(str(message))
        name, arguments = _parts(message)
        if trace_handle_qmp_command:
            trace_handle_qmp_command(self, json.dumps(message))
        if self._negotiated == (name == NEGOTIATE):
            raise QmpError("Capabilities negotiation is already complete, command ignored"
                           if self._negotiated else
                           f"Expecting capabilities negotiation with '{NEGOTIATE}'",
                           "CommandNotFound")
        if name not in SCHEMA.commands:
            raise QmpError(f"The command {name} has not been found", "CommandNotFound")
        SCHEMA.commands[name][0].check(arguments, "")
        if name == NEGOTIATE:
            return self._negotiate(**arguments)
        result = COMMANDS[name](self, **{key.replace("-", "_"): value
                                         for key, value in arguments.items()})
        return {} if result is None else result

    def _negotiate(self, enable: Sequence[str] = ()) -> dict[str, Any]:
        if enable:
            raise QmpError(f"Capability '{enable[0]}' not available")
        self._negotiated = True
        return {}


def _parts(message: Any) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a command, if it is one."""
    if not isinstance(message, dict):
        raise QmpError("QMP input must be a JSON object")
    for name in message:
        if name not in MEMBERS:
            raise QmpError(f"QMP input member '{name}' is unexpected")
    if "execute" not in message:
        raise QmpError("QMP input lacks member 'execute'")
    if not isinstance(message["execute"], str):
        raise QmpError("QMP input member 'execute' must be a string")
    arguments = message.get("arguments", {})
    if not isinstance(arguments, dict):
        raise QmpError("QMP input member 'arguments' must be an object")
    return message["execute"], arguments
