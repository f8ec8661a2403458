"""X's keysyms, by which clients name what a key types, as keys of a US keyboard.

Source: keysymdef.h of the X11 protocol headers.
"""
from typing import NamedTuple

UNICODE = 0x0100_0000  # added to a code point


class Stroke(NamedTuple):
    """A key, and whether it types this only with Shift (None: Shift makes no difference)."""

    key: str
    shift: bool | None = None


# Lines of keys, then what each types without and with Shift
_TYPED = (
    ("grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal", "`1234567890-=", "~!@#$%^&*()_+"),
    ("bracket_left bracket_right backslash", "[]\\", "{}|"),
    ("semicolon apostrophe comma dot slash", ";',./", ':"<>?'),
    (" ".join("abcdefghijklmnopqrstuvwxyz"), "abcdefghijklmnopqrstuvwxyz",
     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
)

# First keysym, then keys from there on; a dot where there is none
_OTHERS = (
    (0xff08, "backspace tab lf . . ret . . . . . pause scroll_lock sysrq . . . . . esc"),
    (0xff22, "muhenkan henkan henkan hiragana hiragana katakanahiragana"),
    (0xff50, "home left up right down pgup pgdn end"),
    (0xff61, "print . insert . undo again menu find . help pause"),
    (0xff7e, "alt_r num_lock"),
    (0xff8d, "kp_enter"),
    (0xff95, "kp_7 kp_4 kp_8 kp_6 kp_2 kp_9 kp_3 kp_1 kp_5 kp_0 kp_decimal"),
    (0xffaa, "kp_multiply kp_add kp_comma kp_subtract kp_decimal kp_divide"),
    (0xffb0, "kp_0 kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9 . . . kp_equals"),
    (0xffbe, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12"),
    (0xffe1, "shift shift_r ctrl ctrl_r caps_lock . alt alt_r alt alt_r meta_l meta_r"),
    (0xffed, "meta_l meta_r"),
    (0xffff, "delete"),
    (0xfe03, "alt_r"), (0xfe20, "tab"),
)


def _strokes() -> dict[int, Stroke]:
    strokes = {0x20: Stroke("spc")}
    for keys, plain, shifted in _TYPED:
        for key, lower, upper in zip(keys.split(), plain, shifted, strict=True):
            strokes[ord(lower)] = Stroke(key, False)
            strokes[ord(upper)] = Stroke(key, True)
    strokes |= {UNICODE + symbol: stroke for symbol, stroke in strokes.items()}
    for first, keys in _OTHERS:
        strokes |= {symbol: Stroke(key) for symbol, key in enumerate(keys.split(), first)
                    if key != "."}
    return strokes


STROKES = _strokes()
