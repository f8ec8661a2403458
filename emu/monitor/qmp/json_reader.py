"""JSON values out of a stream of bytes that may be cut anywhere or be no JSON at all.

There are no delimiters: a value ends with the bracket that closes it, else where the next token
begins. As in QEMU strings may stand in single quotes, and after an error reading goes on at the
next control or structural character. Texts of errors are QEMU's.
"""
import math
import re
from collections.abc import Iterator
from typing import Any

DEPTH_LIMIT = 256  # brackets within brackets
SIZE_LIMIT = 16 << 20  # bytes of one value

MARKS = b"{}[]:,"
BLANKS = b" \t\r\n"
QUOTES = b"\"'"
IN_STRING = range(0x20, 0xfe)
RESYNC = frozenset((*MARKS, *range(0x20), 0xfe, 0xff)) - {0x09}
LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
DIGITS = b"0123456789"
# States of a number, and where the next character leads.
NUMBER = {
    "minus": dict.fromkeys(DIGITS, "digits") | {ord("0"): "zero"},
    "zero": {ord("."): "point", ord("e"): "e", ord("E"): "e"} | dict.fromkeys(DIGITS, "wrong"),
    "digits": {ord("."): "point", ord("e"): "e", ord("E"): "e"} | dict.fromkeys(DIGITS, "digits"),
    "point": dict.fromkeys(DIGITS, "fraction"),
    "fraction": {ord("e"): "e", ord("E"): "e"} | dict.fromkeys(DIGITS, "fraction"),
    "e": {ord("+"): "sign", ord("-"): "sign"} | dict.fromkeys(DIGITS, "exponent"),
    "sign": dict.fromkeys(DIGITS, "exponent"),
    "exponent": dict.fromkeys(DIGITS, "exponent"),
}
NUMBER_STARTS = {ord("-"): "minus", ord("0"): "zero"} | dict.fromkeys(b"123456789", "digits")
NUMBER_ENDS = ("zero", "digits", "fraction", "exponent")
ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
                    r"|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
           '"': '"', "'": "'", "\\": "\\", "/": "/"}
KEYWORDS = {b"true": True, b"false": False, b"null": None}

Token = tuple[str, bytes]  # "mark", "string", "number" or "word"; "stray" for none


class JsonError(Exception):
    """What came in is no JSON."""


class Lexer:
    """Tokens, from bytes as they come."""

    def __init__(self) -> None:
        self._state = "start"
        self._text = bytearray()  # of the token begun
        self._quote = 0

    def __len__(self) -> int:
        return len(self._text)

    def recover(self) -> None:
        """Forget what has begun, and skip what belongs to it."""
        self._state = "recovery"
        self._text.clear()

    def take(self, byte: int) -> Iterator[Token]:
        """The tokens that end with this byte or just before it."""
        state = self._state
        if state in NUMBER:
            self._state = NUMBER[state].get(byte, "start" if state in NUMBER_ENDS else "wrong")
            if self._state == "start":
                yield self._token("number")
        elif state == "word" and byte not in LETTERS:
            self._state = "start"
            yield self._token("word")
        elif state == "recovery" and byte in RESYNC:
            self._state = "start"
        elif state == "escape":
            self._state = "string" if byte in IN_STRING else "wrong"
        elif state == "string":
            if byte == self._quote:
                self._text.append(byte)
                self._state = "start"
                yield self._token("string")
                return
            self._state = "wrong" if byte not in IN_STRING else (
                "escape" if byte == ord("\\") else "string")
        if self._state == "start":
            if byte in MARKS:
                yield "mark", bytes([byte])
                return
            if byte in BLANKS:
                return
            self._state = self._begin(byte)
        if self._state == "recovery":
            return
        self._text.append(byte)
        if self._state == "wrong":
            yield self._token("stray")
            self._state = "recovery"

    def _begin(self, byte: int) -> str:
        if byte in QUOTES:
            self._quote = byte
            return "string"
        return "word" if byte in LETTERS else NUMBER_STARTS.get(byte, "wrong")

    def _token(self, kind: str) -> Token:
        text = bytes(self._text)
        self._text.clear()
        return kind, text


