"""Names of guest addresses, from Linux's System.map or the symbol table of an ELF file."""
from bisect import bisect_right

from pyemu.trace.elf import Elf

CODE = "tTwWi"  # types of symbols, nm(1); others only end the code before them


class Symbols:
    """What `load` has read."""

    def __init__(self, found: list[tuple[int, str]]):
        found.sort()
        self.addresses = [address for address, _ in found]
        self.names = [name for _, name in found]

    @classmethod
    def load(cls, path: str) -> "Symbols":
        """From an ELF file, or lines of `ADDRESS TYPE NAME`. Raises ValueError, OSError."""
        with open(path, "rb") as file:
            data = file.read()
        if data.startswith(Elf.MAGIC):
            return cls(list(Elf(data, path).symbols()))
        found = []
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            words = line.split()
            try:
                found.append((int(words[0], 16), words[2] if words[1] in CODE else ""))
            except (IndexError, ValueError):
                raise ValueError(f"{path}:{number}: expected ADDRESS TYPE NAME") from None
        return cls(found)

    def name(self, address: int) -> str:
        """`symbol+0x12`, or "" if there is no code."""
        at = bisect_right(self.addresses, address) - 1
        if at < 0 or not self.names[at]:
            return ""
        offset = address - self.addresses[at]
        return f"{self.names[at]}+{offset:#x}" if offset else self.names[at]
