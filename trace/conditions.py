"""Conditions on an event's arguments: `sector > 1000 && count < 8`, `name ~ "bios*"`.

C's operators on numbers, with C's precedence; `==`, `!=` and `~` (glob) between a string argument
and a quoted text. `count` is how often the condition has been true so far, unless the event has an
argument of that name. They are evaluated by native code (trace/native/filter.c).
"""
import os
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, NoReturn

from pyemu.trace._ring import Filter
from pyemu.trace.grammar import SIGNED_TYPES, Event, unescape

# The codes of trace/native/filter.h.
(NUMBER, ARGUMENT, SIGNED, COUNT, EQUAL, MATCHES, NOT, NEGATE, INVERT, OR, AND, EQ, NE, LT, LE, GT,
 GE, BIT_OR, BIT_XOR, BIT_AND, SHIFT_LEFT, SHIFT_RIGHT, ADD, SUBTRACT, MULTIPLY, DIVIDE,
 REMAINDER) = range(27)

# Binary operators and their codes, the weakest first.
LEVELS: tuple[dict[str, int], ...] = (
    {"||": OR}, {"&&": AND}, {"|": BIT_OR}, {"^": BIT_XOR}, {"&": BIT_AND},
    {"==": EQ, "!=": NE}, {"<": LT, "<=": LE, ">": GT, ">=": GE},
    {"<<": SHIFT_LEFT, ">>": SHIFT_RIGHT}, {"+": ADD, "-": SUBTRACT},
    {"*": MULTIPLY, "/": DIVIDE, "%": REMAINDER},
)
UNARY = {"!": NOT, "-": NEGATE, "~": INVERT}
LARGEST = (1 << 64) - 1
MAX_NESTING = 24  # the machine's stack has 32 places

_TOKEN = re.compile(r"""\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)|(?P<name>[A-Za-z_]\w*)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<operator>\|\||&&|==|!=|<<|>>|<=|>=|[-+*/%<>&|^!~()]))""", re.X)

Step = tuple[int] | tuple[int, int] | tuple[int, int, bytes]


class ConditionError(ValueError):
    """The condition cannot be understood, or not for this event."""


class UnknownName(ConditionError):
    """It speaks of an argument that the event does not have."""


class Token(NamedTuple):
    kind: str
    text: str
    column: int


def compile_condition(condition: str, event: Event) -> Filter:
    """The condition for this event. Raises ConditionError."""
    program = _Compiler(condition, event).program()
    try:
        return Filter(program, event.types)
    except ValueError:
        raise ConditionError(f"condition '{condition}': nested too deeply") from None


def _divide(a: int, b: int) -> int:
    """As C does, toward zero; by zero it is 0, as in filter.c."""
    return 0 if b in (0, -1) else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_BINARY: dict[int, Callable[[Any, Any], Any]] = {
    OR: lambda a, b: bool(a) or bool(b), AND: lambda a, b: bool(a) and bool(b),
    EQ: lambda a, b: a == b, NE: lambda a, b: a != b, LT: lambda a, b: a < b,
    LE: lambda a, b: a <= b, GT: lambda a, b: a > b, GE: lambda a, b: a >= b,
    BIT_OR: lambda a, b: a | b, BIT_XOR: lambda a, b: a ^ b, BIT_AND: lambda a, b: a & b,
    SHIFT_LEFT: lambda a, b: a << b if 0 <= b <= 63 else 0,
    SHIFT_RIGHT: lambda a, b: a >> b if 0 <= b <= 127 else 0,
    ADD: lambda a, b: a + b, SUBTRACT: lambda a, b: a - b, MULTIPLY: lambda a, b: a * b,
    DIVIDE: _divide, REMAINDER: lambda a, b: 0 if b in (0, -1) else a - b * _divide(a, b),
}


def predicate(condition: str, event: Event) -> Callable[[Sequence[Any]], bool]:
    """The condition as a function of the event's arguments as a decoder gives them, for traces
    that exist already. Raises ConditionError."""
    steps = _Compiler(condition, event).program()
    accepted = 0

    def accepts(args: Sequence[Any]) -> bool:
        nonlocal accepted
        stack: list[Any] = []
        for code, *operands in steps:
            if code in _BINARY:
                right = stack.pop()
                stack[-1] = _BINARY[code](stack[-1], right)
            else:
                _push(stack, code, operands, args, accepted)
        accepted += bool(stack[0])
        return bool(stack[0])

    return accepts


