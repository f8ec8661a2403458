"""How the guest got to where it is, as far as its stack tells; names by `-trace symbols=FILE`.

The chain of frame pointers is followed. Code that keeps none, as Linux is built by most, has no
chain: then all words on top of the stack that point behind a call are shown, with a `?` since some
are left over from calls that have returned. Whatever the registers hold, this ends.
"""
from collections.abc import Iterator

from pyemu.disassembly import CODE_32, CODE_64
from pyemu.engine.cpu import Cpu
from pyemu.memory import Memory
from pyemu.trace import control

MOST_FRAMES = 64
SCANNED = 2048  # bytes of the stack
LONGEST_CALL = 7  # bytes
CALL_NEAR = 0xe8
GROUP_5, CALL_INDIRECT = 0xff, 2  # opcode, and the field of its second byte that makes it a call


def backtrace(cpu: Cpu, memory: Memory) -> str:
    """One line a frame, the innermost first. On the vCPU's thread."""
    stack = Stack(cpu, memory)
    lines = [_line("#0", stack.code + stack.ip)]
    chain = [_line(f"#{number}", address) for number, address in enumerate(stack.chain(), 1)]
    return "\n".join(lines + (chain or [_line("?", address) for address in stack.scan()]))


def _line(number: str, address: int) -> str:
    return f"{number:3} 0x{address:016x} {control.symbol(address)}".rstrip()


class Stack:
    """The stack of a CPU in 16-, 32- or 64-bit code. `code` and `base` are segments' bases."""

    def __init__(self, cpu: Cpu, memory: Memory):
        self.width = 8 if cpu.hflags & CODE_64 else 4 if cpu.hflags & CODE_32 else 2
        self.mask = (1 << 8 * self.width) - 1
        self.code, self.base = (0, 0) if self.width == 8 else (cpu.cs[1], cpu.ss[1])
        self.ip, self.top, self.frame = (value & self.mask for value in (cpu.rip, cpu.rsp, cpu.rbp))
        self.read = memory.read_virtual

    def chain(self) -> Iterator[int]:
        """Return addresses, by frame pointers that rise and lead behind calls."""
        frame, above = self.frame, self.top
        for _ in range(MOST_FRAMES):
            saved, address = self._word(frame), self._word(frame + self.width)
            if frame < above or saved is None or address is None or not self._follows_call(address):
                return
            yield self.code + address
            frame, above = saved, frame + 1

    def scan(self) -> Iterator[int]:
        """What on top of the stack could be return addresses."""
        data = self.read(self.base + self.top, SCANNED)
        for at in range(0, len(data) - self.width + 1, self.width):
            address = int.from_bytes(data[at:at + self.width], "little")
            if self._follows_call(address):
                yield self.code + address

    def _word(self, offset: int) -> int | None:
        data = self.read(self.base + offset, self.width)
        return int.from_bytes(data, "little") if len(data) == self.width else None

    def _follows_call(self, address: int) -> bool:
        """Whether the instruction before is a call."""
        size = min(address, LONGEST_CALL)
        code = self.read(self.code + address - size, size)
        if len(code) < size:
            return False
        code = code.rjust(LONGEST_CALL, b"\0")
        near = code[-3 if self.width == 2 else -5] == CALL_NEAR
        return near or any(code[-size] == GROUP_5 and code[1 - size] >> 3 & 7 == CALL_INDIRECT
                           for size in range(2, LONGEST_CALL + 1))