class JsonReader:
    """feed() takes bytes as they come and gives the values that are complete."""

    def __init__(self) -> None:
        self._lexer = Lexer()
        self._start_value()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Each value, or a JsonError in the place of one."""
        for byte in data:
            for kind, text in self._lexer.take(byte):
                yield from self._take(kind, text)
            if self._size + len(self._lexer) > SIZE_LIMIT:
                self._lexer.recover()
                yield self._fail("JSON token size limit exceeded")

    def _start_value(self) -> None:
        self._tokens: list[Token] = []
        self._size = 0
        self._braces = self._brackets = 0

    def _fail(self, text: str) -> JsonError:
        self._start_value()
        return JsonError(text)

    def _take(self, kind: str, text: bytes) -> Iterator[Any]:
        """One more token; the value, if that ends one."""
        if kind == "stray":
            yield self._fail(f"JSON parse error, stray '{text.decode('utf-8', 'replace')}'")
            return
        self._tokens.append((kind, text))
        self._size += len(text)
        if kind == "mark":
            self._braces += (text == b"{") - (text == b"}")
            self._brackets += (text == b"[") - (text == b"]")
        if self._braces + self._brackets > DEPTH_LIMIT:
            yield self._fail("JSON nesting depth limit exceeded")
        elif min(self._braces, self._brackets) < 0 or self._braces == self._brackets == 0:
            tokens = self._tokens
            self._start_value()
            try:
                yield Parser(tokens).value()
            except JsonError as error:
                yield JsonError(f"JSON parse error, {error}")


class Parser:
    """The value that a list of tokens makes."""

    def __init__(self, tokens: list[Token]):
        self._tokens = iter(tokens)

    def _next(self) -> Token:
        return next(self._tokens, ("end", b""))

    def value(self) -> Any:
        return self._value(*self._next())

    def _value(self, kind: str, text: bytes) -> Any:
        if text == b"{":
            return self._object()
        if text == b"[":
            return self._array()
        if kind == "string":
            return string_of(text)
        if kind == "number":
            return number_of(text)
        if kind == "word":
            if text not in KEYWORDS:
                raise JsonError(f"invalid keyword '{text.decode()}'")
            return KEYWORDS[text]
        raise JsonError("expecting value")

    def _object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        token = self._next()
        if token[1] == b"}":
            return members
        while True:
            name = self._value(*token)
            if not isinstance(name, str):
                raise JsonError("key is not a string in object")
            if self._next()[1] != b":":
                raise JsonError("missing : in object pair")
            value = self.value()
            if name in members:
                raise JsonError("duplicate key")
            members[name] = value
            separator = self._next()[1]
            if separator == b"}":
                return members
            if separator != b",":
                raise JsonError("expected separator in dict")
            token = self._next()

    def _array(self) -> list[Any]:
        items: list[Any] = []
        token = self._next()
        if token[1] == b"]":
            return items
        while True:
            items.append(self._value(*token))
            separator = self._next()[1]
            if separator == b"]":
                return items
            if separator != b",":
                raise JsonError("expected separator in list")
            token = self._next()


def number_of(text: bytes) -> int | float:
    """An int if it is written as one and has 64 bits."""
    if text.lstrip(b"-").isdigit() and len(text) <= 20:
        whole = int(text)
        if -1 << 63 <= whole < 1 << 64:
            return whole
    value = float(text)
    if math.isinf(value):
        raise JsonError("number out of range")
    return value


def string_of(text: bytes) -> str:
    """The string within the quotes."""
    try:
        quoted = text.decode()
    except UnicodeDecodeError:
        raise JsonError("invalid UTF-8 sequence in string") from None

    def character(match: re.Match[str]) -> str:
        high, low, code, letter = match.groups()
        if high:
            return chr(0x10000 + ((int(high, 16) & 0x3ff) << 10) + (int(low, 16) & 0x3ff))
        if letter == "u" or (code and 0xd800 <= int(code, 16) < 0xe000):
            bad = quoted[match.start():match.start() + 6]
            raise JsonError(f"{bad} is not a valid Unicode character")
        if code:
            return chr(int(code, 16))
        if letter not in ESCAPED:
            raise JsonError("invalid escape sequence in string")
        return ESCAPED[letter]

    return ESCAPE.sub(character, quoted)[1:-1]
