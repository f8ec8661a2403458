"""ACPI machine language: each function encodes one term and returns its bytes.

Terms nest as in ASL: `device("COM1", name("_UID", 1), name("_CRS", resources(...)))`.
Source: ACPI 6.5, sections 20.2 (AML grammar) and 19.3.4 (EISA identifiers).
"""
from collections.abc import Iterable

Value = bytes | int | str

BYTE_ACCESS = 1  # of a field
PCI_CONFIG = 2   # the space of an operation region

NULL_NAME = b"\x00"
ARG0 = b"\x68"


def package_length(body: bytes) -> bytes:
    """`body` behind its PkgLength, which counts itself. At most 2**28 bytes."""
    if len(body) + 1 < 1 << 6:
        return bytes((len(body) + 1,)) + body
    for extra in (1, 2, 3):
        length = len(body) + 1 + extra
        if length < 1 << 4 + 8 * extra:
            return bytes((extra << 6 | length & 0xF,)) + (length >> 4).to_bytes(
                extra, "little") + body
    raise ValueError(f"AML package of {len(body)} bytes")


def path(text: str) -> bytes:
    """A NameString: `\\_SB.PCI0`, `^LNKA` or `_HID`. Short segments are filled up with `_`."""
    root = text[:len(text) - len(text.lstrip("\\^"))]
    segments = [part.ljust(4, "_").encode() for part in text[len(root):].split(".") if part]
    if len(segments) > 2:
        return root.encode() + bytes((0x2F, len(segments))) + b"".join(segments)
    return root.encode() + (b"", b"", b"\x2e")[len(segments)] + (b"".join(segments) or NULL_NAME)


def integer(value: int) -> bytes:
    """The shortest constant of that value, 0 to 2**64-1."""
    if value in (0, 1):
        return bytes((value,))
    for prefix, size in ((0x0A, 1), (0x0B, 2), (0x0C, 4)):
        if value < 1 << 8 * size:
            return bytes((prefix,)) + value.to_bytes(size, "little")
    return b"\x0e" + value.to_bytes(8, "little")


def string(text: str) -> bytes:
    return b"\x0d" + text.encode("ascii") + b"\0"


def term(value: Value) -> bytes:
    """An int or str as the constant it is; what is encoded already stays as it is."""
    if isinstance(value, bytes):
        return value
    return integer(value) if isinstance(value, int) else string(value)


def eisa_id(text: str) -> bytes:
    """`PNP0A03`, three letters and four hexadecimal digits, in its compressed form."""
    letters = (ord(letter) - 0x40 for letter in text[:3])
    number = int(text[3:], 16)
    for letter, shift in zip(letters, (26, 21, 16), strict=True):
        number |= letter << shift
    return b"\x0c" + number.to_bytes(4, "big")


def buffer(data: bytes) -> bytes:
    return b"\x11" + package_length(integer(len(data)) + data)


def package(values: Iterable[Value]) -> bytes:
    """At most 255 values."""
    terms = [term(value) for value in values]
    return b"\x12" + package_length(bytes((len(terms),)) + b"".join(terms))


# Named objects

def name(text: str, value: Value) -> bytes:
    return b"\x08" + path(text) + term(value)


def scope(text: str, *terms: bytes) -> bytes:
    return b"\x10" + package_length(path(text) + b"".join(terms))


def device(text: str, *terms: bytes) -> bytes:
    return b"\x5b\x82" + package_length(path(text) + b"".join(terms))


def method(text: str, arguments: int, *terms: bytes, serialized: bool = False) -> bytes:
    """serialized: as methods that create named objects must be."""
    flags = bytes((arguments | serialized << 3,))
    return b"\x14" + package_length(path(text) + flags + b"".join(terms))


def operation_region(text: str, space: int, offset: int, length: int) -> bytes:
    return b"\x5b\x80" + path(text) + bytes((space,)) + integer(offset) + integer(length)


def field(region: str, access: int, *units: tuple[str, int]) -> bytes:
    """units: name and bits of each part, from the start of the region on. The rest of what an
    access covers is preserved."""
    body = path(region) + bytes((access,))
    for unit, bits in units:
        if bits >= 1 << 6:
            raise ValueError(f"field unit {unit} of {bits} bits")
        body += path(unit) + bytes((bits,))
    return b"\x5b\x81" + package_length(body)


# Statements and operators

def store(value: Value, target: bytes) -> bytes:
    return b"\x70" + term(value) + target


def bit_or(left: Value, right: Value, target: bytes = NULL_NAME) -> bytes:
    return b"\x7d" + term(left) + term(right) + target


def bit_and(left: Value, right: Value, target: bytes = NULL_NAME) -> bytes:
    return b"\x7b" + term(left) + term(right) + target


def less(left: Value, right: Value) -> bytes:
    return b"\x95" + term(left) + term(right)


def if_(condition: bytes, *terms: bytes) -> bytes:
    return b"\xa0" + package_length(condition + b"".join(terms))


def return_(value: Value) -> bytes:
    return b"\xa4" + term(value)


def create_dword_field(source: bytes, offset: int, text: str) -> bytes:
    """Name four bytes of a buffer."""
    return b"\x8a" + source + integer(offset) + path(text)
