"""The CPU's registers in the order of the `g` packet, and their description for gdb.

As QEMU's x86-64 machine this is always a 64-bit description: in 16- and 32-bit code the upper
halves and R8 to R15 read as zero. Source: Debugging with GDB, appendix G.5.7 (i386 features).
"""
from collections.abc import Callable
from typing import Any, NamedTuple

from pyemu.monitor.registers import CODE_64

GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp")
EXTENDED = tuple(f"r{number}" for number in range(8, 16))
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
SYSTEM = ("kernel_gs_base", "cr0", "cr2", "cr3", "cr4", "cr8", "efer")
FPU_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
LOW_HALF = 0xffff_ffff


class Register(NamedTuple):
    """read(cpu) and write(cpu, value) on the vCPU's thread; write is None where gdb may not."""

    name: str
    bits: int
    type: str
    read: Callable[[Any], int]
    write: Callable[[Any, int], None] | None = None


def _general(name: str, kind: str = "int64") -> Register:
    def read(cpu: Any) -> int:
        value = getattr(cpu, name)
        if cpu.hflags & CODE_64:
            return value
        return 0 if name in EXTENDED else value & LOW_HALF

    return Register(name, 64, kind, read, lambda cpu, value: setattr(cpu, name, value))


def _whole(name: str, attribute: str, bits: int, kind: str) -> Register:
    return Register(name, bits, kind, lambda cpu: getattr(cpu, attribute),
                    lambda cpu, value: setattr(cpu, attribute, value))


def _segment(name: str, part: int, bits: int, suffix: str = "") -> Register:
    return Register(name + suffix, bits, f"int{bits}", lambda cpu: getattr(cpu, name)[part])


def _system(attribute: str) -> Register:
    name = "k_gs_base" if attribute == "kernel_gs_base" else attribute
    return Register(name, 64, "int64", lambda cpu: getattr(cpu, attribute))


def _indexed(name: str, method: str, number: int, bits: int, kind: str) -> Register:
    return Register(name, bits, kind,
                    lambda cpu: getattr(cpu, f"get_{method}")(number),
                    lambda cpu, value: getattr(cpu, f"set_{method}")(number, value))


def _fpu_control(name: str) -> Register:
    """The last operation's whereabouts are not kept; they read as zero."""
    if name in ("fctrl", "fstat", "ftag"):
        return Register(name, 32, "int", lambda cpu: cpu.get_fpu_word(name),
                        lambda cpu, value: cpu.set_fpu_word(name, value))
    return Register(name, 32, "int", lambda cpu: 0)


FEATURES: dict[str, tuple[Register, ...]] = {
    "org.gnu.gdb.i386.core": (
        *(_general(name, "data_ptr" if name in ("rbp", "rsp") else "int64") for name in GENERAL),
        *(_general(name) for name in EXTENDED),
        _general("rip", "code_ptr"),
        _whole("eflags", "rflags", 32, "i386_eflags"),
        *(_segment(name, 0, 32) for name in SEGMENTS),
        *(_indexed(f"st{number}", "st", number, 80, "i387_ext") for number in range(8)),
        *(_fpu_control(name) for name in FPU_CONTROL),
    ),
    "org.gnu.gdb.i386.sse": (
        *(_indexed(f"xmm{number}", "xmm", number, 128, "vec128") for number in range(16)),
        _whole("mxcsr", "mxcsr", 32, "i386_mxcsr"),
    ),
    "org.gnu.gdb.i386.segments": (
        _segment("fs", 1, 64, "_base"), _segment("gs", 1, 64, "_base"),
    ),
    "pyemu.system": tuple(_system(name) for name in SYSTEM),
}
REGISTERS = tuple(register for registers in FEATURES.values() for register in registers)

_FLAGS = {
    "i386_eflags": ("CF", "", "PF", "", "AF", "", "ZF", "SF", "TF", "IF", "DF", "OF", "IOPL", "",
                    "NT", "", "RF", "VM", "AC", "VIF", "VIP", "ID"),
    "i386_mxcsr": ("IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM",
                   "", "", "FZ"),
}
_VECTORS = (("v4f", "ieee_single", 4), ("v2d", "ieee_double", 2), ("v16i8", "int8", 16),
            ("v8i16", "int16", 8), ("v4i32", "int32", 4), ("v2i64", "int64", 2))


def _types(feature: str) -> list[str]:
    """Of a feature's registers, those that gdb does not know by itself."""
    lines = []
    if feature.endswith(".sse"):
        lines += [f'<vector id="{name}" type="{element}" count="{count}"/>'
                  for name, element, count in _VECTORS]
        lines += ['<union id="vec128">']
        lines += [f'<field name="{name}" type="{name}"/>' for name, _, _ in _VECTORS]
        lines += ['<field name="uint128" type="uint128"/>', "</union>"]
    for name, bits in _FLAGS.items():
        if any(register.type == name for register in FEATURES[feature]):
            lines += [f'<flags id="{name}" size="4">']
            lines += [f'<field name="{bit}" start="{at}" end="{at + (bit == "IOPL")}"/>'
                      for at, bit in enumerate(bits) if bit]
            lines += ["</flags>"]
    return lines


def description() -> str:
    """target.xml."""
    lines = ['<?xml version="1.0"?>', '<!DOCTYPE target SYSTEM "gdb-target.dtd">', "<target>",
             "<architecture>i386:x86-64</architecture>"]
    for feature, registers in FEATURES.items():
        lines += [f'<feature name="{feature}">', *_types(feature)]
        lines += [f'<reg name="{register.name}" bitsize="{register.bits}" type="{register.type}"/>'
                  for register in registers]
        lines += ["</feature>"]
    return "\n".join([*lines, "</target>"])


def read(cpu: Any, number: int) -> bytes:
    """A register's bytes. Raises IndexError."""
    register = REGISTERS[number]
    size = register.bits // 8
    return (register.read(cpu) & (1 << register.bits) - 1).to_bytes(size, "little")


def write(cpu: Any, number: int, data: bytes) -> bool:
    """Set a register from its bytes; False if it cannot be. Raises IndexError."""
    register = REGISTERS[number]
    if register.write is None or len(data) != register.bits // 8:
        return False
    register.write(cpu, int.from_bytes(data, "little"))
    return True


def write_all(cpu: Any, data: bytes) -> None:
    """Set all registers from a `G` packet but those that only the guest sets."""
    at = 0
    for number, register in enumerate(REGISTERS):
        size = register.bits // 8
        part = data[at:at + size]
        if register.write and len(part) == size and part != read(cpu, number):
            write(cpu, number, part)
        at += size
