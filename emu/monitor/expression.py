"""Numbers as the monitor takes them: C's operators on 64 bits, and `$reg` for a register."""
import re
from collections.abc import Callable

from pyemu.monitor.command import ExtraneousError, UsageError

MASK = (1 << 64) - 1
TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|[0-9]+|\$[\w.]+|'.'|.)", re.DOTALL)
LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (  # binding loosest first
    {"&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b},
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: a // b, "%": lambda a, b: a % b},
)


def evaluate(text: str, register: Callable[[str], int]) -> int:
    """The value of `text`, modulo 2^64. register(name) raises AttributeError for a name that is
    none. Raises UsageError."""
    parser = _Parser(text, register)
    value = parser.level(0)
    if parser.token:
        raise ExtraneousError
    return value


class _Parser:
    def __init__(self, text: str, register: Callable[[str], int]):
        self._tokens = iter(TOKEN.findall(text.strip()))
        self._register = register
        self.token = next(self._tokens, "")

    def _take(self) -> str:
        taken, self.token = self.token, next(self._tokens, "")
        return taken

    def level(self, number: int) -> int:
        if number == len(LEVELS):
            return self._unary()
        value = self.level(number + 1)
        while self.token and self.token in LEVELS[number]:
            operator = LEVELS[number][self._take()]
            other = self.level(number + 1)
            try:
                value = operator(value, other) & MASK
            except ZeroDivisionError:
                raise UsageError("division by zero") from None
        return value

    def _unary(self) -> int:
        token = self._take()
        if token == "":
            raise UsageError("unexpected end of expression")
        if token in "+-~":
            value = self._unary()
            return {"+": value, "-": -value, "~": ~value}[token] & MASK
        if token == "(":
            value = self.level(0)
            if self._take() != ")":
                raise UsageError("')' expected")
            return value
        if token[0].isdigit():
            return self._number(token)
        if token[0] == "$":
            try:
                return self._register(token[1:]) & MASK
            except AttributeError:
                raise UsageError("unknown register") from None
        if token[0] == "'" and len(token) == 3:
            return ord(token[1]) & MASK
        raise UsageError(f"invalid char '{token[0]}' in expression")

    def _number(self, token: str) -> int:
        octal = len(token) > 1 and token[0] == "0" and token[1] not in "xX"
        try:
            value = int(token, 8 if octal else 0)
        except ValueError:
            raise ExtraneousError from None
        if value > MASK:
            raise UsageError("number too large")
        return value
