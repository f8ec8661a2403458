"""What a terminal sends for keys, as strokes on the machine's keyboard.

Source: curses' names of keys; ASCII for what Ctrl makes of letters.
"""
import curses

from pyemu.display.keysyms import STROKES

ESCAPE = "\x1b"
PLAIN = {"\r": "ret", "\n": "ret", "\t": "tab", "\x7f": "backspace", "\b": "backspace",
         ESCAPE: "esc"}
WITH_CTRL = {"\0": "spc", "\x1c": "backslash", "\x1d": "bracket_right", "\x1e": "6",
             "\x1f": "minus"}
NAMED = {
    curses.KEY_UP: "up", curses.KEY_DOWN: "down", curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right", curses.KEY_HOME: "home", curses.KEY_END: "end",
    curses.KEY_PPAGE: "pgup", curses.KEY_NPAGE: "pgdn", curses.KEY_IC: "insert",
    curses.KEY_DC: "delete", curses.KEY_BACKSPACE: "backspace", curses.KEY_ENTER: "kp_enter",
    curses.KEY_A1: "kp_7", curses.KEY_A3: "kp_9", curses.KEY_B2: "kp_5", curses.KEY_C1: "kp_1",
    curses.KEY_C3: "kp_3", curses.KEY_SUSPEND: "pause", curses.KEY_PRINT: "print",
}
WITH_SHIFT = {
    curses.KEY_BTAB: "tab", curses.KEY_SLEFT: "left", curses.KEY_SRIGHT: "right",
    curses.KEY_SR: "up", curses.KEY_SF: "down", curses.KEY_SHOME: "home", curses.KEY_SEND: "end",
    curses.KEY_SDC: "delete", curses.KEY_SIC: "insert", curses.KEY_SPREVIOUS: "pgup",
    curses.KEY_SNEXT: "pgdn",
}
FUNCTION_KEYS = 12
FUNCTION_MODIFIERS = ((), ("shift",), ("ctrl",), ("ctrl", "shift"))  # F1, F13, F25, F37 and on

# What the monitor's line editor is to see
FOR_CONSOLE = {
    curses.KEY_UP: "\x1b[A", curses.KEY_DOWN: "\x1b[B", curses.KEY_RIGHT: "\x1b[C",
    curses.KEY_LEFT: "\x1b[D", curses.KEY_HOME: "\x1b[H", curses.KEY_END: "\x1b[F",
    curses.KEY_DC: "\x1b[3~", curses.KEY_BACKSPACE: "\x7f", curses.KEY_ENTER: "\r",
}


def strokes(key: str | int, alt: bool = False) -> tuple[str, ...]:
    """The keys to be pressed together, modifiers first; () for what no keyboard has.

    key: what curses' get_wch returns; alt: an escape came right before it.
    """
    pressed = _of_character(key) if isinstance(key, str) else _of_key(key)
    return ("alt", *pressed) if alt and pressed else pressed


def _of_character(character: str) -> tuple[str, ...]:
    if character in PLAIN:
        return (PLAIN[character],)
    if character in WITH_CTRL:
        return "ctrl", WITH_CTRL[character]
    if character < " ":
        return "ctrl", chr(ord(character) | 0x60)
    stroke = STROKES.get(ord(character)) if character <= "~" else None
    if stroke is None:
        return ()
    return ("shift", stroke.key) if stroke.shift else (stroke.key,)


def _of_key(key: int) -> tuple[str, ...]:
    if key in NAMED:
        return (NAMED[key],)
    if key in WITH_SHIFT:
        return "shift", WITH_SHIFT[key]
    group, number = divmod(key - curses.KEY_F1, FUNCTION_KEYS)
    if 0 <= group < len(FUNCTION_MODIFIERS):
        return *FUNCTION_MODIFIERS[group], f"f{number + 1}"
    return ()


def for_console(key: str | int) -> bytes:
    """The same key for a program that reads a terminal."""
    text = key if isinstance(key, str) else FOR_CONSOLE.get(key, "")
    return text.encode()
