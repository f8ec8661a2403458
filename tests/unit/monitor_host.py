"""What a monitor is asked about, without a machine: a runner, a CPU, a character device."""
from types import SimpleNamespace

from pyemu.machine.block.drive import Drive
from pyemu.machine.block.statistics import Statistics
from pyemu.machine.vga import Vga


class FakeCpu:
    """Real mode at the reset vector."""

    rax = rcx = rbx = rsp = rbp = rsi = rdi = 0
    r8 = r9 = r10 = r11 = r12 = r13 = r14 = r15 = 0
    rdx, rip, rflags, hflags = 0x663, 0xfff0, 0x246, 0x40
    cr0, cr2, cr3, cr4, efer = 0x60000010, 0, 0, 0, 0
    dr0 = dr1 = dr2 = dr3 = 0
    dr6, dr7, fpu_control, mxcsr = 0xffff0ff0, 0x400, 0x37f, 0x1f80
    cs = 0xf000, 0xffff0000, 0xffff, 0x9b00
    es = ss = ds = fs = gs = (0, 0, 0xffff, 0x9300)
    ldt, tr = (0, 0, 0xffff, 0x8200), (0, 0, 0xffff, 0x8b00)
    gdt = idt = (0, 0, 0xffff, 0)
    a20, halted = True, False
    fpu = {"fstat": 6 << 11 | 0x20, "ftag": 0x0fff}

    def get_fpu_word(self, name):
        return self.fpu[name]

    def get_st(self, number):
        """1.0 and pi on the stack."""
        return (0x3fff_8000000000000000, 0x4000_c90fdaa22168c235, *[0] * 6)[number]

    def get_xmm(self, number):
        return number << 64 | 0xabc

    def translate(self, address):
        """The first 64 KiB are themselves, the page at 0x80000000 is at 0x3000."""
        if address >> 12 == 0x80000:
            return 0x3000 + address % 0x1000
        return address if address < 0x10000 else -1


class FakeRunner:
    def __init__(self, clock):
        self.log = []
        self.state = "running"
        self.cpu = FakeCpu()
        self.clock = clock
        self.ram = bytearray(0x10000)
        self.memory = SimpleNamespace(
            peek=lambda address, length: bytes(self.ram[address:address + length]),
            find=lambda address: SimpleNamespace(
                end=0x10000, kind="ram" if address < 0x10000 else "gap"))
        self.ports = SimpleNamespace(
            read=lambda port, size: self.log.append(f"in {port:#x} {size}") or 0x5a,
            write=lambda port, size, value: self.log.append(f"out {port:#x} {size} {value:#x}"))
        image = SimpleNamespace(format="qcow2", read_only=True, statistics=Statistics())
        self.machine = SimpleNamespace(
            drives={"ide0-hd0": Drive("ide0-hd0", image)},
            vga=Vga(clock, bytearray(1 << 18)), lapic=SimpleNamespace(lint1=lambda level: None),
            mouse=SimpleNamespace(move=lambda *by: self.log.append(("move", *by)),
                                  button=lambda held: self.log.append(("buttons", held))),
            keyboard=SimpleNamespace(key=lambda key, down: self.log.append((key, down))))

    def status(self):
        return self.state

    def call(self, function):
        return function()

    def __getattr__(self, name):
        """pause, resume, ... are noted."""
        return lambda: self.log.append(name)


class FakeChardevs:
    """One front end, whose output is kept."""

    def __init__(self):
        self.output = b""
        self.front = SimpleNamespace(write=self.write, read=lambda limit: b"")
        self.post = None

    def write(self, data):
        self.output += data

    def attach(self, ident, post):
        self.post = post
        return self.front

    def describe(self):
        return [("serial0", "mux"), ("serial0-base", "stdio")]
