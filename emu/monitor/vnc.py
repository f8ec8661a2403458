"""Commands about the VNC servers: who is connected, and the password."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.monitor.command import Command, CommandError, UsageError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

PROTOCOLS = ("vnc", "spice")
WHEN_CONNECTED = ("keep", "fail", "disconnect")
NO_PASSWORD = "Could not set password"
NO_EXPIRY = "Could not set password expire time"
NOT_ASKED_FOR = ("If you want use passwords please enable password auth using "
                 "'-vnc ${dpy},password'.")


class VncError(Exception):
    """What a monitor for people or for programs is to say. hint: for people only."""

    def __init__(self, text: str, hint: str = ""):
        super().__init__(text)
        self.hint = hint


def info(monitor: Monitor, arguments: list[str]) -> str:
    lines = []
    for server in reversed(monitor.runner.vnc):
        about = server.about()
        lines.append(f"{about['id']}:")
        authentication = f"Auth: {about['auth']} (Sub: none)"
        for place in about["server"]:
            lines += [f"  Server: {_place(place)}", f"    {authentication}"]
        for client in about["clients"]:
            lines += [f"  Client: {_place(client)}", "    x509_dname: none",
                      "    sasl_username: none"]
        if not about["server"]:
            lines.append(f"  {authentication}")
    return "\n".join(lines) or "None"


def _place(address: dict[str, Any]) -> str:
    return f"{address['host']}:{address['service']} ({address['family']})"


def set_password(monitor: Monitor, arguments: list[str]) -> str:
    (protocol, password, *more), display = _take_display("set_password", arguments, 2)
    if protocol not in PROTOCOLS:
        raise CommandError(f"Error: invalid parameter value: {protocol}")
    connected = more[0] if more else WHEN_CONNECTED[0]
    if connected not in WHEN_CONNECTED:
        raise CommandError(f"Error: invalid parameter value: {connected}")
    return _do(lambda: store_password(monitor.runner, protocol, password, display, connected))


def expire_password(monitor: Monitor, arguments: list[str]) -> str:
    (protocol, time, *_), display = _take_display("expire_password", arguments, 2)
    if protocol not in PROTOCOLS:
        raise CommandError(f"Error: invalid parameter value: {protocol}")
    return _do(lambda: store_expiry(monitor.runner, protocol, time, display))


def change(monitor: Monitor, arguments: list[str]) -> str:
    """change vnc password [password]: without one the user is asked for it."""
    if arguments[1:2] not in (["password"], ["passwd"]):
        raise CommandError("Expected 'password' after 'vnc'")
    if len(arguments) > 2:
        return _do(lambda: store_password(monitor.runner, "vnc", arguments[2]))
    if not monitor.interactive:
        raise CommandError("terminal does not support password prompting")
    monitor.ask_secret("Password: ", lambda password: _do(
        lambda: store_password(monitor.runner, "vnc", password)))
    return ""


def store_password(runner: Any, protocol: str, password: str, display: str | None = None,
                   connected: str = WHEN_CONNECTED[0]) -> None:
    """Raises VncError."""
    _check_protocol(protocol)
    if connected != WHEN_CONNECTED[0]:
        raise VncError("Invalid parameter 'connected'")
    server = find(runner, display)
    if server is None:
        raise VncError(NO_PASSWORD)
    if not server.set_password(password):
        raise VncError(NO_PASSWORD, hint=NOT_ASKED_FOR)


def store_expiry(runner: Any, protocol: str, time: str, display: str | None = None) -> None:
    """Raises VncError."""
    from pyemu.vnc.server import seconds_of  # late: it brings in numpy
    _check_protocol(protocol)
    server = find(runner, display)
    if server is None:
        raise VncError(NO_EXPIRY)
    try:
        server.set_expiry(seconds_of(time))
    except (ValueError, OverflowError):
        raise VncError(f"invalid parameter value: {time}") from None


def find(runner: Any, display: str | None) -> Any:
    """The server of that id, or the first."""
    return next((server for server in runner.vnc if display in (None, server.config.id)), None)


def _check_protocol(protocol: str) -> None:
    if protocol == "spice":
        raise VncError("SPICE is not in use")


def _do(action: Callable[[], None]) -> str:
    try:
        action()
    except VncError as error:
        hint = f"{error.hint}\n" if error.hint else ""
        return f"{hint}Error: {error}"
    return ""


def _take_display(command: str, words: list[str], required: int) -> tuple[list[str], str | None]:
    """The words without -d and what follows it, which comes second."""
    display = None
    if "-d" in words:
        at = words.index("-d")
        if at + 1 == len(words):
            raise UsageError(f"{command}: value expected for -d")
        display = words[at + 1]
        words = words[:at] + words[at + 2:]
    if len(words) < required:
        raise UsageError(f"{command}: string expected")
    return words, display


COMMANDS = (
    Command("set_password", "protocol password [-d display] [action-if-connected]",
            "set spice/vnc password", set_password, required=2, optional=3),
    Command("expire_password", "protocol time [-d display]",
            "set spice/vnc password expire-time", expire_password, required=2, optional=2),
)
