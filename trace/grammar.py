"""The trace-events language: an event a line, `[disable] [vcpu] NAME(TYPE NAME, ...) ["FORMAT"]`.

As QEMU 7.2's, with diagnostics: what is wrong is said as `FILE:LINE:COL: message`, all at once.
Blank lines and lines that start with `#` are skipped. A format is a run of C string literals and
PRI macros; here it is checked against the arguments, which QEMU leaves to its C compiler.
An event that is declared `vcpu` has its CPU as first argument, although it is not written.
"""
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

MAX_ARGUMENTS = 10
PROPERTIES = ("disable", "vcpu")
REMOVED_PROPERTIES = ("tcg", "tcg-trans", "tcg-exec")
CPU_ARGUMENT = ("void *", "__cpu")
CPU_LETTER = "P"
CPU_FORMAT = "cpu=%p "

# How an argument goes into a record: struct's letters, P any pointer (a number), s a string.
INTEGERS = {
    "bool": "?", "char": "b", "signed char": "b", "unsigned char": "B",
    "short": "h", "short int": "h", "unsigned short": "H", "unsigned short int": "H",
    "int": "i", "signed": "i", "signed int": "i", "unsigned": "I", "unsigned int": "I",
    "long": "q", "long int": "q", "unsigned long": "Q", "unsigned long int": "Q",
    "long long": "q", "long long int": "q",
    "unsigned long long": "Q", "unsigned long long int": "Q",
    "int8_t": "b", "int16_t": "h", "int32_t": "i", "int64_t": "q",
    "uint8_t": "B", "uint16_t": "H", "uint32_t": "I", "uint64_t": "Q",
    "size_t": "Q", "ssize_t": "q", "uintptr_t": "Q", "ptrdiff_t": "q",
}
SIGNED_TYPES = "bhiq"
WIDE = "qQ"  # what needs l, ll, j, z, t or a 64-bit PRI macro in a format

_LINE = re.compile(r"(\s*)([^(\"]*?)(\w+)\s*\(([^)\"]*)\)\s*(.*?)\s*$")
_FORMAT = re.compile(r'(?:"(?:[^"\\]|\\.)*"|PRI[A-Za-z]+\d*|\s+)*$')
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|(PRI[A-Za-z]+\d*)')
_MACRO = re.compile(r"PRI([diouxX])(LEAST|FAST)?(8|16|32|64|PTR|MAX)$")
_CONVERSION = re.compile(
    r"%(?:%|(?P<flags>[-+ #0']*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?"
    r"(?P<length>hh|h|ll|l|j|z|t|)(?P<letter>[diouxXcspm])?)")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(slots=True)
class Event:
    """One declared event.

    args: (C type, name) pairs, with the CPU's. types: one letter an argument, see INTEGERS.
    format: as in the file, quotes and PRI macros included, or "" if there is none.
    """

    name: str
    args: tuple[tuple[str, str], ...]
    format: str = ""
    properties: tuple[str, ...] = ()
    group: str = ""
    file: str = ""
    line: int = 0
    types: str = field(default="", compare=False)

    @property
    def printf(self) -> str:
        """The format as one C string for printf, with PRI macros spelled out for 64 bits."""
        return complete((CPU_FORMAT if self.per_cpu else "") + expand(self.format), self.types)

    @property
    def disabled(self) -> bool:
        return "disable" in self.properties

    @property
    def per_cpu(self) -> bool:
        return "vcpu" in self.properties

    def __str__(self) -> str:
        declared = self.args[1:] if self.per_cpu else self.args
        args = ", ".join(join(ctype, name) for ctype, name in declared) or "void"
        words = [*self.properties, f"{self.name}({args})"]
        return " ".join([*words, self.format] if self.format else words)


