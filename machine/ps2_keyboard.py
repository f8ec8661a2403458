"""PS/2 keyboard: scan codes of sets 1, 2 and 3, and the commands of an enhanced keyboard.

A key sends its make code when it goes down (and again while it repeats, which is the affair of
whoever presses it) and its break code when it goes up.
Source: IBM PS/2 Technical Reference, Keyboards 101/102 (1988), sections 4 and 7.
"""
from pyemu.trace.hooks import (
    trace_ps2_kbd_reset,
    trace_ps2_keyboard_event,
    trace_ps2_keyboard_set_translation,
    trace_ps2_put_keycode,
    trace_ps2_reset_keyboard,
    trace_ps2_set_ledstate,
    trace_ps2_write_keyboard,
)

from .keymap import EXTENDED, KEYS, NUMBERS, Key
from .ps2 import ACK, RESEND, SELF_TEST_PASSED, Ps2Device

BUFFER_SIZE = 16  # bytes of events
IDENTITY = (0xab, 0x83)
ECHO = 0xee
EXTENDED_PREFIX, BREAK_PREFIX, SET1_BREAK = 0xe0, 0xf0, 0x80

# Commands
SET_LEDS, SCAN_CODE_SET, IDENTIFY, SET_REPEAT = 0xed, 0xf0, 0xf2, 0xf3
ENABLE, DISABLE, DEFAULTS = 0xf4, 0xf5, 0xf6
ALL_REPEAT, ALL_MAKE_BREAK, ALL_MAKE, ALL_EVERYTHING = 0xf7, 0xf8, 0xf9, 0xfa
KEY_REPEAT, KEY_MAKE_BREAK, KEY_MAKE, RESET = 0xfb, 0xfc, 0xfd, 0xff
WITH_PARAMETER = (SET_LEDS, SCAN_CODE_SET, SET_REPEAT, KEY_REPEAT, KEY_MAKE_BREAK, KEY_MAKE)
PARAMETER_LIMIT = 0x80  # no parameter is as high: what is, is the next command

SETS, DEFAULT_SET = 3, 2
ALL_CODES = range(0x100)  # of set 3
LEDS_MASK = 0x07
DEFAULT_REPEAT = 0x2b  # 500 ms, then 10.9 a second

# What the modifier keys are in trace events
MODIFIERS = {"ctrl": 1, "shift": 2, "alt": 4, "ctrl_r": 8, "shift_r": 16, "alt_r": 32}

# Keys whose codes depend on the modifiers, in sets 1 and 2: (make, break)
PRINT = {
    1: ((0xe0, 0x2a, 0xe0, 0x37), (0xe0, 0xb7, 0xe0, 0xaa)),
    2: ((0xe0, 0x12, 0xe0, 0x7c), (0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12)),
}
PRINT_SHIFTED = {1: ((0xe0, 0x37), (0xe0, 0xb7)), 2: ((0xe0, 0x7c), (0xe0, 0xf0, 0x7c))}
SYSTEM_REQUEST = {1: ((0x54,), (0xd4,)), 2: ((0x84,), (0xf0, 0x84))}
PAUSE = {
    1: ((0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5), ()),
    2: ((0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77), ()),
}
CTRL_BREAK = {1: ((0xe0, 0x46, 0xe0, 0xc6), ()), 2: ((0xe0, 0x7e, 0xe0, 0xf0, 0x7e), ())}


