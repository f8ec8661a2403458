"""The most executed blocks of guest code: top=20, symbols=System.map, file=OUT."""
import sys

from pyemu.trace.symbols import Symbols
from pyemu.trace.tools.common import table


def install(plugin, top="20", symbols=None, file=None):
    names = Symbols.load(symbols) if symbols else Symbols([])
    most = int(top)
    if most < 0:
        raise ValueError(f"top={top} is no number of blocks")
    out = open(file, "w") if file else sys.stdout  # noqa: SIM115 - until the process ends
    counts = plugin.count_blocks()

    def report():
        blocks = counts()
        total = sum(times for _, _, times in blocks)
        blocks.sort(key=lambda block: block[2], reverse=True)
        print(f"{total} executions of {len(blocks)} blocks", file=out)
        print(table(("address", "bytes", "times", "share", "symbol"),
                    [(f"{address:#x}", size, times, f"{100 * times / total:.1f} %",
                      names.name(address)) for address, size, times in blocks[:most]]),
              file=out, flush=True)

    plugin.at_exit(report)
