"""Random and hostile code on the CPU: it may do anything to itself, nothing to the process.

Every run must end by the doorbell, within limits of memory, and after a reset the CPU must work as
if nothing had happened.
A long run: pytest tests/fuzz/test_code_fuzz.py --programs 5000
A seed that failed: SEED=1234 pytest tests/fuzz/test_code_fuzz.py
"""
import contextlib
import functools
import mmap
import os
import pathlib
import random
import resource
import time

import pytest
import unicorn
from fuzz.programs import LENGTH, PORTS, Program
from guests.harness import (
    CODE,
    DATA,
    DEVICE,
    HOLE,
    PAGE,
    POLICY,
    RAM_SIZE,
    SKIP,
    Guest,
    in_child,
)
from pyemu import roms
from pyemu.cpulog import CpuLog
from pyemu.engine.cpu import WATCH_READ, WATCH_WRITE
from pyemu.trace import log

KINDS = [("real", 0, False), ("protected", 0, False), ("protected", 0, True),
         ("protected", 3, True), ("long", 0, True), ("long", 3, True)]
CPUS = ["qemu64", "Haswell", "EPYC", "486", "Icelake-Server"]
BATCH = 8  # seeds for one child process
PROGRAMS = 4  # for one guest, which is reset between them
LIMIT = 0.03  # seconds until the run is asked to stop
ROUNDS = 3  # of that
PATIENCE = 60  # seconds for a batch: a run that is asked to stop, and does not, is a failure
ADDRESS_SPACE = 2 << 30  # bytes that a batch may add, code buffers included
RESIDENT = 600 << 10  # KiB of the host's memory
SAVED = 2 << 20  # bytes of low memory that hold the harness' own tables and code

PREFIXES = b"\x66\x67\xf2\xf3\xf0\x2e\x64\x36"
REX = b"\x48\x41\xc5\xc4"
SYSTEM = b"\x00\x01\x05\x07\x08\x09\x20\x21\x22\x23\x30\x32\x34\x35\xa2\xaa\xae\xc7"


def opcodes(rng, mode):
    """Instructions at random, those of the system more often than chance would have them."""
    prefixes = PREFIXES + REX if mode == "long" else PREFIXES
    code = bytearray()
    while len(code) < LENGTH:
        code += bytes(rng.choices(prefixes, k=rng.choice((0, 0, 0, 1, 1, 2, 3))))
        chance = rng.random()
        if chance < 0.4:
            code += bytes([0x0f, rng.randrange(256)])
        elif chance < 0.5:
            code += bytes([0x0f, rng.choice(SYSTEM)])
        elif chance < 0.55:
            code += bytes([0x0f, rng.choice(b"\x38\x3a"), rng.randrange(256)])
        elif chance < 0.65:
            code.append(rng.randrange(0xd8, 0xe0))
        else:
            code.append(rng.randrange(256))
        code += rng.randbytes(rng.choice((1, 1, 2, 3, 5)))
    return bytes(code[:LENGTH])


def real_code(mode):
    """Megabytes of code that somebody meant."""
    if mode == "long":
        library = pathlib.Path(unicorn.__file__).parent / "lib" / "libunicorn.so.2"
        return library.read_bytes()[0x3d0000:0x470000]
    return roms.load_bios("bios-256k.bin")[0x10000:]


def mutated(rng, mode):
    source = real_code(mode)
    while True:
        start = rng.randrange(len(source) - LENGTH)
        code = bytearray(source[start:start + LENGTH])
        if code.count(0) < LENGTH // 3:
            break
    for _ in range(rng.choice((5, 40, 150))):
        code[rng.randrange(LENGTH)] = rng.randrange(256)
    return bytes(code)


def registers(rng, mode):
    """Instructions that load the registers: pointers into RAM, small numbers, any numbers."""
    prefix, first, width = {"real": (b"\x66", 0xb8, 4), "protected": (b"", 0xb8, 4),
                            "long": (b"\x48", 0xb8, 8)}[mode]
    code = b""
    for number in (0, 1, 2, 3, 5, 6, 7):
        value = rng.choice([rng.randrange(DATA, RAM_SIZE), rng.randrange(0x10000),
                            rng.randrange(256), rng.getrandbits(8 * width)])
        code += prefix + bytes([first + number]) + value.to_bytes(width, "little")
    return code


