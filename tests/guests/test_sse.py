"""SSE that the engine does its own way gives what the library's functions give, bit for bit.

Each instruction is executed on many operands, by a CPU whose translated code calls the library for
it, and by one that does not: results, MXCSR, flags and general registers must be the same.
"""
import itertools
import random
import struct

import pytest
from guests.harness import DATA, Guest

OPERANDS, RESULTS = DATA, DATA + 0x100000
PAIR, VECTOR = 32, 16  # bytes

ROUNDING, FLUSH_RESULTS, FLUSH_OPERANDS, MASKED = (0, 0x2000, 0x4000, 0x6000), 0x8000, 0x40, 0x1f80

SETUP = """
        mov {a}, cr0
        and eax, ~4             ; EM
        or eax, 2               ; MP
        mov cr0, {a}
        mov {a}, cr4
        or eax, 0x600           ; OSFXSR, OSXMMEXCPT
        mov cr4, {a}
        mov {di}, {results}
        xor ebx, ebx
        xor edx, edx
"""

# Registers and flags live across the instruction: it must not lose them.
LOOP = """
        mov {si}, {operands}
        mov ecx, {count}
.{label}:
        movdqa xmm0, [{si}]
        movdqa xmm1, [{si} + 16]
        lea ebp, [{si} + {di}]
        add ebx, ebp
        {instruction}
        adc edx, ebp
        movdqu [{di}], xmm0
        add {si}, 32
        add {di}, 16
        dec ecx
        jnz .{label}
"""

MXCSR = "        mov dword [{di}], {value}\n        ldmxcsr [{di}]\n"

INTEGER = [  # d, s
    *(f"p{op}{size}" for op in ("add", "sub", "cmpeq", "cmpgt") for size in "bwd"),
    *(f"p{op}{size}" for op in ("adds", "subs", "addus", "subus") for size in "bw"),
    "paddq", "psubq", "pand", "pandn", "por", "pxor", "pmullw", "pmulhw", "pmulhuw", "pmuludq",
    "pmaddwd", "psadbw", "pavgb", "pavgw", "pminub", "pmaxub", "pminsw", "pmaxsw", "packsswb",
    "packssdw", "packuswb", "pshufb", "phaddw", "phaddd", "phaddsw", "phsubw", "phsubd", "phsubsw",
    "psignb", "psignw", "psignd", "pmaddubsw", "pmulhrsw", "pmulld", "pmuldq", "packusdw",
    "pcmpeqq", *(f"p{op}{size}" for op in ("min", "max") for size in ("sb", "uw", "sd", "ud")),
    *(f"punpck{half}" for half in ("lbw", "hbw", "lwd", "hwd", "ldq", "hdq", "lqdq", "hqdq")),
]
SHIFTS = ("psllw", "pslld", "psllq", "psrlw", "psrld", "psrlq", "psraw", "psrad")
COUNTS = (0, 1, 7, 15, 16, 31, 32, 63, 64, 255)
ORDERED = ("pshufd", "pshuflw", "pshufhw", "shufps", "shufpd", "palignr")
ORDERS = (0, 0x1b, 0x39, 0x44, 0x4e, 0x93, 0xee, 0xff, 5, 12, 16, 21, 32)

REAL = [  # d, s
    *(f"{op}{form}" for op in ("add", "sub", "mul", "div", "sqrt", "min", "max", "cmpeq", "cmplt",
                               "cmple", "cmpneq", "cmpnlt", "cmpnle")
      for form in ("pd", "sd", "ps", "ss")),
    "cvtss2sd", "cvtsd2ss",
]
TO_INTEGER = [f"cvt{t}{form}2si" for t in ("", "t") for form in ("sd", "ss")]
COMPARING = ("ucomisd", "comisd", "ucomiss", "comiss")


def vectors():
    yield from (f"{name} xmm0, xmm1" for name in (*INTEGER, *SHIFTS))
    yield from (f"{name} xmm0, [{{si}} + 16]" for name in (*INTEGER, *SHIFTS))
    yield from (f"{name} xmm0, {count}" for name in SHIFTS for count in COUNTS)
    yield from (f"{name} xmm0, {count}" for name in ("pslldq", "psrldq") for count in (0, 3, 99))
    yield from (f"{name} xmm0, xmm1, {order}" for name in ORDERED for order in ORDERS)
    yield from (f"{name} xmm0, xmm0" for name in ("pxor", "psubb", "punpckldq", "pshufb"))
    yield "pmovmskb eax, xmm1\n movd xmm0, eax"
    for name in ("paddd", "pshufb", "psrld", "pmullw"):  # of MMX, which the library does
        yield f"movdq2q mm0, xmm0\n movdq2q mm1, xmm1\n {name} mm0, mm1\n movq2dq xmm0, mm0"


