"""Which guest code was executed, in drcov's format: file=coverage.drcov.

Lighthouse, Cartographer and the like read it. Offsets are of 32 bits, so each 4 GiB of addresses in
which there is code makes a module: "guest-ffffffff00000000" holds a 64-bit Linux kernel.
"""
import struct

SPAN = 1 << 32
BLOCK = struct.Struct("<IHH")  # offset in its module, bytes, number of the module


def install(plugin, file="coverage.drcov"):
    out = open(file, "wb")  # noqa: SIM115 - until the process ends
    counts = plugin.count_blocks()

    def write():
        blocks = sorted((address, size) for address, size, _ in counts())
        bases = sorted({address // SPAN * SPAN for address, _ in blocks})
        modules = {base: number for number, base in enumerate(bases)}
        head = ["DRCOV VERSION: 2", "DRCOV FLAVOR: drcov",
                f"Module Table: version 2, count {len(bases)}",
                "Columns: id, base, end, entry, checksum, timestamp, path"]
        head += [f"{number}, {base:#x}, {base + SPAN - 1:#x}, 0x0, 0x0, 0x0, guest-{base:016x}"
                 for base, number in modules.items()]
        head.append(f"BB Table: {len(blocks)} bbs\n")
        with out:
            out.write("\n".join(head).encode())
            for address, size in blocks:
                out.write(BLOCK.pack(address % SPAN, size, modules[address // SPAN * SPAN]))

    plugin.at_exit(write)
