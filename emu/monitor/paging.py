"""The page tables as the CPU has them now: `info mem`, `info tlb`, `gva2gpa`.

Source: Intel SDM volume 3A, chapter 4 "Paging": 32-bit, PAE and 4-level.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pyemu.monitor import memory
from pyemu.monitor.command import Command, CommandError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

CR0_PG, CR4_PSE, CR4_PAE = 1 << 31, 1 << 4, 1 << 5
LONG_MODE = 1 << 10  # EFER.LMA
PRESENT, WRITABLE, USER, LARGE, NO_EXECUTE = 1 << 0, 1 << 1, 1 << 2, 1 << 7, 1 << 63
PROTECTION = PRESENT | WRITABLE | USER
ADDRESS = 0xF_FFFF_FFFF_F000  # bits of an entry
SIGN, UPPER = 1 << 47, 0xFFFF << 48  # of 48-bit virtual addresses
FLAGS = (("X", NO_EXECUTE), ("G", 1 << 8), ("P", LARGE), ("D", 1 << 6), ("A", 1 << 5),
         ("C", 1 << 4), ("T", 1 << 3), ("U", USER), ("W", WRITABLE))  # as `info tlb` shows them
MOST = 1 << 19  # entries in one answer: tables that lead back to themselves have no end
TABLE = 32  # entries that a table counts for, so that empty ones have an end, too


class Layout(NamedTuple):
    """shifts: of the index into each level's tables, topmost first; top: where that is aligned
    to; large: levels whose entries may be pages; entry: bytes of one."""

    shifts: tuple[int, ...]
    top: int
    large: tuple[int, ...]
    entry: int
    limit: int  # bits of a virtual address


class Page(NamedTuple):
    """protection: what all levels allow; is_large: it is not of the smallest size."""

    virtual: int
    size: int
    entry: int
    protection: int
    is_large: bool


def layout(cpu: Any) -> Layout:
    if not cpu.cr4 & CR4_PAE:
        return Layout((22, 12), 0xFFFF_F000, (0,) if cpu.cr4 & CR4_PSE else (), 4, 32)
    if not cpu.efer & LONG_MODE:
        return Layout((30, 21, 12), 0xFFFF_FFE0, (1,), 8, 32)
    return Layout((39, 30, 21, 12), ADDRESS, (1, 2), 8, 48)


def pages(cpu: Any, read: Callable[[int, int], bytes]) -> Iterator[Page]:
    """What is mapped, by virtual address; read(address, length) gives physical memory."""
    form = layout(cpu)
    kind = "I" if form.entry == 4 else "Q"

    left = MOST

    def walk(table: int, level: int, base: int, allowed: int) -> Iterator[Page]:
        shift = form.shifts[level]
        number = 1 << (form.shifts[level - 1] if level else form.limit) - shift
        last = level == len(form.shifts) - 1
        nonlocal left
        left -= TABLE
        entries = struct.unpack(f"<{number}{kind}", read(table, number * form.entry))
        for index, entry in enumerate(entries):
            if not entry & PRESENT:
                continue
            if left <= 0:
                return
            left -= 1
            virtual = base | index << shift
            # The topmost of PAE's three levels has no such bits: what is below decides.
            bare = form.limit == 32 and form.entry == 8 and level == 0
            protection = allowed if bare else allowed & entry
            if last or (entry & LARGE and level in form.large):
                yield Page(virtual, 1 << shift, entry, protection, not last)
            else:
                yield from walk(entry & ADDRESS, level + 1, virtual, protection)

    return walk(cpu.cr3 & form.top, 0, 0, PROTECTION)


def canonical(address: int) -> int:
    """A 48-bit address with its sign extended."""
    return address | UPPER if address & SIGN else address


def ask(monitor: Monitor, describe: Callable[[Iterator[Page]], list[str]]) -> str:
    runner = monitor.runner

    def look() -> list[str]:
        if not runner.cpu.cr0 & CR0_PG:
            return ["PG disabled"]
        return describe(pages(runner.cpu, runner.memory.read))

    return "\n".join(runner.call(look))


def tlb(monitor: Monitor, arguments: list[str]) -> str:
    return ask(monitor, lambda found: [tlb_line(page) for page in found])


def tlb_line(page: Page) -> str:
    entry = page.entry if page.is_large else page.entry & ~LARGE  # there it is the PAT bit
    shown = "".join(letter if entry & bit else "-" for letter, bit in FLAGS)
    return f"{canonical(page.virtual):016x}: {entry & ADDRESS & -page.size:016x} {shown}"


def mappings(monitor: Monitor, arguments: list[str]) -> str:
    return ask(monitor, ranges)


def ranges(found: Iterator[Page]) -> list[str]:
    """Neighbours with the same protection in one line."""
    joined: list[list[int]] = []  # start, end, protection
    for page in found:
        if joined and joined[-1][1:] == [page.virtual, page.protection]:
            joined[-1][1] += page.size
        else:
            joined.append([page.virtual, page.virtual + page.size, page.protection])
    return [f"{canonical(start):016x}-{canonical(end):016x} {end - start:016x} "
            f"{'u' if protection & USER else '-'}r{'w' if protection & WRITABLE else '-'}"
            for start, end, protection in joined]


def physical_address(monitor: Monitor, arguments: list[str]) -> str:
    address = memory.number(monitor, " ".join(arguments))
    physical = monitor.runner.call(lambda: monitor.runner.cpu.translate(address))
    if physical < 0:
        raise CommandError("Unmapped")
    return f"gpa: {physical:#x}"


INFO = (
    Command("mem", "", "show the active virtual memory mappings", mappings),
    Command("tlb", "", "show virtual to physical memory mappings", tlb),
)
COMMANDS = (
    Command("gva2gpa", "addr",
            "print the guest physical address corresponding to a guest virtual address",
            physical_address, required=1, optional=memory.ANY, kinds="n"),
)
