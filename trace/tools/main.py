"""pyemu-trace COMMAND TRACE: statistics, latencies, differences, exports of trace files."""
import argparse
import sys
from collections.abc import Sequence

from pyemu.trace.simpletrace import told
from pyemu.trace.tools import ctf, diff, hot, latency, parquet, perfetto, stats

COMMANDS = (stats, latency, hot, diff, perfetto, ctf, parquet)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pyemu-trace", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        summary = (module.__doc__ or "").partition(": ")[2].split("\n\n")[0].replace("\n", " ")
        name = module.__name__.rpartition(".")[2]
        command = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(command)
        command.add_argument("--events", metavar="FILE", action="append",
                             help="trace-events file; this emulator's own events need none")
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return told(lambda: options.run(options), options.trace)


if __name__ == "__main__":
    sys.exit(main())
