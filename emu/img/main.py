"""The commands of `pyemu-img`."""
import os
import sys
from collections.abc import Callable

from pyemu import __version__
from pyemu.config import UserError
from pyemu.img.arguments import PROGRAM
from pyemu.img.check import check
from pyemu.img.compare import FAILED, compare
from pyemu.img.convert import convert
from pyemu.img.create import create, resize
from pyemu.img.info import info, show_map
from pyemu.img.snapshot import commit, snapshot

COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "check": (check, "[-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-U] filename"),
    "commit": (commit, "[-q] [-f fmt] [-t cache] [-b base] [-d] [-p] filename"),
    "compare": (compare, "[-f fmt] [-F fmt] [-p] [-q] [-s] [-U] filename1 filename2"),
    "convert": (convert, "[-U] [-c] [-p] [-q] [-n] [-f fmt] [-t cache] [-O output_fmt] "
                "[-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] "
                "[-S sparse_size] [-m num_threads] [-W] [--salvage] [--target-is-zero] filename "
                "output_filename"),
    "create": (create, "[-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] "
               "filename [size]"),
    "info": (info, "[-f fmt] [--output=ofmt] [--backing-chain] [-U] filename"),
    "map": (show_map, "[-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] "
            "filename"),
    "resize": (resize, "[-f fmt] [-q] [--shrink] filename [+ | -]size"),
    "snapshot": (snapshot, "[-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename"),
}
NOT_SUPPORTED = ("amend", "bench", "bitmap", "dd", "measure", "rebase")
HINT = f"Try '{PROGRAM} --help' for more information"
INTERRUPTED = 130  # exit status


def main() -> int:
    words = sys.argv[1:]
    failed = FAILED if words[:1] == ["compare"] else 1
    try:
        return _run(words)
    except UserError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return failed
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed
    except OSError as error:
        print(f"{PROGRAM}: {error.strerror or error}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(words: list[str]) -> int:
    if not words:
        raise UserError(f"Not enough arguments\n{HINT}")
    name, *rest = words
    if name in ("-h", "--help", "help") or rest[:1] in (["-h"], ["--help"]):
        print(help_text())
        return 0
    if name in ("-V", "--version"):
        print(f"{PROGRAM} version {__version__}")
        return 0
    if name in NOT_SUPPORTED:
        raise UserError(f"{name}: this command of qemu-img is not supported")
    if name not in COMMANDS:
        raise UserError(f"Command not found: {name}\n{HINT}")
    run, _ = COMMANDS[name]
    return run(rest)


def help_text() -> str:
    lines = [f"usage: {PROGRAM} command [command options]", "disk images, raw and qcow2", ""]
    lines += [f"  {name} {usage}" for name, (_, usage) in COMMANDS.items()]
    return "\n".join([*lines, "", "-p shows how far the work is, -q prints errors only, -U opens "
                      "an image that another process uses.", "Sizes may have a suffix k, M, G, T, "
                      "P or E. `create -o help -f qcow2` lists the options of a format."])


if __name__ == "__main__":
    sys.exit(main())