class Keyboard(Ps2Device):
    """The keyboard. `leds`: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock."""

    STATE = (*Ps2Device.STATE, "enabled", "code_set", "leds", "repeat", "make_only", "pressed",
             "last")

    translated = False  # whether the controller turns set 2 into set 1; trace events tell

    def __init__(self) -> None:
        super().__init__()
        trace_ps2_kbd_reset(self)

    def reset(self) -> None:
        super().reset()
        self.leds = 0
        self.code_set = DEFAULT_SET
        self.pressed: dict[str, bool] = {}  # keys that are down, and whether the host knows
        self.last = 0  # byte sent, for RESEND
        self.make_only: set[int] = set()  # codes of set 3 that send no break code
        self._set_defaults()

    def set_translation(self, on: bool) -> None:
        trace_ps2_keyboard_set_translation(self, on)
        self.translated = on

    def take(self) -> int:
        self.last = super().take()
        return self.last

    # Keys

    def key(self, key: str | int, down: bool) -> None:
        """A key goes down, or up: its QKeyCode name, or its number.

        Raises ValueError for a name or number that no key has.
        """
        found = KEYS.get(key) if isinstance(key, str) else NUMBERS.get(key)
        if found is None:
            raise ValueError(f"unknown key: {key!r}")
        modifiers = sum(bit for name, bit in MODIFIERS.items() if name in self.pressed)
        trace_ps2_keyboard_event(
            self, found.qcode, down, MODIFIERS.get(found.name, 0), modifiers, self.code_set,
            self.translated)
        if not self.enabled:
            self.pressed.pop(found.name, None)
            return
        make, release = self._codes(found, modifiers)
        if down:
            room = len(self.events) + len(make) <= BUFFER_SIZE
            if room:
                self._send(make)
            self.pressed[found.name] = room or self.pressed.get(found.name, False)
        elif self.pressed.pop(found.name, True):
            # However full the buffer: a host that saw the key go down must see it go up.
            self._send(release)

    def _send(self, codes: tuple[int, ...]) -> None:
        for code in codes:
            trace_ps2_put_keycode(self, code)
        self.events.extend(codes)
        self.on_data()

    def _codes(self, key: Key, modifiers: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(make, break) codes of a key in the current set; empty where it has none."""
        if self.code_set == 3:
            if not key.set3:
                return (), ()
            silent = key.set3 in self.make_only or key.name == "pause"
            return (key.set3,), () if silent else (BREAK_PREFIX, key.set3)
        if key.name in ("print", "sysrq"):
            if modifiers & (MODIFIERS["alt"] | MODIFIERS["alt_r"]):
                return SYSTEM_REQUEST[self.code_set]
            if modifiers:
                return PRINT_SHIFTED[self.code_set]
            return PRINT[self.code_set]
        if key.name == "pause":
            ctrl = modifiers & (MODIFIERS["ctrl"] | MODIFIERS["ctrl_r"])
            return (CTRL_BREAK if ctrl else PAUSE)[self.code_set]
        code = key.set1 if self.code_set == 1 else key.set2
        if not code:
            return (), ()
        prefix = (EXTENDED_PREFIX,) if code & EXTENDED else ()
        code &= 0xff
        if self.code_set == 1:
            return (*prefix, code), (*prefix, code | SET1_BREAK)
        return (*prefix, code), (*prefix, BREAK_PREFIX, code)

    # Commands

    def write(self, value: int) -> None:
        trace_ps2_write_keyboard(self, value)
        command, self.command = self.command, None
        if command is not None and value < PARAMETER_LIMIT:
            self._parameter(command, value)
        else:
            self._command(value)
        self.on_data()

    def _command(self, value: int) -> None:
        answer: tuple[int, ...] = (ACK,)
        if value in WITH_PARAMETER:
            self.command = value
        elif value == ENABLE:
            self.enabled = True
        elif value in (DISABLE, DEFAULTS):
            self.events.clear()
            self._set_defaults()
            self.enabled = value == DEFAULTS
        elif value in (ALL_REPEAT, ALL_MAKE):
            self.make_only = set(ALL_CODES)
        elif value in (ALL_MAKE_BREAK, ALL_EVERYTHING):
            self.make_only = set()
        elif value == IDENTIFY:
            answer = (ACK, *IDENTITY)
        elif value == ECHO:
            answer = (ECHO,)
        elif value == RESEND:
            answer = (self.last,)
        elif value == RESET:
            trace_ps2_reset_keyboard(self)
            self.reset()
            answer = (ACK, SELF_TEST_PASSED)
        else:
            answer = (RESEND,)
        self.answer(*answer)

    def _parameter(self, command: int, value: int) -> None:
        answer: tuple[int, ...] = (ACK,)
        if command == SET_LEDS:
            self.leds = value & LEDS_MASK
            trace_ps2_set_ledstate(self, self.leds)
        elif command == SET_REPEAT:
            self.repeat = value
        elif command == SCAN_CODE_SET:
            if value == 0:
                answer = (ACK, self.code_set)
            elif value <= SETS:
                self.code_set = value
            else:
                answer = (RESEND,)
        elif command == KEY_MAKE_BREAK:
            self.make_only.discard(value)
        else:
            self.make_only.add(value)
        self.answer(*answer)

    def _set_defaults(self) -> None:
        self.enabled = True
        self.code_set = DEFAULT_SET
        self.repeat = DEFAULT_REPEAT
        self.make_only = set()
