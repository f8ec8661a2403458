"""Programs for the CPU's fuzz: valid instructions, most of them the system's, on hostile operands.

A `Program` writes machine code of one mode. What it points at are the tables that the harness has
made (page tables, GDT, IDT, TSS), its own code, device registers, and addresses where nothing is.
Opcodes: Intel SDM volume 2, appendix A; AMD64 APM volume 3, appendix A.
"""
from guests.harness import (
    CODE,
    DATA,
    DEVICE,
    GDT,
    HANDLERS,
    HOLE,
    IDT,
    KSTACK,
    PAGE,
    RAM_SIZE,
    STACK,
    TABLES,
    TSS2_AT,
    TSS_AT,
)

LENGTH = 4096  # bytes of code
SELECTORS = range(0, 0x88, 8)
ADDRESSES = (0, GDT, IDT, TSS_AT, TSS2_AT, HANDLERS, CODE, KSTACK, STACK, DATA, TABLES, HOLE,
             DEVICE, 0xa0000, RAM_SIZE - 2, RAM_SIZE, 0x7fff_ffff, 0xffff_f000, 0xffff_fffe)
WIDE = (1 << 32, (1 << 47) - 4, 1 << 47, 0xffff_8000_0000_0000, (1 << 52) - 4, (1 << 64) - 4)
MSRS = (0x10, 0x1b, 0x3a, 0x8b, 0xce, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x17b, 0x1a0, 0x1d9,
        *range(0x200, 0x210), 0x250, 0x258, 0x259, *range(0x268, 0x270), 0x277, 0x2ff, 0x38f,
        0x400, 0x401, 0x480, 0x6e0, 0x802, 0x80b, 0x830, 0xd90, 0x4000_0000,
        *range(0xc000_0080, 0xc000_0085), 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103,
        0xc001_0015, 0xc001_0114, 0xc001_0117)
EFER, LONG_STAR = 0xc000_0080, 0xc000_0082
PORTS = (0x60, 0x90, 0x91, 0x92)

# Without operands: behind 0F, behind 0F 01 (VMX and SVM among them), and others; then those with
# one in memory, and the number in their group
SYSTEM = bytes.fromhex("05 06 07 08 09 0b 30 31 32 33 34 35 77 a2 aa ff")
VIRTUAL = bytes.fromhex("c1 c2 c3 c4 c8 c9 ca cb cf d0 d1 d4 d5 d6 d8 d9 da db dc dd de df ee ef f8"
                        "f9 fa")
PLAIN = bytes.fromhex("60 61 9b 9c 9d c9 cb cc ce cf d7 f1 f4 fa fb fc fd")
BARE = ([b"\x0f" + bytes([code]) for code in SYSTEM]
        + [b"\x0f\x01" + bytes([code]) for code in VIRTUAL] + [bytes([code]) for code in PLAIN]
        + [b"\x48\x0f\x07", b"\x48\x0f\x35", b"\x48\xcf", b"\x66\x9d", b"\xf3\x90",
           b"\xf3\x0f\xc7\xf0", b"\x0f\xc7\xf0", b"\x0f\xae\xe8", b"\x0f\xae\xf0"])
GROUPS = ([(b"\x0f\x00", n) for n in range(8)] + [(b"\x0f\x01", n) for n in range(8)] * 2
          + [(b"\x0f\xae", n) for n in range(8)] * 2 + [(b"\x0f\xc7", n) for n in range(8)]
          + [(b"\x0f\xba", n) for n in range(8)] + [(b"\xff", n) for n in range(7)]
          + [(b"\x8f", 0), (b"\x8e", 0), (b"\x8e", 2), (b"\x8e", 3), (b"\x8e", 4), (b"\x8e", 5),
             (b"\x62", 0), (b"\x0f\xb2", 4), (b"\x0f\xb4", 0), (b"\x0f\x02", 0), (b"\x0f\x03", 0),
             (b"\x0f\x78", 0), (b"\x0f\x79", 0), (b"\xc4", 0), (b"\xc5", 0)])
STRINGS = (0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf)
AX, CX, DX, BX, SP, BP, SI, DI = range(8)


