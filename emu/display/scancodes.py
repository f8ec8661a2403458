"""Keys by their place on the keyboard: SDL's scan codes, which are USB usages, as QKeyCode names.

A place is the same whatever the host's layout; which letter it types is the guest's affair.
Source: USB HID Usage Tables 1.12, section 10 (Keyboard/Keypad Page); SDL_scancode.h from 257 on.
"""

# Usages from 4 on; a dot where a PC keyboard has no such key
_KEYS = """
    a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7 8 9 0 ret esc backspace
    tab spc minus equal bracket_left bracket_right backslash backslash semicolon apostrophe
    grave_accent comma dot slash caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 print
    scroll_lock pause insert home pgup delete end pgdn right left down up num_lock kp_divide
    kp_multiply kp_subtract kp_add kp_enter kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9 kp_0
    kp_decimal less compose power kp_equals . . . . . . . . . . . . open help menu front stop
    again undo cut copy paste find audiomute volumeup volumedown . . . kp_comma . ro
    katakanahiragana yen henkan muhenkan . . . . lang1 lang2
"""
FIRST = 4

NAMES = {code: name for code, name in enumerate(_KEYS.split(), FIRST) if name != "."}
NAMES.update({
    154: "sysrq",
    224: "ctrl", 225: "shift", 226: "alt", 227: "meta_l",
    228: "ctrl_r", 229: "shift_r", 230: "alt_r", 231: "meta_r",
    258: "audionext", 259: "audioprev", 260: "audiostop", 261: "audioplay", 262: "audiomute",
    263: "mediaselect", 265: "mail", 266: "calculator", 267: "computer",
    269: "ac_home", 270: "ac_back", 271: "ac_forward", 273: "ac_refresh", 274: "ac_bookmarks",
    282: "sleep",
})
