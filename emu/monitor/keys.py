"""`sendkey`: keys pressed together, held for a while and released."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.machine.keymap import KEYS, NUMBERS
from pyemu.monitor.command import Command, CommandError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

HOLD = 100  # milliseconds unless told
MILLISECOND = 1_000_000  # ns
MOST_KEYS = 16


def send_key(monitor: Monitor, arguments: list[str]) -> str:
    keys = [key_of(word) for word in arguments[0].replace("--", "-minus").split("-")]
    if len(keys) > MOST_KEYS:
        raise CommandError("too many keys")
    hold = arguments[1] if arguments[1:] else str(HOLD)
    if not hold.isascii() or not hold.isdigit() or not int(hold):
        raise CommandError(f"invalid parameter: {hold}")
    monitor.runner.call(lambda: schedule(monitor, keys, int(hold) * MILLISECOND))
    return ""


def key_of(word: str) -> str | int:
    """The keyboard's name for a key, or its number."""
    if word in KEYS:
        return word
    if word == "<":
        return "less"
    try:
        number = int(word, 0)
    except ValueError:
        number = -1
    if number not in NUMBERS:
        raise CommandError(f"invalid parameter: {word}")
    return number


def schedule(monitor: Monitor, keys: list[str | int], hold: int) -> None:
    """Press the keys when those sent before are up, and release them `hold` ns later."""
    clock, keyboard = monitor.runner.clock, monitor.runner.machine.keyboard

    def press() -> None:
        for key in keys:
            keyboard.key(key, True)

    def release() -> None:
        for key in reversed(keys):
            keyboard.key(key, False)

    start = max(clock.now(), monitor.keys_until)
    clock.timer(press, "sendkey").at(start)
    clock.timer(release, "sendkey").at(start + hold)
    monitor.keys_until = start + 2 * hold


def complete(monitor: Monitor, words: list[str]) -> list[str]:
    if len(words) > 1:
        return []
    before = words[0][:words[0].rfind("-") + 1]
    return [before + name for name in KEYS]


COMMANDS = (
    Command("sendkey", "keys [hold_ms]",
            "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)",
            send_key, required=1, optional=1, complete=complete),
)