class Program:
    """rng: decides everything. mode: "real", "protected" or "long"."""

    def __init__(self, rng, mode: str):
        self.rng, self.mode = rng, mode
        self.parts = [self.system_call, self.table, self.garbage_entry, self.control, self.msr,
                      self.group, self.group, self.bare, self.bare, self.transfer, self.far,
                      self.segment, self.string, self.string, self.store, self.self_modify,
                      self.vector, self.x87, self.port, self.extended_state, self.interrupt,
                      self.arithmetic, self.junk]

    def code(self) -> bytes:
        code = b""
        while len(code) < LENGTH:
            code += self.rng.choice(self.parts)()
        return code[:LENGTH]

    # --- operands ---

    def pointer(self) -> int:
        rng = self.rng
        match rng.randrange(8):
            case 0:
                return rng.getrandbits(64 if self.mode == "long" else 32)
            case 1:
                return rng.randrange(RAM_SIZE)
            case 2 if self.mode == "long":
                return rng.choice(WIDE) + rng.randrange(-8, 8)
            case _:
                return max(0, rng.choice(ADDRESSES) + rng.choice((0, 0, 8, -1, PAGE - 2,
                                                                  rng.randrange(PAGE))))

    def physical(self) -> int:
        """A page that a table may name."""
        return self.rng.choice((TABLES, TABLES + PAGE, DEVICE, HOLE, DATA, CODE, RAM_SIZE,
                                self.rng.getrandbits(52))) & ~0xfff

    def load(self, register: int, value: int) -> bytes:
        """MOV of 32 bits, in 64-bit code of 64."""
        if self.mode == "long":
            return bytes([0x48, 0xb8 + register]) + (value & (1 << 64) - 1).to_bytes(8, "little")
        prefix = b"\x66" if self.mode == "real" else b""
        return prefix + bytes([0xb8 + register]) + (value & 0xffffffff).to_bytes(4, "little")

    def at_di(self, opcode: bytes, field: int) -> bytes:
        """An instruction with the operand [EDI] or [RDI]."""
        prefix = b"\x67" if self.mode == "real" else b""
        return prefix + opcode + bytes([field << 3 | DI])

    def put(self, address: int, value: int, size: int = 8) -> bytes:
        """Store a value, 32 bits at a time."""
        code = b""
        for offset in range(0, size, 4):
            word = value >> 8 * offset & 0xffffffff
            code += self.load(DI, address + offset) + self.load(AX, word)
            code += b"\x67\x66\x89\x07" if self.mode == "real" else b"\x89\x07"
        return code

    # --- tables ---

    def descriptor(self) -> int:
        rng = self.rng
        value = rng.choice((
            rng.getrandbits(64), 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff,
            0x008f9b000000ffff, 0x0000890000000067 | TSS_AT << 16, 0x0000850000600000,
            0x00008c0000080000 | CODE & 0xffff | (CODE >> 16) << 48))
        return value ^ (1 << rng.randrange(64) if rng.random() < 0.5 else 0)

    def table(self) -> bytes:
        """LGDT, LIDT: the limit and the base at random."""
        address = DATA + self.rng.randrange(0x8000)
        limit = self.rng.choice((0, 7, 0x7f, 0xfff, 0xffff))
        code = self.put(address, limit | self.pointer() << 16, 12)
        return code + self.load(DI, address) + self.at_di(b"\x0f\x01", self.rng.choice((2, 3)))

    def garbage_entry(self) -> bytes:
        """An entry of the GDT, the IDT, the TSS or a page table."""
        rng = self.rng
        match rng.randrange(5):
            case 0:
                return self.put(GDT + rng.choice(SELECTORS), self.descriptor())
            case 1:
                size = 16 if self.mode == "long" else 8
                gate = self.descriptor() & ~(0x1f << 40) | rng.choice((5, 6, 7, 14, 15)) << 40
                return self.put(IDT + size * rng.randrange(64), gate) + self.put(
                    IDT + size * rng.randrange(64) + 8, self.pointer() >> 32)
            case 2:
                return self.put(TSS_AT + rng.randrange(0, 0x68, 4), self.pointer())
            case 3:
                at = TABLES + PAGE * rng.choice((0, rng.randrange(16))) + 8 * rng.randrange(512)
                entry = self.physical() | rng.getrandbits(12) | rng.choice((0, 1 << 63))
                return self.put(at, entry)
            case _:
                return self.load(AX, rng.choice(SELECTORS) | rng.randrange(8)) + \
                    b"\x0f\x00" + bytes([0xc0 | rng.choice((2, 3)) << 3])  # LLDT, LTR

    # --- instructions ---

    def control(self) -> bytes:
        """MOV to and from CRn and DRn."""
        rng = self.rng
        if rng.random() < 0.4:
            value = rng.choice((self.pointer(), 0x400, rng.getrandbits(32)))
            return self.load(AX, value) + b"\x0f" + bytes([rng.choice((0x21, 0x23)),
                                                           0xc0 | rng.randrange(8) << 3])
        number = rng.choice((0, 0, 2, 3, 3, 4, 4, 8))
        value = {0: rng.choice((0x11, 0x80000011, 0x80010033, rng.getrandbits(32))),
                 3: self.physical() | rng.getrandbits(12),
                 4: rng.choice((0x620, 0x10, rng.getrandbits(12), rng.getrandbits(23)))}.get(
                     number, rng.getrandbits(32))
        return self.load(AX, value) + b"\x0f" + bytes([rng.choice((0x22, 0x22, 0x20)),
                                                       0xc0 | number << 3])

    def msr(self) -> bytes:
        rng = self.rng
        number = rng.choice((*MSRS, EFER, EFER, LONG_STAR, rng.getrandbits(32)))
        value = rng.choice((self.pointer(), rng.getrandbits(64), rng.getrandbits(13)))
        return self.load(CX, number) + self.load(AX, value & 0xffffffff) + self.load(
            DX, value >> 32) + b"\x0f" + bytes([rng.choice((0x30, 0x30, 0x32))])

    def system_call(self) -> bytes:
        """The targets are sound for once."""
        code = b""
        for number, value in ((0xc000_0081, 0x0008 << 32 | 0x001b << 48), (LONG_STAR, CODE),
                              (0x174, 8), (0x175, STACK), (0x176, CODE)):
            code += self.load(CX, number) + self.load(AX, value & 0xffffffff) + self.load(
                DX, value >> 32) + b"\x0f\x30"
        return code + b"\x0f" + bytes([self.rng.choice((0x05, 0x07, 0x34, 0x35))])

    def group(self) -> bytes:
        opcode, field = self.rng.choice(GROUPS)
        prefix = self.rng.choice((b"", b"", b"\x66", b"\xf0", b"\xf3", b"\xf2"))
        if self.mode == "long" and self.rng.random() < 0.3:
            prefix += b"\x48"
        return self.load(DI, self.pointer()) + prefix + self.at_di(opcode, field)

    def bare(self) -> bytes:
        code = self.rng.choice(BARE)
        if self.rng.random() < 0.5:
            code = self.load(AX, self.pointer()) + code
        return code

    def transfer(self) -> bytes:
        """To where no code should be: device, hole, the end of RAM, the middle of this program."""
        target = self.rng.choice((self.pointer(), CODE + self.rng.randrange(LENGTH)))
        field = self.rng.choice((2, 4, 6))  # CALL, JMP, PUSH
        return self.load(DI, target) + b"\xff" + bytes([0xc0 | field << 3 | DI])

    def far(self) -> bytes:
        """JMP, CALL, RETF, IRET by selectors that may be gates and tasks."""
        rng = self.rng
        selector = rng.choice(SELECTORS) | rng.choice((0, 0, 3, 4))
        offset = rng.choice((CODE + rng.randrange(LENGTH), self.pointer()))
        match rng.randrange(3):
            case 0 if self.mode == "protected":
                return bytes([rng.choice((0x9a, 0xea))]) + (offset & 0xffffffff).to_bytes(
                    4, "little") + selector.to_bytes(2, "little")
            case 1:
                flags = rng.choice((2, 0x202, 0x4002, 0x20002, 0x302, rng.getrandbits(22)))
                frame = (rng.choice(SELECTORS) | 3, STACK, flags, selector, offset & 0x7fffffff)
                push = b"\x66\x68" if self.mode == "real" else b"\x68"
                return b"".join(push + value.to_bytes(4, "little") for value in frame) + \
                    rng.choice((b"\xcf", b"\x48\xcf", b"\x66\xcf", b"\xcb"))
            case _:
                at = DATA + rng.randrange(0x1000)
                return self.put(at, offset & 0xffffffff | selector << 32) + self.load(DI, at) + \
                    self.at_di(b"\xff", rng.choice((3, 5)))

    def segment(self) -> bytes:
        selector = self.rng.choice((*SELECTORS, self.rng.randrange(0x10000)))
        return self.load(AX, selector) + b"\x8e" + bytes([0xc0 | self.rng.randrange(6) << 3])

    def string(self) -> bytes:
        """Long ones, across whatever is there."""
        rng = self.rng
        code = self.load(CX, rng.choice((1, 5, 4096, 0x10000, 0xffffffff)))
        code += self.load(SI, self.pointer()) + self.load(DI, self.pointer())
        code += self.load(DX, rng.choice(PORTS)) + rng.choice((b"\xfc", b"\xfd", b""))
        prefix = rng.choice((b"\xf3", b"\xf2", b"\xf3\x66", b"\x66\xf3\x67"))
        return code + prefix + bytes([rng.choice(STRINGS)])

    def store(self) -> bytes:
        return self.put(self.pointer(), self.rng.getrandbits(32), 4)

    def self_modify(self) -> bytes:
        """Often of the page's end, where an instruction goes on in the next one."""
        near = self.rng.choice((self.rng.randrange(LENGTH), LENGTH - 2, 200))
        return self.put(CODE + near, self.rng.getrandbits(32), 4)

    def vector(self) -> bytes:
        rng = self.rng
        prefix = rng.choice((b"", b"\x66", b"\xf2", b"\xf3"))
        opcode = rng.choice((bytes([rng.randrange(0x10, 0x80)]),
                             bytes([rng.randrange(0xc2, 0x100)]),
                             b"\x38" + rng.randbytes(1), b"\x3a" + rng.randbytes(1)))
        operand = bytes([rng.choice((DI, 0xc0 | rng.randrange(64))) | rng.randrange(8) << 3])
        code = prefix + b"\x0f" + opcode + operand + rng.randbytes(1)
        return self.load(DI, self.pointer()) + code

    def x87(self) -> bytes:
        return self.load(DI, self.pointer()) + self.at_di(
            bytes([self.rng.randrange(0xd8, 0xe0)]), self.rng.randrange(8)) + bytes(
                [self.rng.randrange(0xd8, 0xe0), self.rng.randrange(0xc0, 0x100)])

    def extended_state(self) -> bytes:
        """FXRSTOR, XRSTOR, LDMXCSR and their kin, of a garbage area."""
        at = DATA + self.rng.randrange(0, 0x4000, self.rng.choice((1, 16, 64)))
        masks = self.load(AX, self.rng.choice((7, 0xffffffff))) + self.load(DX, 0)
        masks += self.load(CX, 0)
        enabled = masks + b"\x0f\x01\xd1" if self.rng.random() < 0.5 else masks
        return enabled + self.load(DI, at) + self.at_di(b"\x0f\xae", self.rng.randrange(8))

    def interrupt(self) -> bytes:
        return bytes([0xcd, self.rng.choice((self.rng.randrange(256), self.rng.randrange(32)))])

    def port(self) -> bytes:
        return self.load(AX, self.rng.getrandbits(32)) + bytes(
            [self.rng.choice((0xe4, 0xe5, 0xe6, 0xe7)), self.rng.choice(PORTS)])

    def arithmetic(self) -> bytes:
        return bytes([self.rng.choice((0x01, 0x03, 0x09, 0x29, 0x31, 0x39, 0x85, 0x87, 0xf7, 0xd3)),
                      0xc0 | self.rng.randrange(64)])

    def junk(self) -> bytes:
        return self.rng.randbytes(self.rng.randrange(1, 6))
