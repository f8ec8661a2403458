"""Commands that steer the machine: stop, reset, keys, the mouse, memory to a file."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.machine import ps2_mouse
from pyemu.machine.keymap import NUMBERS
from pyemu.monitor import machine, memory, network, saving
from pyemu.monitor.command import CommandError
from pyemu.monitor.keys import HOLD, MILLISECOND, schedule
from pyemu.monitor.qmp.types import QmpError

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session

BUTTONS = {"left": ps2_mouse.LEFT, "middle": ps2_mouse.MIDDLE, "right": ps2_mouse.RIGHT,
           "side": ps2_mouse.SIDE, "extra": ps2_mouse.EXTRA}
WHEEL = {"wheel-up": -1, "wheel-down": 1}
LONGEST_HOLD = 1 << 31  # milliseconds
MOST_COUNTS = 1 << 15  # of mouse movement


def stop(session: Session) -> None:
    session.runner.pause()


def resume(session: Session) -> None:
    if session.runner.status() in ("shutdown", "internal-error"):
        raise QmpError("Resetting the Virtual Machine is required")
    session.runner.resume()


def reset(session: Session) -> None:
    session.runner.reset()


def power_down(session: Session) -> None:
    session.runner.powerdown()


def inject_nmi(session: Session) -> None:
    machine.inject_nmi(session.runner)


def send_break(session: Session, id: str) -> None:
    if not session.chardevs.send_break(id):
        raise QmpError(f"Chardev '{id}' not found")


def leave(session: Session) -> None:
    session.after_reply = session.runner.quit


def human(session: Session, command_line: str, cpu_index: int = 0) -> str:
    check_cpu(cpu_index)
    text = session.hmp.execute(command_line)
    return text.replace("\n", "\r\n") + ("\r\n" if text and not text.endswith("\n") else "")


def check_cpu(cpu_index: int) -> None:
    if cpu_index != 0:
        raise QmpError("Parameter 'cpu-index' expects a CPU number")


# Keys and mouse

def send_key(session: Session, keys: list[dict[str, Any]], hold_time: int = HOLD) -> None:
    pressed = [key for wanted in keys if (key := key_of(wanted)) is not None]
    hold = min(max(hold_time, 1), LONGEST_HOLD) * MILLISECOND
    session.runner.call(lambda: schedule(session.hmp, pressed, hold))


def key_of(wanted: dict[str, Any]) -> str | int | None:
    """The keyboard's name for a KeyValue, or its number; None for a number of no key."""
    key = wanted["data"]
    return None if wanted["type"] == "number" and key not in NUMBERS else key


def input_event(session: Session, events: list[dict[str, Any]], device: str | None = None,
                head: int = 0) -> None:
    if device is not None:
        raise QmpError(f"Device '{device}' not found", "DeviceNotFound")
    for event in events:
        if event["type"] == "abs":
            raise QmpError("Input handler not found for event type abs")

    def handle() -> None:
        for event in events:
            carry_out(session.runner.machine, event["type"], event["data"])

    session.runner.call(handle)


def carry_out(machine: Any, kind: str, data: dict[str, Any]) -> None:
    if kind == "key":
        if (key := key_of(data["key"])) is not None:
            machine.keyboard.key(key, data["down"])
    elif kind == "rel":
        counts = min(max(data["value"], -MOST_COUNTS), MOST_COUNTS)
        machine.mouse.move(*((counts, 0) if data["axis"] == "x" else (0, counts)))
    elif data["button"] in BUTTONS:
        bit = BUTTONS[data["button"]]
        held = machine.mouse.buttons & ~bit
        machine.mouse.button(held | bit if data["down"] else held)
    elif data["down"]:
        machine.mouse.move(0, 0, WHEEL.get(data["button"], 0))


def set_link(session: Session, name: str, up: bool) -> None:
    try:
        network.set_link(session.hmp, name, up)
    except CommandError as error:
        raise QmpError(str(error), "DeviceNotFound") from None


# Memory

def save_virtual(session: Session, val: int, size: int, filename: str, cpu_index: int = 0) -> None:
    check_cpu(cpu_index)
    save(session, memory.read_virtual, val, size, filename)


def save_physical(session: Session, val: int, size: int, filename: str) -> None:
    save(session, memory.read_physical, val, size, filename)


def save(session: Session, read: saving.Reader, start: int, size: int, filename: str) -> None:
    try:
        saving.save(session.hmp, read, start, size, filename)
    except CommandError as error:
        raise QmpError(str(error)) from None


COMMANDS: dict[str, Callable[..., Any]] = {
    "stop": stop,
    "cont": resume,
    "system_reset": reset,
    "system_powerdown": power_down,
    "inject-nmi": inject_nmi,
    "chardev-send-break": send_break,
    "quit": leave,
    "human-monitor-command": human,
    "send-key": send_key,
    "input-send-event": input_event,
    "set_link": set_link,
    "memsave": save_virtual,
    "pmemsave": save_physical,
}
