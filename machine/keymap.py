"""The keys of a PC keyboard: names, numbers and scan codes.

Names, and their order, are those of QEMU's QKeyCode. Codes are of set 2 and set 3, with e0 in
front where the key has that prefix; set 1 follows from set 2 by the table of the keyboard
controller, which is how the sets came about. Print and Pause send sequences of their own.
Source: IBM PS/2 Technical Reference, Keyboards (1988); Microsoft Keyboard Scan Code
Specification 1.3a.
"""
from dataclasses import dataclass

EXTENDED = 0xe000  # the e0 prefix of a code
EXTENDED_NUMBER = 0x80  # the same in a key number

# Set 2 to set 1, for codes below 80h. Of those above two are keys, the others stay themselves.
_TRANSLATION = bytes.fromhex("""
    ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59
    65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b
    67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d
    69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f
    6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61
    6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76
    55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f
    52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54
""")
SET2_TO_SET1 = bytearray(_TRANSLATION + bytes(range(0x80, 0x100)))
SET2_TO_SET1[0x83] = 0x41  # F7
SET2_TO_SET1[0x84] = 0x54  # Alt + Print


@dataclass(frozen=True, slots=True)
class Key:
    """qcode: position in QEMU's list. Codes are 0 where the set has none for the key."""

    name: str
    qcode: int
    set1: int
    set2: int
    set3: int


# name, set 2, set 3
_TABLE = """
    unmapped - -
    shift 12 12
    shift_r 59 59
    alt 11 19
    alt_r e011 39
    ctrl 14 11
    ctrl_r e014 58
    menu e01c 91
    esc 76 08
    1 16 16
    2 1e 1e
    3 26 26
    4 25 25
    5 2e 2e
    6 36 36
    7 3d 3d
    8 3e 3e
    9 46 46
    0 45 45
    minus 4e 4e
    equal 55 55
    backspace 66 66
    tab 0d 0d
    q 15 15
    w 1d 1d
    e 24 24
    r 2d 2d
    t 2c 2c
    y 35 35
    u 3c 3c
    i 43 43
    o 44 44
    p 4d 4d
    bracket_left 54 54
    bracket_right 5b 5b
    ret 5a 5a
    a 1c 1c
    s 1b 1b
    d 23 23
    f 2b 2b
    g 34 34
    h 33 33
    j 3b 3b
    k 42 42
    l 4b 4b
    semicolon 4c 4c
    apostrophe 52 52
    grave_accent 0e 0e
    backslash 5d 5c
    z 1a 1a
    x 22 22
    c 21 21
    v 2a 2a
    b 32 32
    n 31 31
    m 3a 3a
    comma 41 41
    dot 49 49
    slash 4a 4a
    asterisk 7c 7e
    spc 29 29
    caps_lock 58 14
    f1 05 07
    f2 06 0f
    f3 04 17
    f4 0c 1f
    f5 03 27
    f6 0b 2f
    f7 83 37
    f8 0a 3f
    f9 01 47
    f10 09 4f
    num_lock 77 76
    scroll_lock 7e 5f
    kp_divide e04a 4a
    kp_multiply 7c 7e
    kp_subtract 7b 4e
    kp_add 79 7c
    kp_enter e05a 79
    kp_decimal 71 71
    sysrq e07c 57
    kp_0 70 70
    kp_1 69 69
    kp_2 72 72
    kp_3 7a 7a
    kp_4 6b 6b
    kp_5 73 73
    kp_6 74 74
    kp_7 6c 6c
    kp_8 75 75
    kp_9 7d 7d
    less 61 13
    f11 78 56
    f12 07 5e
    print e07c 57
    home e06c 6e
    pgup e07d 6f
    pgdn e07a 6d
    end e069 65
    left e06b 61
    up e075 63
    down e072 60
    right e074 6a
    insert e070 67
    delete e071 64
    stop e028 0a
    again e025 0b
    props e02e 0c
    undo e036 10
    front e04e -
    copy e063 18
    open 08 20
    paste 10 28
    find e002 30
    cut e006 38
    lf 1f -
    help e05c 09
    meta_l e01f 8b
    meta_r e027 8c
    compose e02f 8d
    pause - 62
    ro 51 -
    hiragana 62 87
    henkan 64 86
    yen 6a 5d
    muhenkan 67 85
    katakanahiragana 13 87
    kp_comma 6d -
    kp_equals 0f -
    power e037 -
    sleep e03f -
    wake e05e -
    audionext e04d 93
    audioprev e015 94
    audiostop e03b 98
    audioplay e034 -
    audiomute e023 9c
    volumeup e032 95
    volumedown e021 9d
    mediaselect e050 -
    mail e048 -
    calculator e02b a3
    computer e040 -
    ac_home e03a 97
    ac_back e038 -
    ac_forward e030 -
    ac_refresh e020 -
    ac_bookmarks e018 -
    lang1 39 -
    lang2 19 -
"""


def _parse(table: str) -> dict[str, Key]:
    keys = {}
    for qcode, line in enumerate(table.split("\n")[1:-1]):
        name, *codes = line.split()
        set2, set3 = (0 if code == "-" else int(code, 16) for code in codes)
        set1 = set2 & EXTENDED | SET2_TO_SET1[set2 & 0xff] if set2 else 0
        keys[name] = Key(name, qcode, set1, set2, set3)
    return keys


def _number(set1: int) -> int:
    return set1 & 0x7f | (EXTENDED_NUMBER if set1 & EXTENDED else 0)


KEYS = _parse(_TABLE)

# Key numbers, as `sendkey 0x1c` names them: the code of set 1, with bit 7 for the e0 prefix.
NUMBERS = {_number(key.set1): key for key in reversed(KEYS.values()) if key.set1}
NUMBERS[0xc6] = KEYS["pause"]
NUMBERS[0x54] = KEYS["sysrq"]