def reals(mode):
    yield from (f"{name} xmm0, xmm1" for name in REAL)
    yield "addpd xmm0, [{si} + 16]"
    yield "mulsd xmm0, xmm0"
    flags = "pushf\n pop {a}\n movd xmm0, eax"
    yield from (f"{name} xmm0, xmm1\n {flags}" for name in COMPARING)
    yield from (f"{name} eax, xmm1\n movd xmm0, eax" for name in TO_INTEGER)
    yield from (f"cvtsi2{form} xmm0, dword [{{si}} + 16]" for form in ("sd", "ss"))
    if mode == "long":
        yield from (f"{name} rax, xmm1\n movq xmm0, rax" for name in TO_INTEGER)
        yield from (f"cvtsi2{form} xmm0, qword [{{si}} + 16]" for form in ("sd", "ss"))


def integer_operands():
    random.seed(1)
    edges = [bytes([value]) * 4 for value in (0, 1, 0x7f, 0x80, 0xff)]
    edges += [struct.pack("<I", value) for value in (1, 0x8000, 0x7fffffff, 0x80000000, 0x10000)]
    for count in (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 1 << 31, 1 << 32, 1 << 63):
        yield random.randbytes(16) + struct.pack("<QQ", count, 7)
    for _ in range(60):
        yield b"".join(random.choices(edges, k=8))
        yield random.randbytes(PAIR)


def special(layout, bits, mantissa):
    """Numbers of a format at which something happens, as integers."""
    sign, exponent = 1 << bits - 1, (1 << bits - 1) - (1 << mantissa)
    one = exponent >> 1 & exponent
    values = [0, 1, 2, (1 << mantissa) - 1, 1 << mantissa, (1 << mantissa) + 1, one, one + 1,
              exponent - 1, exponent, exponent | 1, exponent | 1 << mantissa - 1,
              exponent | 3 << mantissa - 2]
    for number in (1.5, 1 / 3, 3.0, 2.0**31 - 1, 2.0**31, 2.0**31 - 0.5, 2.0**63, 2.0**52 + 1,
                   1e-20, 2.0**-126, 2.0**127, 2.0**-75, 2.5, 0.5):
        values.append(int.from_bytes(struct.pack(layout, number), "little"))
    return values + [value | sign for value in values]


def real_operands():
    random.seed(2)
    doubles, floats = special("<d", 64, 52), special("<f", 32, 23)
    order = list(itertools.product(doubles, doubles))
    others = order[:]
    random.shuffle(others)
    for (a, b), (c, d) in zip(order, others, strict=True):
        yield struct.pack("<4Q", a, c, b, d)
    for a, b in itertools.product(floats, floats):
        yield struct.pack("<8I", a, *random.choices(floats, k=3), b, *random.choices(floats, k=3))
    for _ in range(100):
        yield random.randbytes(PAIR)
        yield struct.pack("<4d", *(random.uniform(-4, 4) for _ in range(4)))


def execute(mode, instructions, operands, controls, by_library):
    """([results of an instruction with one control word], registers)"""
    guest = Guest(mode, cpu="Nehalem")
    guest.cpu.library_sse = by_library
    names = {"a": "rax", "si": "rsi", "di": "rdi"} if mode == "long" else {
        "a": "eax", "si": "esi", "di": "edi"}
    for index, pair in enumerate(operands):
        guest.ram[OPERANDS + PAIR * index:OPERANDS + PAIR * (index + 1)] = pair
    results, state = [], []
    for control in controls:
        code = [SETUP.format(results=RESULTS, **names), MXCSR.format(value=control, **names)]
        for index, instruction in enumerate(instructions):
            code.append(LOOP.format(instruction=instruction.format(**names), label=f"l{index}",
                                    operands=OPERANDS, count=len(operands), **names))
        code.append("        stmxcsr [{di}]\n        mov ebp, [{di}]\n END".format(**names))
        result = guest.run("start:\n" + "".join(code), timeout=60)
        assert result.stop == "end" and not result.vectors
        state.append({name: result.registers[name] for name in ("rbx", "rdx", "rdi", "rbp")})
        size = len(operands) * VECTOR
        results += [bytes(guest.ram[at:at + size]) for at in
                    range(RESULTS, RESULTS + size * len(instructions), size)]
    return results, state


def differing(mode, instructions, operands, controls):
    """The first difference of each (control word, instruction): (operands, library's, ours)."""
    (expected, state), (found, our_state) = (
        execute(mode, instructions, operands, controls, by_library) for by_library in (True, False))
    differences = {}
    names = itertools.product(controls, instructions)
    for (control, name), one, other in zip(names, expected, found, strict=True):
        for index, pair in enumerate(operands):
            at = slice(VECTOR * index, VECTOR * (index + 1))
            if one[at] != other[at]:
                differences[hex(control), name] = pair.hex(" ", 8), one[at].hex(), other[at].hex()
                break
    return differences, state == our_state


@pytest.mark.parametrize("mode", ["long", "protected"])
def test_integers(mode):
    assert differing(mode, list(vectors()), list(integer_operands()), [MASKED]) == ({}, True)


@pytest.mark.parametrize("mode", ["long", "protected"])
def test_reals(mode):
    controls = [MASKED | rounding | flush for rounding in ROUNDING
                for flush in (0, FLUSH_OPERANDS, FLUSH_RESULTS | FLUSH_OPERANDS)]
    if mode == "protected":
        controls = [MASKED]
    assert differing(mode, list(reals(mode)), list(real_operands()), controls) == ({}, True)
