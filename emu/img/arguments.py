"""What the commands share: options, sizes, opening images, what is told to the user."""
import getopt
import os
import sys
from collections.abc import Callable

from pyemu.cache_modes import CACHES, Cache
from pyemu.config import UserError
from pyemu.machine.block.base import SECTOR, BlockDevice, BlockError
from pyemu.machine.block.open import open_node, set_no_flush
from pyemu.options.keyvalue import SUFFIXES

PROGRAM = "pyemu-img"


class Arguments:
    """A command's options by their letter or word, and its other words.

    short and long are as `getopt.getopt` takes them. Raises UserError.
    """

    def __init__(self, words: list[str], short: str, long: tuple[str, ...] = ()):
        try:
            pairs, self.words = getopt.gnu_getopt(words, short, list(long))
        except getopt.GetoptError as error:
            raise UserError(f"{error.msg}\nTry '{PROGRAM} --help' for more information") from None
        self.pairs = [(name.lstrip("-"), value) for name, value in pairs]
        self.values = dict(self.pairs)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: str | None = None) -> str | None:
        return self.values.get(name, default)

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.pairs if other == name]

    def exactly(self, count: int, complaint: str) -> list[str]:
        """The words, of which there must be so many."""
        if len(self.words) != count:
            raise UserError(f"{complaint}\nTry '{PROGRAM} --help' for more information")
        return self.words

    def json(self) -> bool:
        """Whether --output is json. Raises UserError if it is neither that nor human."""
        output = self.values.get("output", "human")
        if output not in ("human", "json"):
            raise UserError("--output must be used with human or json as argument.")
        return output == "json"

    def format(self, name: str = "f") -> str | None:
        """The image format that was named; `open_one` complains of an unknown one."""
        return self.values.get(name)

    def cache(self, name: str = "t", default: str = "writeback") -> Cache:
        """The cache mode that was named. Raises UserError."""
        mode = self.values.get(name, default)
        if mode not in CACHES:
            raise UserError(f"Invalid cache option: {mode}")
        return CACHES[mode]


def size_of(text: str, complaint: str = "Invalid image size specified") -> int:
    """A size in bytes: a number and perhaps a suffix b, k, M, G, T, P or E. Raises UserError."""
    digits, suffix = text, "B"
    if text and text[-1].upper() in SUFFIXES and not text.lower().startswith("0x"):
        digits, suffix = text[:-1], text[-1].upper()
    try:
        value = float(digits) if "." in digits else int(digits, 0)
        result = int(value * (1 << SUFFIXES[suffix]))
    except (ValueError, OverflowError):
        raise UserError(f"{complaint}. You may use k, M, G, T, P or E suffixes for kilobytes, "
                        "megabytes, gigabytes, terabytes, petabytes and exabytes.") from None
    if not 0 <= result < 1 << 63:
        raise UserError("Image size must be less than 8 EiB!")
    return result


def round_up(size: int) -> int:
    """To whole sectors."""
    return -(-size // SECTOR) * SECTOR


def human_size(value: int) -> str:
    """Three digits and a unit: 388 KiB."""
    unit = 0
    while value >> 10 * unit >= 1000 and unit < 6:
        unit += 1
    return f"{value / (1 << 10 * unit):.3g} {['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'][unit]}B"


def open_one(path: str, format: str | None = None, writable: bool = False, share: bool = False,
             mend: bool = True, cache: Cache = CACHES["writeback"]) -> tuple[BlockDevice, str]:
    """An image and its format. share: do not care who else uses it. Raises UserError."""
    report: Callable[[str], None] = warn if writable else lambda text: None
    try:
        node, format = open_node(path, format, not writable, report, lock=not share, mend=mend,
                                 direct=cache.direct)
    except BlockError as error:
        raise UserError(f"Could not open '{path}': {error}") from None
    set_no_flush(node, cache.no_flush)
    node.write_cache = cache.writeback
    return node, format


def file_size(path: str) -> int:
    """Bytes that a file takes on the host's disk."""
    return os.stat(path).st_blocks * SECTOR


def warn(text: str) -> None:
    print(text if text.startswith("WARNING") else f"{PROGRAM}: {text}", file=sys.stderr)


def say(arguments: Arguments, text: str) -> None:
    """Print, unless -q."""
    if "q" not in arguments:
        print(text)
