"""EDID: what a monitor tells of itself, here one that shows whatever the VGA can, at 75 Hz.

256 bytes: the base block, whose first timing is the one to prefer, and an extension of CTA-861.
Source: VESA Enhanced EDID Standard, release A2 (EDID 1.4); CTA-861-F, section 7.5; sizes and
timings are those of the monitor at QEMU's VGA.
"""
import struct

HEADER = bytes((0, *[0xff] * 6, 0))
MANUFACTURER, PRODUCT = "RHT", 0x1234
WEEK, YEAR = 42, 2014
VERSION = 1, 4
DIGITAL_8_BITS_DISPLAYPORT = 0xa5
GAMMA_2_2 = 0x78  # (2.2 - 1) * 100
SRGB_AND_PREFERRED_TIMING = 0x06
SRGB = bytes.fromhex("ee91a3544c99260f5054")  # chromaticity of red, green, blue and white
DOTS_PER_INCH = 100
REFRESH = 75  # Hz

# Modes at 60 Hz besides the preferred one
ESTABLISHED = bytes.fromhex("210800")  # 640x480, 800x600, 1024x768
ESTABLISHED_III = bytes.fromhex("004082002820")  # 1280x768, 1360x768, 1440x900, ... 1920x1440
STANDARD = ((2048, 1152), (1920, 1080), (1920, 1200), (1600, 1200), (1680, 1050), (1440, 900),
            (1280, 1024), (1280, 960))
ASPECTS = {(16, 10): 0x00, (4, 3): 0x40, (5, 4): 0x80, (16, 9): 0xc0}
VIDEO_CODES = bytes((125, 101, 96, 89, 31, 97))  # 5120x2160, 4096x2160, ... at 50 and 60 Hz

# Tags of descriptors
NAME, RANGES, MORE_TIMINGS, DUMMY = 0xfc, 0xfd, 0xf7, 0x10
TEXT = 13  # bytes
LIMITS = bytes((50, 125, 30, 160, 255, 1))  # Hz, kHz, 10 MHz; no formula for timings

DESCRIPTOR, BLOCK = 18, 128  # bytes
CTA, CTA_REVISION, VIDEO_BLOCK = 2, 3, 2
SEPARATE_SYNC = 0x18


def build(width: int, height: int, name: str) -> bytes:
    """The monitor's 256 bytes. width, height: pixels to prefer. name: at most 13 characters."""
    identity = sum(ord(letter) - ord("A") + 1 << shift
                   for letter, shift in zip(MANUFACTURER, (10, 5, 0), strict=True))
    base = HEADER + struct.pack(">H", identity) + struct.pack("<HI", PRODUCT, 0)
    base += bytes((WEEK, YEAR - 1990, *VERSION, DIGITAL_8_BITS_DISPLAYPORT,
                   _millimetres(width) // 10, _millimetres(height) // 10, GAMMA_2_2,
                   SRGB_AND_PREFERRED_TIMING))
    base += SRGB + ESTABLISHED + b"".join(_standard(*mode) for mode in STANDARD)
    base += _timing(width, height) + _descriptor(MORE_TIMINGS, b"\x0a" + ESTABLISHED_III)
    base += _descriptor(RANGES, _text(LIMITS)) + _descriptor(NAME, _text(name.encode()))
    return _block(base + bytes((1,))) + _block(_extension())


def _millimetres(pixels: int) -> int:
    return pixels * 254 // (DOTS_PER_INCH * 10)


def _standard(width: int, height: int) -> bytes:
    ratio = next(code for (x, y), code in ASPECTS.items() if width * y == height * x)
    return bytes((width // 8 - 31, ratio))


def _timing(width: int, height: int) -> bytes:
    """A detailed timing, whose porches and pulses are parts of the active picture."""
    x_front, x_sync, x_blank = width * 25 // 100, width * 3 // 100, width * 35 // 100
    y_front, y_sync, y_blank = height * 5 // 1000, height * 5 // 1000, height * 35 // 1000
    clock = REFRESH * (width + x_blank) * (height + y_blank) // 10_000
    x_size, y_size = _millimetres(width), _millimetres(height)
    return struct.pack("<H", clock) + bytes((
        width & 0xff, x_blank & 0xff, width >> 8 << 4 | x_blank >> 8,
        height & 0xff, y_blank & 0xff, height >> 8 << 4 | y_blank >> 8,
        x_front & 0xff, x_sync & 0xff, (y_front & 0x0f) << 4 | y_sync & 0x0f,
        x_front >> 8 << 6 | x_sync >> 8 << 4 | y_front >> 4 << 2 | y_sync >> 4,
        x_size & 0xff, y_size & 0xff, x_size >> 8 << 4 | y_size >> 8,
        0, 0, SEPARATE_SYNC))


def _descriptor(tag: int, data: bytes) -> bytes:
    return bytes((0, 0, 0, tag, 0)) + data.ljust(TEXT, b"\0")


def _text(data: bytes) -> bytes:
    return data if len(data) == TEXT else (data + b"\n").ljust(TEXT)


def _extension() -> bytes:
    codes = bytes((VIDEO_BLOCK << 5 | len(VIDEO_CODES),)) + VIDEO_CODES
    block = bytes((CTA, CTA_REVISION, 4 + len(codes), 0)) + codes
    while len(block) + DESCRIPTOR < BLOCK:
        block += _descriptor(DUMMY, b"")
    return block


def _block(data: bytes) -> bytes:
    """Filled up, with the checksum at its end."""
    data = data.ljust(BLOCK - 1, b"\0")
    return data + bytes((-sum(data) & 0xff,))