def _push(stack: list[Any], code: int, operands: list[Any], args: Sequence[Any],
          accepted: int) -> None:
    if code == NUMBER:
        stack.append(operands[0])
    elif code == COUNT:
        stack.append(accepted)
    elif code == ARGUMENT:
        stack.append(args[operands[0]])
    elif code == SIGNED:
        value = args[operands[0]]
        stack.append(value - (1 << 64) if value >> 63 else value)
    elif code == EQUAL:
        stack.append(args[operands[0]].encode("utf-8", "surrogateescape") == operands[1])
    elif code == MATCHES:
        stack.append(fnmatchcase(args[operands[0]], operands[1].decode("utf-8", "replace")))
    else:
        stack[-1] = {NOT: not stack[-1], NEGATE: -stack[-1], INVERT: ~stack[-1]}[code]


class _Compiler:
    """A recursive-descent parser that leaves its steps in `self.steps`."""

    def __init__(self, condition: str, event: Event):
        self.condition = condition
        self.event = event
        self.arguments = {name: n for n, (_, name) in enumerate(event.args)}
        self.tokens = self._split()
        self.at = 0
        self.nesting = 0
        self.steps: list[Step] = []

    def _split(self) -> list[Token]:
        tokens, at, end = [], 0, len(self.condition.rstrip())
        while at < end:
            match = _TOKEN.match(self.condition, at)
            if match is None:
                rest = self.condition[at:].lstrip()
                self._fail(f"'{rest[0]}' makes no sense", len(self.condition) - len(rest))
            kind = match.lastgroup or ""
            tokens.append(Token(kind, match[kind], match.start(kind)))
            at = match.end()
        tokens.append(Token("end", "", end))
        return tokens

    def _fail(self, message: str, column: int | None = None) -> NoReturn:
        at = self.tokens[self.at].column if column is None else column
        raise ConditionError(f"condition '{self.condition}', character {at + 1}: {message}")

    def program(self) -> list[Step]:
        self._binary(0)
        if self.tokens[self.at].kind != "end":
            self._fail(f"expected an operator, found '{self.tokens[self.at].text}'")
        return self.steps

    def _next(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def _binary(self, level: int) -> None:
        if level == len(LEVELS):
            self._unary()
            return
        self._binary(level + 1)
        while self.tokens[self.at].text in LEVELS[level] \
                and self.tokens[self.at].kind == "operator":
            operator = self._next().text
            self._binary(level + 1)
            self.steps.append((LEVELS[level][operator],))

    def _unary(self) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self._fail("nested too deeply")
        token = self._next()
        if token.kind == "operator" and token.text in UNARY:
            self._unary()
            self.steps.append((UNARY[token.text],))
        elif token.text == "(":
            self._binary(0)
            if self.tokens[self.at].text != ")":
                self._fail("expected ')'")
            self.at += 1
        elif token.kind == "number":
            self._number(token)
        elif token.kind == "name":
            self._name(token)
        elif token.kind == "text":
            self._fail("a text is compared with an argument on its left", token.column)
        else:
            self._fail("expected a number, an argument or '('", token.column)
        self.nesting -= 1

    def _number(self, token: Token) -> None:
        value = int(token.text, 16 if token.text[:2] in ("0x", "0X") else 10)
        if value > LARGEST:
            self._fail("the number is too large", token.column)
        self.steps.append((NUMBER, value))

    def _name(self, token: Token) -> None:
        argument = self.arguments.get(token.text)
        if argument is None:
            if token.text != "count":
                raise UnknownName(f"event '{self.event.name}' has no argument '{token.text}'")
            self.steps.append((COUNT,))
        elif self.event.types[argument] == "s":
            self._text(token, argument)
        else:
            signed = self.event.types[argument] in SIGNED_TYPES
            self.steps.append((SIGNED if signed else ARGUMENT, argument))

    def _text(self, name: Token, argument: int) -> None:
        operator, text = self._next(), self._next()
        if operator.text not in ("==", "!=", "~") or text.kind != "text":
            self._fail(f"'{name.text}' is a string: expected ==, != or ~ and a text in quotes",
                       operator.column)
        code = MATCHES if operator.text == "~" else EQUAL
        self.steps.append((code, argument, os.fsencode(unescape(text.text[1:-1]))))
        if operator.text == "!=":
            self.steps.append((NOT,))
