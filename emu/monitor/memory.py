"""Commands that look at memory, ports and numbers: x, xp, i, o, print."""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pyemu.memory import END, PAGE
from pyemu.monitor import registers
from pyemu.monitor.command import Command, CommandError, UsageError
from pyemu.monitor.expression import evaluate

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

LINE = 16  # bytes a line
SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
PORT_SIZES = {1: "b", 2: "w", 4: "l"}
BASES = {"x": 16, "d": 10, "u": 10, "o": 8}
ESCAPED = {0x0a: "\\n", 0x0d: "\\r", ord("'"): "\\'", ord("\\"): "\\\\"}
MOST = 1 << 20  # values in one dump


class Format(NamedTuple):
    """What follows the slash: how often, how shown (x d u o c i), how wide (bytes)."""

    repeat: int = 1
    letter: str = "x"
    size: int = 4


def split_format(monitor: Monitor, arguments: list[str]) -> tuple[Format, str]:
    """The format, which is that of last time where it is silent, and the words after it."""
    count, letter, size = 1, monitor.format.letter, monitor.format.size
    if arguments and arguments[0].startswith("/"):
        match = re.fullmatch(r"/(\d{0,9})(\D*)", arguments[0])
        for character in match[2] if match else arguments[0][1:]:
            if character in "xduoci":
                letter = character
            elif character in SIZES:
                size = SIZES[character]
            else:
                raise UsageError(f"invalid char in format: '{character}'")
        if match and match[1]:
            count = int(match[1])
            if count > MOST:
                raise UsageError(f"at most {MOST} at a time")
        arguments = arguments[1:]
    monitor.format = Format(1, letter, size)
    return Format(count, letter, size), " ".join(arguments)


def number(monitor: Monitor, text: str) -> int:
    """The value of an expression."""
    cpu = monitor.runner.cpu
    return evaluate(text, lambda name: monitor.runner.call(lambda: registers.value(cpu, name)))


def last_number(monitor: Monitor, arguments: list[str]) -> tuple[Format, int]:
    form, text = split_format(monitor, arguments)
    return form, number(monitor, text)


def shown(value: int, letter: str, size: int) -> str:
    """One value of `size` bytes, as wide as the widest."""
    bits = 8 * size
    if letter == "c":
        character = chr(value) if 0x20 <= value < 0x7f else f"\\x{value:02x}"
        return f"'{ESCAPED.get(value, character)}'"
    if letter == "d" and value >> 63:  # shorter ones have no sign
        value -= 1 << 64
    if letter == "x":
        return f"0x{value:0{2 * size}x}"
    if letter == "o":
        return octal(value).rjust((bits + 2) // 3)
    return str(value).rjust(len(str((1 << bits) - 1)))


def octal(value: int) -> str:
    """As C writes it."""
    return f"0{value:o}" if value else "0"


def dump(monitor: Monitor, arguments: list[str], read: Callable[[int, int], bytes]) -> str:
    """`count` values from an address on; read(address, length) raises CommandError."""
    form, address = last_number(monitor, arguments)
    if form.letter == "i":
        return disassemble(monitor, form.repeat, address, read)
    size = 1 if form.letter == "c" else form.size
    line_bytes = 8 if form.size == 1 else LINE
    lines = []
    end = address + form.repeat * form.size
    while address < end:
        head = f"{address:016x}:"
        try:
            data = read(address, min(line_bytes, end - address))
        except CommandError as error:
            lines.append(f"{head} {error}")
            break
        lines.append(" ".join([head, *(
            shown(int.from_bytes(data[at:at + size], "little"), form.letter, size)
            for at in range(0, len(data), size))]))
        address += len(data)
    return "\n".join(lines)


def disassemble(monitor: Monitor, count: int, address: int,
                read: Callable[[int, int], bytes]) -> str:
    from pyemu import disassembly  # late: it brings in capstone
    cpu = monitor.runner.cpu
    hflags = monitor.runner.call(lambda: cpu.hflags)
    lines: list[str] = []
    for _ in range(count):
        code = b""
        try:
            code = read(address, disassembly.LONGEST)
        except CommandError:  # perhaps only its end is not there
            for length in range(1, disassembly.LONGEST):
                try:
                    code = read(address, length)
                except CommandError:
                    break
        if not code:
            lines.append(f"0x{address:08x}:  Cannot access memory")
            break
        length, shown = disassembly.first(code, address, hflags)
        lines += shown
        address += length
    return "\n".join(lines)


def dump_physical(monitor: Monitor, arguments: list[str]) -> str:
    return dump(monitor, arguments, lambda address, length: read_physical(
        monitor, address, length))


def dump_virtual(monitor: Monitor, arguments: list[str]) -> str:
    return dump(monitor, arguments, lambda address, length: read_virtual(
        monitor, address, length))


def read_physical(monitor: Monitor, address: int, length: int) -> bytes:
    """Raises CommandError where nothing answers."""
    return monitor.runner.call(lambda: _peek(monitor.runner.memory, address, length))


def _peek(memory: Any, address: int, length: int) -> bytes:
    at = address
    while at < address + length:
        region = memory.find(at)
        if at >= END or region.kind == "gap":
            raise CommandError("Cannot access memory")
        at = region.end
    return memory.peek(address, length)


def read_virtual(monitor: Monitor, address: int, length: int) -> bytes:
    """As the CPU sees it now. Raises CommandError where no page is."""
    runner = monitor.runner

    def read() -> bytes:
        data = b""
        while len(data) < length:
            here = address + len(data)
            physical = runner.cpu.translate(here)
            if physical < 0:
                raise CommandError("Cannot access memory")
            data += _peek(runner.memory, physical, min(length - len(data), PAGE - here % PAGE))
        return data
    return runner.call(read)


def port_read(monitor: Monitor, arguments: list[str]) -> str:
    form, port = last_number(monitor, arguments)
    size, port = port_size(form), port & 0xffff
    value = monitor.runner.call(lambda: monitor.runner.ports.read(port, size))
    return f"port{PORT_SIZES[size]}[0x{port:04x}] = 0x{value:0{2 * size}x}"


def port_write(monitor: Monitor, arguments: list[str]) -> str:
    form, text = split_format(monitor, arguments)
    where, _, what = text.partition(" ")
    port, value, size = number(monitor, where) & 0xffff, number(monitor, what), port_size(form)
    value &= (1 << 8 * size) - 1
    monitor.runner.call(lambda: monitor.runner.ports.write(port, size, value))
    return ""


def port_size(form: Format) -> int:
    return form.size if form.size in PORT_SIZES else 1


def print_value(monitor: Monitor, arguments: list[str]) -> str:
    form, value = last_number(monitor, arguments)
    if form.letter == "x":
        return hex(value) if value else "0"
    if form.letter == "o":
        return octal(value)
    if form.letter == "c":
        return shown(value & 0xffff_ffff, "c", 4)
    return shown(value, "d" if form.letter == "i" else form.letter, 8).lstrip()


ANY = 64  # words of an expression
COMMANDS = (
    Command("x", "/fmt addr", "virtual memory dump starting at 'addr'", dump_virtual,
            optional=ANY),
    Command("xp", "/fmt addr", "physical memory dump starting at 'addr'", dump_physical,
            optional=ANY),
    Command("i", "/fmt addr", "I/O port read", port_read, optional=ANY),
    Command("o", "/fmt addr value", "I/O port write", port_write, optional=ANY),
    Command("print|p", "/fmt expr",
            "print expression value (use $reg for CPU register access)", print_value,
            optional=ANY),
)
