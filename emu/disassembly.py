"""Guest code as text, in the layout of QEMU's `x/i` and `-d in_asm`."""
from collections.abc import Iterator

import capstone

# Bits of hflags, the translator's summary of the CPU's mode
CODE_32 = 1 << 4
CODE_64 = 1 << 15

LONGEST = 15  # bytes of an instruction
OCTETS = 8  # of an instruction in one line
_engines: dict[int, capstone.Cs] = {}


def engine(hflags: int) -> capstone.Cs:
    """The disassembler of this mode, in AT&T's syntax."""
    mode = (capstone.CS_MODE_64 if hflags & CODE_64
            else capstone.CS_MODE_32 if hflags & CODE_32 else capstone.CS_MODE_16)
    if mode not in _engines:
        _engines[mode] = capstone.Cs(capstone.CS_ARCH_X86, mode)
        _engines[mode].syntax = capstone.CS_OPT_SYNTAX_ATT
    return _engines[mode]


def lines(code: bytes, address: int, hflags: int) -> Iterator[str]:
    """One instruction after the other; what is none is shown byte by byte."""
    while code:
        length, shown = first(code, address, hflags)
        yield from shown
        address += length
        code = code[length:]


def first(code: bytes, address: int, hflags: int) -> tuple[int, list[str]]:
    """The first instruction: how many bytes it has, and its lines, of which long ones take two."""
    length, mnemonic, operands = next(
        ((size, *text) for _, size, *text in engine(hflags).disasm_lite(code, address, 1)),
        (1, ".byte", f"0x{code[0]:02x}"))
    head = f"0x{address:08x}:  {_octets(code[:min(length, OCTETS)])} {mnemonic:8} {operands}"
    return length, [head, *(
        f"0x{address + at:08x}:  {_octets(code[at:min(length, at + OCTETS)])}".rstrip()
        for at in range(OCTETS, length, OCTETS))]


def _octets(data: bytes) -> str:
    return " ".join(f"{byte:02x}" for byte in data).ljust(3 * OCTETS)
