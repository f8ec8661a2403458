"""The CPU's registers by name and as the text of `info registers`, in QEMU's layout."""
from collections.abc import Iterable
from typing import Any

# Bits of hflags, the translator's summary of the CPU's mode
CPL = 3
INHIBIT_IRQ = 1 << 3
PROTECTED = 1 << 7
LONG_MODE = 1 << 14
CODE_64 = 1 << 15
SMM = 1 << 19

# Bits of a descriptor's second word
DPL_SHIFT = 13
BIG = 1 << 22
LONG = 1 << 21
PRESENT = 1 << 15
NOT_SYSTEM = 1 << 12
CODE = 1 << 11
CONFORMING = EXPANDS_DOWN = 1 << 10
READABLE = WRITABLE = 1 << 9
ACCESSED = 1 << 8
TYPES = (("Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
          "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32",
          "Reserved", "IntGate32", "TrapGate32"),
         ("<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved",
          "Reserved", "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64",
          "Reserved", "IntGate64", "TrapGate64"))

QUAD = (1 << 64) - 1
FPU_TOP_SHIFT = 11  # in the status word
EMPTY = 3  # in the tag word, two bits a register

FLAGS = (("D", 10), ("O", 11), ("S", 7), ("Z", 6), ("A", 4), ("P", 2), ("C", 0))
ROWS_32 = (("ax", "bx", "cx", "dx"), ("si", "di", "bp", "sp"))
ROWS_64 = (*ROWS_32, ("8", "9", "10", "11"), ("12", "13", "14", "15"))
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr")
WIDE = tuple(f"r{name}" for row in ROWS_64 for name in row)
PLAIN = (*WIDE, "rip", "cr0", "cr2", "cr3", "cr4", "efer", "dr0", "dr1", "dr2", "dr3", "dr6",
         "dr7")


def value(cpu: Any, name: str) -> int:
    """A register by QEMU's or Intel's name: rax, eax, eip, eflags, cs, cr3. Raises
    AttributeError. On the vCPU's thread."""
    if name in ("eflags", "rflags"):
        return cpu.rflags
    if name == "pc":
        return cpu.cs[1] + cpu.rip
    segment, dot, part = name.partition(".")
    if segment in SEGMENTS and part == ("base" if dot else ""):
        return getattr(cpu, segment)[1 if dot else 0]
    if name in PLAIN:
        return getattr(cpu, name)
    if name[:1] == "e" and "r" + name[1:] in (*WIDE[:8], "rip"):
        return getattr(cpu, "r" + name[1:]) & 0xffffffff
    raise AttributeError(name)


def text(cpu: Any, floating_point: bool = True) -> str:
    """All registers that the CPU shows, or not those of FPU and SSE. On the vCPU's thread."""
    hflags = cpu.hflags
    long_mode = bool(hflags & LONG_MODE)
    wide = bool(hflags & CODE_64)
    lines: list[str] = []
    for row in ROWS_64 if wide else ROWS_32:
        lines.append(" ".join(_general(cpu, name, wide) for name in row))
    flags = "".join(letter if cpu.rflags >> bit & 1 else "-" for letter, bit in FLAGS)
    mode = (f"[{flags}] CPL={hflags & CPL} II={int(bool(hflags & INHIBIT_IRQ))} "
            f"A20={int(cpu.a20)} SMM={int(bool(hflags & SMM))} HLT={int(cpu.halted)}")
    if wide:
        lines.append(f"RIP={cpu.rip:016x} RFL={cpu.rflags:08x} {mode}")
    else:
        lines.append(f"EIP={cpu.rip & 0xffffffff:08x} EFL={cpu.rflags:08x} {mode}")
    digits = 16 if long_mode else 8
    for name in SEGMENTS:
        selector, base, limit, attributes = getattr(cpu, name)
        line = (f"{name.upper():3}={selector:04x} {base:0{digits}x} {limit:08x} "
                f"{attributes & 0x00ffff00:08x}")
        lines.append(line + _description(name, attributes, hflags))
    for name in ("gdt", "idt"):
        _, base, limit, _ = getattr(cpu, name)
        lines.append(f"{name.upper()}=     {base:0{digits}x} {limit:08x}")
    lines.append(f"CR0={cpu.cr0:08x} CR2={cpu.cr2:0{digits}x} CR3={cpu.cr3:0{digits}x} "
                 f"CR4={cpu.cr4:08x}")
    lines.append(" ".join(f"DR{n}={getattr(cpu, f'dr{n}'):016x}" for n in range(4)) + " ")
    lines.append(f"DR6={cpu.dr6:016x} DR7={cpu.dr7:016x}")
    lines.append(f"EFER={cpu.efer:016x}")
    if floating_point:
        lines += _floating_point(cpu)
        lines += _pairs(
            f"XMM{number:02}={cpu.get_xmm(number) >> 64:016x} {cpu.get_xmm(number) & QUAD:016x}"
            for number in range(16 if wide else 8))
    return "\n".join(lines)


def _floating_point(cpu: Any) -> list[str]:
    """The FPU's registers by their places, not as the stack of which `top` is the first."""
    status, tags = cpu.get_fpu_word("fstat"), cpu.get_fpu_word("ftag")
    top = status >> FPU_TOP_SHIFT & 7
    used = sum((tags >> 2 * place & EMPTY != EMPTY) << place for place in range(8))
    places = [cpu.get_st((place - top) % 8) for place in range(8)]
    return [f"FCW={cpu.fpu_control:04x} FSW={status:04x} [ST={top}] FTW={used:02x} "
            f"MXCSR={cpu.mxcsr:08x}",
            *_pairs(f"FPR{place}={value & QUAD:016x} {value >> 64:04x}"
                    for place, value in enumerate(places))]


def _pairs(texts: Iterable[str]) -> list[str]:
    """Two a line."""
    every = iter(texts)
    return [f"{first} {second}" for first, second in zip(every, every, strict=True)]


def _general(cpu: Any, name: str, wide: bool) -> str:
    number = getattr(cpu, f"r{name}")
    if wide:
        return f"R{name.upper():2}={number:016x}"
    return f"E{name.upper()}={number & 0xffffffff:08x}"


def _description(name: str, attributes: int, hflags: int) -> str:
    """What kind of segment it is, in protected mode."""
    if not hflags & PROTECTED or not attributes & PRESENT:
        return ""
    text = f" DPL={attributes >> DPL_SHIFT & 3} "
    if not attributes & NOT_SYSTEM:
        return text + TYPES[bool(hflags & LONG_MODE)][attributes >> 8 & 15]
    if attributes & CODE:
        size = "CS64" if attributes & LONG else "CS32" if attributes & BIG else "CS16"
        bits = (("C", CONFORMING), ("R", READABLE))
    else:
        size = "DS  " if attributes & BIG or hflags & LONG_MODE else "DS16"
        bits = (("E", EXPANDS_DOWN), ("W", WRITABLE))
    shown = "".join(letter if attributes & bit else "-" for letter, bit in bits)
    return f"{text}{size} [{shown}{'A' if attributes & ACCESSED else '-'}]"