class Hostile:
    """A device, and a port, that may be page tables, move, or call on the CPU while it executes."""

    def __init__(self, guest, rng):
        self.guest, self.rng = guest, rng
        self.extra = mmap.mmap(-1, 1 << 16)
        self.region = None

    def read(self, offset, size):
        rng = self.rng
        value = rng.choice((rng.getrandbits(64), offset // 8 << 21 | 0x87, offset // 4 << 22 | 0x87,
                            CODE | 0x67, 0))
        return value & (1 << 8 * size) - 1

    def write(self, offset, size, value):
        guest, rng = self.guest, self.rng
        match rng.randrange(12):
            case 0:
                guest.cpu.set_a20(bool(value & 1))
            case 1 if self.region:
                guest.memory.unmap(self.region)
                self.region = None
            case 1:
                self.region = guest.memory.map_ram(HOLE, self.extra, "extra")
            case 2:
                address = rng.choice((value, guest.cpu.rip, rng.getrandbits(64)))
                guest.memory.read_virtual(address, 64)
            case 3:
                guest.memory.write(rng.choice((CODE, DATA, value)), rng.randbytes(64))
            case 4 if not guest.pending:
                guest.interrupt(rng.randrange(32, 256))

    def read_block(self, limit):
        return self.rng.randbytes(self.rng.randrange(limit + 8))

    def write_block(self, data):
        return self.rng.randrange(len(data) + 8)

    def befall(self):
        """What comes from outside at each service: interrupts, DMA, pins, a monitor."""
        guest, rng = self.guest, self.rng
        match rng.randrange(7):
            case 0 | 1:
                guest.interrupt(rng.randrange(32, 256))
            case 2:
                guest.cpu.set_nmi()
            case 3:
                guest.memory.write(CODE + rng.randrange(LENGTH), rng.randbytes(16))
            case 4:
                guest.cpu.set_a20(rng.random() < 0.7)
            case 5:
                guest.memory.read_virtual(guest.cpu.rip + guest.cpu.cs[1], 16)
            case 6:
                guest.cpu.arm(time.monotonic_ns() + rng.randrange(2_000_000))


@contextlib.contextmanager
def observed(guest, rng):
    """By some of what users look with: -d, breakpoints and watchpoints, counts of blocks."""
    items = rng.choice(("none", "none", "none", "in_asm,int,cpu", "exec", "guest_errors"))
    log.set_file(os.devnull)
    CpuLog(guest)
    log.choose(items)
    guest.cpu.count_blocks(rng.random() < 0.2)
    if rng.random() < 0.1:
        access = rng.choice((WATCH_READ, WATCH_WRITE, WATCH_READ | WATCH_WRITE))
        guest.cpu.set_watchpoints([(rng.choice((DATA, CODE, DEVICE)), PAGE, access)])
    if rng.random() < 0.1:
        guest.cpu.set_breakpoints([CODE + rng.randrange(LENGTH) for _ in range(20)])
    yield
    log.choose("none")
    for item in log.items.values():
        item.on_change = None


def run_seed(seed):
    rng = random.Random(seed)
    mode, ring, paging = KINDS[seed % len(KINDS)]
    cpu = rng.choice([model for model in CPUS if mode != "long" or model != "486"])
    guest = Guest(mode, ring, paging=paging, cpu=cpu, resume=range(32))
    guest.memory.write(SKIP, bytes(rng.choice((1, 1, 2, 3)) for _ in range(256)))
    guest.memory.write(POLICY, b"\1" * 256)
    hostile = Hostile(guest, rng)
    guest.memory.unmap(guest.memory.find(DEVICE))
    guest.memory.map_mmio(DEVICE, PAGE, hostile, "hostile")
    for port in PORTS:
        guest.ports.map(port, 1, hostile, width=rng.choice((1, 2, 4)))
    saved = guest.memory.read(0, SAVED)
    for _ in range(PROGRAMS):
        make = rng.choice((lambda rng, mode: rng.randbytes(LENGTH), opcodes, mutated,
                           *[lambda rng, mode: Program(rng, mode).code()] * 5))
        guest.memory.write(DATA, rng.randbytes(0x8000))
        guest.on_service = hostile.befall
        guest.cpu.arm(time.monotonic_ns() + rng.randrange(5_000_000))
        guest.start(registers(rng, mode) + make(rng, mode))
        with observed(guest, rng):
            run_on(guest)
        check_life(guest, saved)


def run_on(guest):
    for _ in range(ROUNDS):
        stop = guest.go_on(LIMIT).stop
        if stop == "triple fault":
            break
        if stop == "halt":
            guest.cpu.set_nmi()


def check_life(guest, saved):
    guest.on_service = lambda: None
    guest.cpu.set_breakpoints(())
    guest.cpu.set_watchpoints(())
    guest.pending.clear()
    guest.memory.write(0, saved)
    width = b"" if guest.mode == "real" else b"\0\0"
    result = guest.run(b"\xbb\x05\x00" + width + b"\xe6\xf4\xeb\xfe")
    assert result.stop == "end" and result.ebx & 0xffff == 5, f"no life after a reset: {result}"


def run_batch(first):
    limit = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * PAGE + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for seed in range(first, first + BATCH):
        run_seed(seed)
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert resident < RESIDENT, f"{resident} KiB of the host's memory"


def culprit(first):
    """Which seed of a batch fails by itself, and how."""
    for seed in range(first, first + BATCH):
        try:
            in_child(functools.partial(run_seed, seed), PATIENCE)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return f"seeds {first} to {first + BATCH - 1}, but none of them alone"


@pytest.mark.skipif("SEED" in os.environ, reason="one seed is asked for")
def test_random_code(request):
    count = request.config.getoption("--programs")
    first = random.SystemRandom().randrange(1 << 32) // BATCH * BATCH
    for batch in range(first, first + -(-count // PROGRAMS), BATCH):
        try:
            in_child(functools.partial(run_batch, batch), PATIENCE)
        except AssertionError as error:
            pytest.fail(f"{culprit(batch)} ({error})")


@pytest.mark.skipif("SEED" not in os.environ, reason="no seed is asked for")
def test_seed():
    run_seed(int(os.environ["SEED"]))
