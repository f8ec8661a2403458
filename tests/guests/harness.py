"""Small programs on the bare CPU: assembled by nasm, started in the mode and ring a test needs.

A `Guest` is a CPU with 16 MiB of RAM and no devices but the test's own. `run()` takes assembly,
boots through the reset vector into the wanted mode (boot.asm), and returns when the program says
`END`, halts for good, triple-faults, or takes an exception that it was not told to survive. What
the CPU delivered to the handlers in the guest (handlers.asm) is in `Result.events`.

`isolated` runs a test in a process of its own: for guests that would take the host down if a guard
of the engine failed.
"""
import dataclasses
import functools
import hashlib
import mmap
import os
import pathlib
import pickle
import select
import signal
import struct
import subprocess
import threading
import time
import traceback

from pyemu.engine.cpu import HALTED, TRIPLE_FAULT, Cpu
from pyemu.memory import Memory
from pyemu.ports import Ports

HERE = pathlib.Path(__file__).parent
CACHE = HERE.parent.parent / "build" / "guests"

RAM_SIZE = 16 << 20
PAGE = 4096

# As in prelude.inc
KCODE, KDATA, UCODE32, UDATA, UCODE64, KCODE32, KCODE16, KDATA16 = (
    0x08, 0x10, 0x1b, 0x23, 0x2b, 0x38, 0x40, 0x48)
TSS, TSS2, GATE = 0x50, 0x60, 0x70
GDT, IDT, LOG_COUNT, TSS_AT, TSS2_AT, POLICY, SKIP = (
    0x1000, 0x2000, 0x3ff8, 0x4000, 0x5000, 0x5800, 0x5900)
HANDLERS, LOG, CODE, KSTACK, STACK = 0x6000, 0x8000, 0x20000, 0x40000, 0x48000
DATA, TABLES, ALIAS, HOLE, DEVICE = 0x300000, 0x100000, 0x10000000, 0x20000000, 0xe8000000
RECORD = 64
PORT_EXIT, PORT_IRQ = 0xf4, 0x77
RESET_PAGE = 0xfffff000

# Descriptors: access byte and flags nibble
CODE32, DATA32, CODE64, CODE16, DATA16 = 0xc9b, 0xc93, 0xa9b, 0x09b, 0x093
DPL3 = 0x60
TSS_AVAILABLE = 0x089

PRESENT, WRITABLE, USER, LARGE, NX = 1, 2, 4, 0x80, 1 << 63
ALL = PRESENT | WRITABLE | USER

DIVIDE, DEBUG, NMI, BREAKPOINT, OVERFLOW, BOUND, UNDEFINED, NO_FPU, DOUBLE = range(9)
BAD_TSS, NOT_PRESENT, STACK_FAULT, PROTECTION, PAGE_FAULT = 10, 11, 12, 13, 14
FPU_ERROR, SIMD_ERROR = 16, 19

REGISTERS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer", "dr6")


def assemble(source: str, bits: int, origin: int = CODE, **constants: int) -> bytes:
    """Machine code of `source`, which may use the names of prelude.inc. Cached under build/."""
    prelude = (HERE / "prelude.inc").read_text()
    defines = "".join(f"%define {name} {value}\n" for name, value in constants.items())
    text = f"{defines}{prelude}\nbits {bits}\norg {origin}\n{source}\n"
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    binary = CACHE / f"{name}.bin"
    if not binary.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        listing = CACHE / f"{name}.asm"
        listing.write_text(text)
        output = CACHE / f"{name}.{os.getpid()}"
        subprocess.run(["nasm", "-w-all", "-f", "bin", "-o", output, listing], check=True)
        output.rename(binary)
    return binary.read_bytes()


def descriptor(base: int, limit: int, kind: int) -> int:
    """A segment descriptor; kind: one of CODE32 ... and DPL3."""
    return (limit & 0xffff | (base & 0xffffff) << 16 | (kind & 0xff) << 40
            | (limit >> 16 & 15 | kind >> 8 << 4) << 48 | base >> 24 << 56)


@dataclasses.dataclass
class Event:
    """An exception or interrupt as a handler in the guest found it."""

    vector: int
    error: int
    ip: int
    cs: int
    flags: int
    sp: int
    cr2: int
    dr6: int


