"""hot: the most executed blocks, with guest symbols and code.

Counts exec_tb, or translations if that was not traced. Addresses are those of the guest: boot Linux
with `nokaslr` to have them agree with System.map.
"""
import argparse
from collections import Counter
from collections.abc import Iterator

from pyemu.trace.elf import Elf
from pyemu.trace.reader import TraceReader
from pyemu.trace.symbols import Symbols
from pyemu.trace.tools.common import columns, opened, table

SOURCES = (("exec_tb", "pc"), ("translate_block", "pc"), ("tcg_gen_code", "pc"))
LONGEST_BLOCK = 64  # bytes of code shown at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="blocks (default 20)")
    parser.add_argument("--symbols", metavar="FILE", help="System.map, or an ELF file")
    parser.add_argument("--code", metavar="ELF", help="disassemble the blocks from this file")


def count(reader: TraceReader) -> tuple[Counter[int], str]:
    """How often each address is in the trace, and the event that says so."""
    import numpy as np
    counts = {name: Counter[int]() for name, _ in SOURCES}
    events = {event.name: event for event in reader.events}
    for part in columns(reader):
        for name, argument in SOURCES:
            rows = part.of(name)
            if len(rows):
                unique, times = np.unique(part.argument(events[name], argument, rows),
                                          return_counts=True)
                counts[name].update(dict(zip(unique.tolist(), times.tolist(), strict=True)))
    for name, _ in SOURCES:
        if counts[name]:
            return counts[name], name
    raise ValueError(f"{reader.path}: none of " + ", ".join(name for name, _ in SOURCES)
                     + " is in this trace")


def disassemble(elf: Elf, address: int) -> Iterator[str]:
    """One block's instructions, to the first that leaves it."""
    import capstone
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    leaving = (capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_RET,
               capstone.CS_GRP_INT, capstone.CS_GRP_IRET)
    for instruction in decoder.disasm(elf.code(address, LONGEST_BLOCK), address):
        yield f"    {instruction.address:#x}  {instruction.mnemonic} {instruction.op_str}".rstrip()
        if any(instruction.group(group) for group in leaving):
            return


def run(options: argparse.Namespace) -> list[str]:
    symbols = Symbols.load(options.symbols) if options.symbols else None
    elf = None
    if options.code:
        with open(options.code, "rb") as file:
            elf = Elf(file.read(), options.code)
    with opened(options.trace, options.events) as reader:
        counts, source = count(reader)
        total = sum(counts.values())
        print(f"{total} times {source}, {len(counts)} addresses")
        rows = [[f"{address:#x}", times, f"{100 * times / total:.1f} %",
                 symbols.name(address) if symbols else ""]
                for address, times in counts.most_common(options.top)]
        lines = table(["address", "times", "share", "symbol" if symbols else ""], rows).split("\n")
        print(lines[0])
        for line, (address, _) in zip(lines[1:], counts.most_common(options.top), strict=True):
            print(line)
            if elf is not None:
                for instruction in disassemble(elf, address):
                    print(instruction)
        return reader.problems
