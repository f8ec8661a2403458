"""Numbers and layouts of the protocol.

Source: RFC 6143, sections 7.1 to 7.8; rfbproto for ExtendedDesktopSize, QEMU's extended keys and
its pointer modes.
"""
import struct

VERSION = b"RFB 003.008\n"

# Security
INVALID, NONE, VNC = 0, 1, 2
OK, FAILED = 0, 1
CHALLENGE = 16  # bytes
AUTHENTICATIONS = {NONE: "none", VNC: "vnc"}  # as QEMU calls them

# From the client, and what follows the first byte of each
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
SET_DESKTOP_SIZE, QEMU = 251, 255
QEMU_KEY = 0  # of QEMU
PIXEL_FORMAT_SIZE, PIXEL_FORMAT_PADDING = 16, 3
ENCODINGS = struct.Struct(">xH")
REQUEST = struct.Struct(">BHHHH")  # incremental, left, top, width, height
KEY_EVENT = struct.Struct(">B2xI")  # down, keysym
POINTER_EVENT = struct.Struct(">BHH")  # buttons, x, y
TEXT_LENGTH = struct.Struct(">3xI")
DESKTOP_SIZE_REQUEST = struct.Struct(">xHHBx")  # width, height, number of screens
SCREEN_SIZE = 16  # bytes
EXTENDED_KEY_EVENT = struct.Struct(">HII")  # down, keysym, key number

# To the client
UPDATE = struct.Struct(">BxH")
UPDATE_TYPE = 0
RECTANGLE = struct.Struct(">HHHHi")
COLOUR_MAP = struct.Struct(">BxHH")  # type, first, count
COLOUR_MAP_TYPE = 1
SERVER_INIT = struct.Struct(">HH16sI")
ONE_SCREEN = struct.Struct(">B3xIHHHHI")  # count, then id, left, top, width, height, flags

# Encodings, and what else a client can do
RAW, HEXTILE, ZLIB = 0, 5, 6
DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE = -223, -308
POINTER_TYPE, EXTENDED_KEYS = -257, -258
LEVELS = range(-256, -246)  # of compression, 0 to 9

# ExtendedDesktopSize: why, and with which outcome
BY_SERVER, BY_THIS_CLIENT = 0, 1
SIZE_OK, SIZE_INVALID = 0, 3