@dataclasses.dataclass
class Result:
    """How a run ended: "end", "halt", "triple fault" or "timeout"; and what it left."""

    stop: str
    events: list[Event]
    registers: dict[str, int]

    def __getattr__(self, name):
        """A register by its name: result.rax; eax and ax are its lower parts."""
        registers = self.__dict__["registers"]
        if name in registers:
            return registers[name]
        for prefix, mask in (("e", 0xffffffff), ("", 0xffff)):
            if f"r{name.removeprefix(prefix)}" in registers:
                return registers[f"r{name.removeprefix(prefix)}"] & mask
        raise AttributeError(name)

    @property
    def vectors(self) -> list[int]:
        return [event.vector for event in self.events]

    @property
    def last(self) -> Event:
        return self.events[-1]


class Pages:
    """Page tables with 4 KiB pages for RAM and the alias region, large ones for the rest."""

    def __init__(self, ram, mode: str):
        self.ram = ram
        self.long = mode == "long"
        self.size = 8 if self.long else 4
        self.per_table = PAGE // self.size
        self.free = TABLES + PAGE
        if self.long:
            directories = [self._table() for _ in range(4)]
            pointers = self._table()
            self._set(TABLES, 0, pointers | ALL)
            for index, directory in enumerate(directories):
                self._set(pointers, index, directory | ALL)
            self.directory = directories[0]  # the four lie in a row, as one of 2048 entries
            entries, self.span = 2048, 2 << 20
        else:
            self.directory = TABLES
            entries, self.span = 1024, 4 << 20
        for index in range(entries):
            self._set(self.directory, index, index * self.span | LARGE | ALL)
        for base in range(0, RAM_SIZE, self.span):
            table = self.split(base)
            for index in range(self.per_table):
                self._set(table, index, base + index * PAGE | ALL)
        self.split(ALIAS)

    def split(self, base: int) -> int:
        """Replace a large page by a table of 4 KiB pages, none of them present."""
        table = self._table()
        self._set(self.directory, base // self.span, table | ALL)
        return table

    def entry(self, virtual: int) -> int:
        """Physical address of the last-level entry."""
        slot = self.directory + virtual // self.span * self.size
        value = self._get(slot)
        if value & LARGE:
            return slot
        return (value & ~0xfff) + virtual % self.span // PAGE * self.size

    def set(self, virtual: int, value: int) -> None:
        entry = self.entry(virtual)
        self.ram[entry:entry + self.size] = value.to_bytes(self.size, "little")

    def _table(self) -> int:
        self.free += PAGE
        return self.free - PAGE

    def _set(self, table: int, index: int, value: int) -> None:
        at = table + index * self.size
        self.ram[at:at + self.size] = value.to_bytes(self.size, "little")

    def _get(self, at: int) -> int:
        return int.from_bytes(self.ram[at:at + self.size], "little")


class Port:
    """An I/O port made of functions."""

    def __init__(self, read=None, write=None):
        self.on_read = read or (lambda: 0xffffffff)
        self.on_write = write or (lambda value: None)

    def read(self, offset, size):
        return self.on_read()

    def write(self, offset, size, value):
        self.on_write(value)


class Device:
    """A page of registers that notes its accesses and reads as the offset, unless told better."""

    def __init__(self):
        self.accesses = []
        self.on_read = lambda offset, size: offset
        self.on_write = lambda offset, size, value: None

    def read(self, offset, size):
        self.accesses.append(("read", offset, size))
        return self.on_read(offset, size)

    def write(self, offset, size, value):
        self.accesses.append(("write", offset, size, value))
        self.on_write(offset, size, value)


class Guest:
    """A CPU about to start in a mode ("real", "protected" or "long") and ring (0 or 3).

    paging: in protected mode, whether page tables are on (identity, all rights).
    changes: what the CPU has more or less than the model `cpu`.
    resume: exceptions after whose delivery the program goes on; vectors from 32 always do.
    skip: {vector: bytes} to add to the return address then.
    wait_for_interrupt: whether HLT waits for the doorbell and timers, rather than end the run.
    """

    def __init__(self, mode="long", ring=0, *, paging=False, cpu="qemu64", changes=None,
                 resume=(), skip=None, wait_for_interrupt=False):
        self.mode, self.ring = mode, ring
        self.bits = {"real": 16, "protected": 32, "long": 64}[mode]
        self.cpu = Cpu(cpu, changes)
        self.memory = Memory(self.cpu)
        self.ports = Ports(self.cpu)
        self.ram = mmap.mmap(-1, RAM_SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.map_ram(0, self.ram, "ram")
        self.memory.map_rom(RESET_PAGE, self._reset_page(), "reset")
        self.device = Device()
        self.memory.map_mmio(DEVICE, PAGE, self.device, "device")
        self.pending: list[int] = []  # vectors of the interrupt controller
        self.wait_for_interrupt = wait_for_interrupt
        self.ended = self.timed_out = False
        self.on_service = lambda: None
        self.cpu.on_service = self._service
        self.cpu.on_acknowledge = self._acknowledge
        self.on_port(PORT_EXIT, write=self._exit)
        self.on_port(PORT_IRQ, write=self.interrupt)

        self.place(0x7c00, assemble((HERE / "boot.asm").read_text(), 16, 0x7c00, MODE=self.bits,
                                    RING=ring, PAGING=int(paging)))
        self.place(HANDLERS, assemble((HERE / "handlers.asm").read_text(), self.bits, HANDLERS,
                                      MODE=self.bits))
        for vector in range(256):
            self.ram[POLICY + vector] = vector >= 32 or vector in resume
        for vector, length in (skip or {}).items():
            self.ram[SKIP + vector] = length
        self._write_descriptors()
        self.pages = Pages(self.ram, mode)

    # --- before the run ---

    def place(self, address: int, code: str | bytes, bits: int | None = None,
              origin: int | None = None) -> None:
        """Put bytes, or assembly of the guest's width or `bits`, at a physical address."""
        if isinstance(code, str):
            code = assemble(code, bits or self.bits, address if origin is None else origin)
        self.memory.write(address, code)

    def poke(self, address: int, value: int, size: int = 4) -> None:
        self.memory.write(address, (value % (1 << 8 * size)).to_bytes(size, "little"))

    def peek(self, address: int, size: int = 4) -> int:
        return int.from_bytes(self.ram[address:address + size], "little")

    def on_port(self, number: int, read=None, write=None) -> None:
        """Answer at a port by functions: read() -> value, write(value)."""
        self.ports.map(number, 1, Port(read, write), width=4)

    def gate(self, vector: int, address: int | None = None, selector: int = KCODE,
             kind: int = 0x8e) -> None:
        """Write a gate of the IDT; kind: its access byte (0x8e interrupt, 0xee with DPL 3, ...)."""
        if address is None:
            address = HANDLERS + 16 * vector
        if self.mode == "real":
            self.ram[4 * vector:4 * vector + 4] = struct.pack("<HH", address, 0)
            return
        gate = struct.pack("<HHBBH", address & 0xffff, selector, 0, kind, address >> 16 & 0xffff)
        size = 16 if self.mode == "long" else 8
        if self.mode == "long":
            gate += struct.pack("<II", address >> 32, 0)
        self.ram[IDT + size * vector:IDT + size * (vector + 1)] = gate

    def segment(self, selector: int, value: int) -> None:
        """Write a descriptor of the GDT."""
        self.poke(GDT + (selector & ~7), value, 8)

    def second_task(self, code: str) -> None:
        """Prepare the task of TSS2, in protected mode, which runs `code` on a stack of its own."""
        entry, stack = CODE + 0x8000, KSTACK - 0x4000
        self.place(entry, code)
        state = {0x1c: TABLES, 0x20: entry, 0x24: 2, 0x38: stack, 0x48: KDATA, 0x4c: KCODE,
                 0x50: KDATA, 0x54: KDATA, 0x58: KDATA, 0x5c: KDATA}
        for offset, value in state.items():
            self.poke(TSS2_AT + offset, value)

    # --- the run ---

    def run(self, code: str | bytes | None = None, timeout: float = 5.0) -> Result:
        """Run the program from the reset vector to its end."""
        self.start(code)
        return self.go_on(timeout)

    def start(self, code: str | bytes | None = None) -> None:
        """Stand at the reset vector, with this program or the last one."""
        if code is not None:
            self.place(CODE, code, origin=0 if self.mode == "real" else CODE)
        self.segment(TSS, descriptor(TSS_AT, 0x1ff, TSS_AVAILABLE))  # LTR makes it busy
        self.poke(LOG_COUNT, 0)
        self.cpu.reset()

    def go_on(self, timeout: float = 5.0) -> Result:
        """Run from where the CPU stands."""
        self.ended = self.timed_out = False
        alarm = threading.Timer(timeout, self._time_out)
        alarm.daemon = True
        alarm.start()
        try:
            return self._result(self._execute())
        finally:
            alarm.cancel()

    def interrupt(self, vector: int) -> None:
        """Have the interrupt controller raise INTR for a vector. On the CPU's thread."""
        self.pending.append(vector)
        self.cpu.set_intr(True)

    def events(self) -> list[Event]:
        """What the handlers have noted."""
        count = min(self.peek(LOG_COUNT), 500)
        return [Event(*struct.unpack_from("<8Q", self.ram, LOG + RECORD * i)) for i in range(count)]

    def _execute(self) -> str:
        cpu = self.cpu
        while True:
            outcome = cpu.run()
            if self.timed_out:
                return "timeout"
            if self.ended:
                return "end"
            if outcome == TRIPLE_FAULT:
                return "triple fault"
            if outcome == HALTED:
                if not cpu.can_wake and not self.wait_for_interrupt:
                    return "halt"
                while not cpu.can_wake and not self.timed_out:
                    cpu.sleep()
                    self._service()
                if self.timed_out:
                    return "timeout"

    def _result(self, stop: str) -> Result:
        return Result(stop, self.events(), {name: getattr(self.cpu, name) for name in REGISTERS})

    def _exit(self, value: int) -> None:
        self.ended = True
        self.cpu.stop()

    def _time_out(self) -> None:
        self.timed_out = True
        self.cpu.ring()

    def _service(self) -> None:
        if self.timed_out:
            self.cpu.stop()
        self.on_service()

    def _acknowledge(self) -> int:
        vector = self.pending.pop(0)
        self.cpu.set_intr(bool(self.pending))
        return vector

    # --- the machine's tables ---

    @staticmethod
    def _reset_page() -> bytes:
        page = bytearray(PAGE)
        page[0xff0:0xff5] = b"\xea\x00\x7c\x00\x00"  # jmp 0:0x7c00
        return bytes(page)

    def _write_descriptors(self) -> None:
        flat = functools.partial(descriptor, 0, 0xfffff)
        kcode = CODE64 if self.mode == "long" else CODE32
        for selector, value in {
            KCODE: flat(kcode), KDATA: flat(DATA32), UCODE32: flat(CODE32 | DPL3),
            UDATA: flat(DATA32 | DPL3), UCODE64: flat(CODE64 | DPL3), 0x30: flat(DATA32 | DPL3),
            KCODE32: flat(CODE32), KCODE16: descriptor(0, 0xffff, CODE16),
            KDATA16: descriptor(0, 0xffff, DATA16),
            TSS2: descriptor(TSS2_AT, 0x67, TSS_AVAILABLE),
        }.items():
            self.segment(selector, value)
        for vector in range(256):
            self.gate(vector, kind=0xee if vector in (BREAKPOINT, OVERFLOW, 0x80) else 0x8e)
        if self.mode == "long":
            self.poke(TSS_AT + 4, KSTACK, 8)
        else:
            self.poke(TSS_AT + 4, KSTACK)
            self.poke(TSS_AT + 8, KDATA)
        bitmap = 0x68  # of I/O ports that ring 3 may use: PORT_EXIT and PORT_IRQ
        self.poke(TSS_AT + 0x66, bitmap, 2)
        for port in range(0, 0x400, 8):
            allowed = sum(1 << p % 8 for p in (PORT_EXIT, PORT_IRQ) if p // 8 == port // 8)
            self.ram[TSS_AT + bitmap + port // 8] = 0xff & ~allowed


# --- tests that might take the process with them ---

def isolated(test=None, *, timeout: float = 20.0):
    """Run a test in a child process: a crash or a hang of it is a failed test."""
    if test is None:
        return functools.partial(isolated, timeout=timeout)

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        outcome = in_child(lambda: test(*args, **kwargs), timeout)
        assert outcome is None, outcome

    return wrapper


def in_child(function, timeout: float):
    """What `function` returns in a child process. AssertionError: it failed, crashed or hung."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _report(function, write_end)
    os.close(write_end)
    data = _read_all(read_end, time.monotonic() + timeout)
    os.close(read_end)
    if data is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if data is None:
        raise AssertionError(f"still running after {timeout} s")
    if os.WIFSIGNALED(status):
        raise AssertionError(f"killed by {signal.Signals(os.WTERMSIG(status)).name}")
    value, failure = pickle.loads(data)
    if failure:
        raise AssertionError(failure)
    return value


def _report(function, write_end):
    """In the child: never returns."""
    try:
        outcome = function(), None
    except BaseException:
        outcome = None, traceback.format_exc()
    with open(write_end, "wb") as pipe:
        pickle.dump(outcome, pipe)
    os._exit(0)


def _read_all(descriptor: int, deadline: float) -> bytes | None:
    """Everything until the other end is closed; None if the deadline comes first."""
    data = b""
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
            return None
        part = os.read(descriptor, 1 << 16)
        if not part:
            return data
        data += part