class GrammarError(ValueError):
    """What is wrong with a trace-events file: `problems` is a list of `FILE:LINE:COL: message`."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


class _Problem(Exception):
    """A message and the column (from 0) it is about."""

    def __init__(self, message: str, column: int):
        super().__init__(message)
        self.message = message
        self.column = column


def join(ctype: str, name: str) -> str:
    """`const char *` and `s` make `const char *s`."""
    return ctype + name if ctype.endswith("*") else f"{ctype} {name}"


def parse(text: str, file: str = "<string>", group: str = "",
          known: Iterable[Event] = ()) -> list[Event]:
    """The events of a text; `known` are those whose names are taken already.

    Raises GrammarError with every problem of the text.
    """
    events: list[Event] = []
    problems: list[str] = []
    seen = {event.name: event for event in known}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.lstrip()
        if not stripped or stripped[0] == "#":
            continue
        try:
            event = _parse_line(line, file, number, group)
            other = seen.setdefault(event.name, event)
            if other is not event:
                raise _Problem(f"event '{event.name}' is declared already, at "
                               f"{other.file}:{other.line}", line.index(event.name))
        except _Problem as problem:
            problems.append(f"{file}:{number}:{problem.column + 1}: {problem.message}")
        else:
            events.append(event)
    if problems:
        raise GrammarError(problems)
    return events


def _parse_line(line: str, file: str, number: int, group: str) -> Event:
    match = _LINE.match(line)
    if match is None:
        raise _explain(line)
    properties = tuple(match[2].split())
    for word in properties:
        if word not in PROPERTIES:
            raise _bad_property(word, match.start(2) + match[2].index(word))
    args, types = _parse_arguments(match[4], match.start(4), match[3])
    text = match[5]
    if text:
        _check_format(text, match.start(5), args, types)
    if "vcpu" in properties:
        if len(args) == MAX_ARGUMENTS:
            raise _Problem(f"event '{match[3]}' has {MAX_ARGUMENTS} arguments and its CPU, at most "
                           f"{MAX_ARGUMENTS} are possible", match.start(4))
        args, types = (CPU_ARGUMENT, *args), CPU_LETTER + types
    return Event(match[3], args, text, properties, group, file, number, types)


def _explain(line: str) -> _Problem:
    """Why a line is no event at all."""
    opening = line.find("(")
    if opening < 0:
        return _Problem("expected '(' after the event's name", len(line.rstrip()))
    words = line[:opening].split()
    if not words or not re.fullmatch(r"\w+", words[-1]):
        column = opening if not words else line.index(words[-1])
        return _Problem("expected a name of letters, digits and '_' before '('", column)
    if line.find('"', 0, opening) >= 0:
        return _Problem("expected a name and its arguments before the format", line.index('"'))
    quote = line.find('"')
    end = quote if quote >= 0 else len(line.rstrip())
    return _Problem("expected ')' after the arguments", end)


def _bad_property(word: str, column: int) -> _Problem:
    if word in REMOVED_PROPERTIES:
        return _Problem(f"property '{word}' was removed from QEMU in 7.0; leave it out", column)
    return _Problem(f"unknown property '{word}', expected 'disable' or 'vcpu'", column)


_argument_cache: dict[str, tuple[str, str, str]] = {}  # argument -> C type, name, letter


def _parse_arguments(text: str, column: int, event: str):
    """((C type, name), ...) and their letters."""
    if text.strip() == "void":
        return (), ""
    if not text.strip():
        raise _Problem("expected arguments (write 'void' for none)", column)
    args, types, names = [], "", set()
    for part in text.split(","):
        parsed = _argument_cache.get(part)
        if parsed is None:
            parsed = _argument_cache[part] = _parse_argument(part, column)
        ctype, name, letter = parsed
        if name in names:
            raise _Problem(f"argument '{name}' is there twice", column + part.rindex(name))
        names.add(name)
        args.append((ctype, name))
        types += letter
        column += len(part) + 1
    if len(args) > MAX_ARGUMENTS:
        raise _Problem(f"event '{event}' has {len(args)} arguments, at most {MAX_ARGUMENTS} "
                       "are possible", column - len(part.lstrip()) - 1)
    return tuple(args), types


_ARGUMENT = re.compile(r"\s*(.*?)\s*(\w+)\s*$", re.S)


def _parse_argument(part: str, column: int) -> tuple[str, str, str]:
    match = _ARGUMENT.match(part)
    start = column + len(part) - len(part.lstrip())
    if match is None:
        raise _Problem("expected an argument, TYPE NAME", start)
    ctype, name = re.sub(r"\s+", " ", match[1]), match[2]
    if not ctype and (name in INTEGERS or name in ("const", "void", "signed")):
        raise _Problem(f"expected a name after type '{name}'", start + len(name))
    if not ctype:
        raise _Problem(f"expected a type before argument '{name}'", start)
    letter = type_letter(ctype)
    if letter is None:
        raise _Problem(f"unknown type '{ctype}'; expected a C integer, bool, char *, or void * "
                       "for any other pointer", start)
    if name in INTEGERS or name == "const" or name[0].isdigit():
        raise _Problem(f"expected a name after type '{ctype}', found '{name}'",
                       column + match.start(2))
    return ctype, name, letter


def type_letter(ctype: str) -> str | None:
    """How an argument of the C type is recorded (see INTEGERS), or None for no such type."""
    base, *stars = ctype.replace("*", " * ").split("*")
    words = [word for word in base.split() if word != "const"]
    if any(rest.strip() not in ("", "const") for rest in stars):
        return None
    plain = " ".join(words)
    if not stars:
        return INTEGERS.get(plain)
    if plain != "void" and plain not in INTEGERS:
        return None
    return "s" if plain == "char" and len(stars) == 1 else "P"


def unescape(literal: str) -> str:
    """The characters of a C string literal's inside."""
    def one(match):
        code = match[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        return _ESCAPES.get(code, code)
    return _ESCAPE.sub(one, literal) if "\\" in literal else literal


def expand(text: str) -> str:
    """A format of literals and PRI macros as one printf string."""
    parts = []
    for literal, macro in _PIECE.findall(text):
        if macro:
            match = _MACRO.match(macro)
            assert match is not None
            parts.append(("" if match[3] in ("8", "16", "32") else "l") + match[1])
        else:
            parts.append(unescape(literal))
    return "".join(parts)


def complete(printf: str, types: str) -> str:
    """Give a conversion that ends with its width, `%016`, the letter its argument needs; a number's
    is x. QEMU's simple backend never looks at formats, so such are around."""
    letters = iter(types)

    def one(found):
        if found[0] == "%%":
            return "%%"
        stars = (found["width"], found["precision"]).count("*")
        code = "".join(islice(letters, stars + 1))[stars:]
        if not code or found["letter"] or found["length"] or found["precision"] is not None \
                or not found["width"].isdigit():
            return found[0]
        return found[0] + {"s": "s", "P": "p"}.get(code, "lx" if code in WIDE else "x")

    return _CONVERSION.sub(one, printf)


def conversions(printf: str) -> list[re.Match]:
    """The conversions of a printf string, `%%` left out."""
    return [found for found in _CONVERSION.finditer(printf) if found[0] != "%%"]


_format_cache: dict[tuple[str, str], bool] = {}


def _check_format(text: str, column: int, args, types: str) -> None:
    if (text, types) in _format_cache:
        return
    if text[0] not in '"P':
        raise _Problem("expected a format in quotes", column)
    if not _FORMAT.match(text):
        raise _bad_format(text, column)
    for macro in _PIECE.finditer(text):
        if macro[2] and not _MACRO.match(macro[2]):
            raise _Problem(f"unknown macro '{macro[2]}'", column + macro.start())
    printf = complete(expand(text), types)
    if printf.endswith("\n"):
        raise _Problem("a format must not end with a newline", column + len(text) - 1)
    _check_conversions(printf, text, column, args, types)
    _format_cache[text, types] = True


def _bad_format(text: str, column: int) -> _Problem:
    """Why `text` is no run of literals and macros."""
    at = 0
    for piece in re.finditer(r'\s*(?:"(?:[^"\\]|\\.)*"|PRI[A-Za-z]+\d*)', text):
        if piece.start() != at:
            break
        at = piece.end()
    rest = text[at:].lstrip()
    at = len(text) - len(rest)
    if rest.startswith('"'):
        return _Problem("unterminated quote", column + at)
    if rest.startswith(","):
        return _Problem("expected one format (the second one, for 'tcg', is gone from QEMU)",
                        column + at)
    return _Problem(f"expected a string or a PRI macro, found '{rest.split()[0]}'", column + at)


def _check_conversions(printf: str, text: str, column: int, args, types: str) -> None:
    """Each conversion has its argument and each argument its conversion."""
    wanted: list[tuple[str, str, str]] = []  # the conversion, its letter, its length
    for found in conversions(printf):
        letter = found["letter"]
        if letter is None:
            raise _Problem(f"'{found[0]}' is not a whole conversion; expected a letter such as "
                           "'x' or a macro such as PRIx64 after it", _column(text, column, wanted))
        if letter == "m":
            raise _Problem("'%m' is not possible: pass the error as an argument",
                           _column(text, column, wanted))
        for star in (found["width"], found["precision"]):
            if star == "*":
                wanted.append(("*", "d", ""))
        wanted.append((found[0], letter, found["length"]))
    for n, (ctype_name, code) in enumerate(zip(args, types, strict=True)):
        if n >= len(wanted):
            raise _Problem(f"the format has no conversion for argument '{ctype_name[1]}' "
                           f"({len(wanted)} of {len(args)})", column)
        problem = _mismatch(wanted[n], code)
        if problem:
            raise _Problem(f"'{wanted[n][0]}' does not fit argument '{join(*ctype_name)}', "
                           f"expected {problem}", _column(text, column, wanted[:n]))
    if len(wanted) > len(args):
        raise _Problem(f"'{wanted[len(args)][0]}' has no argument: {len(wanted)} conversions, "
                       f"{len(args)} arguments", _column(text, column, wanted[:len(args)]))


def _mismatch(conversion: tuple[str, str, str], code: str) -> str:
    """What a conversion should be for an argument of that letter, or "" if it fits."""
    _, letter, length = conversion
    if code == "s":
        return "" if letter == "s" else "%s"
    if code == "P":
        return "" if letter == "p" else "%p"
    if letter in "sp":
        return "a conversion for a number"
    if code in WIDE and length not in ("l", "ll", "j", "z", "t"):
        return "a 64-bit conversion such as PRIx64"
    if code not in WIDE and length in ("l", "ll", "j", "z", "t"):
        return "a conversion for at most 32 bits"
    return ""


def _column(text: str, column: int, before: list) -> int:
    """Where in the source the conversion after those `before` begins."""
    count = 0
    skip = len([found for found in before if found[0] != "*"])
    at = 0
    while (at := text.find("%", at)) >= 0:
        if text[at:at + 2] == "%%":
            at += 2
            continue
        if count == skip:
            return column + at
        count += 1
        at += 1
    return column
