"""As much of ELF as `hot` needs: symbols and code of a 64-bit little-endian file.

Source: System V ABI, generic part, chapters 4 and 5.
"""
import struct
from collections.abc import Iterator

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")  # name type flags address offset size link info align entry
SYMBOL = struct.Struct("<IBBHQQ")  # name info other section value size
SYMBOL_TABLE, PROGRAM_BITS = 2, 1
CLASS_64, LITTLE_ENDIAN = 2, 1
FUNCTION, NO_TYPE = 2, 0
EXECUTABLE = 4  # section flag


class Elf:
    """Raises ValueError for what is no such file."""

    MAGIC = b"\x7fELF"

    def __init__(self, data: bytes, path: str):
        self.data = data
        try:
            ident, *_ = fields = HEADER.unpack_from(data)
            if ident[:4] != self.MAGIC or ident[4] != CLASS_64 or ident[5] != LITTLE_ENDIAN:
                raise ValueError(f"{path}: not a 64-bit little-endian ELF file")
            offset, size, count = fields[6], fields[11], fields[12]
            self.sections = [SECTION.unpack_from(data, offset + size * n) for n in range(count)]
        except struct.error:
            raise ValueError(f"{path}: the ELF file is cut off") from None

    def symbols(self) -> Iterator[tuple[int, str]]:
        """(address, name) of functions and labels."""
        for _, kind, _, _, offset, size, link, _, _, _ in self.sections:
            if kind != SYMBOL_TABLE or link >= len(self.sections):
                continue
            names = self.sections[link][4]
            table = self.data[offset:offset + size]
            for name, info, _, section, value, _ in SYMBOL.iter_unpack(
                    table[:len(table) // SYMBOL.size * SYMBOL.size]):
                if section and info & 15 in (FUNCTION, NO_TYPE) and name:
                    end = self.data.find(b"\0", names + name)
                    yield value, self.data[names + name:end].decode("utf-8", "replace")

    def code(self, address: int, length: int) -> bytes:
        """Up to `length` bytes of the executable section that the address is in, or b""."""
        for _, kind, flags, start, offset, size, *_ in self.sections:
            if kind == PROGRAM_BITS and flags & EXECUTABLE and start <= address < start + size:
                at = offset + address - start
                return self.data[at:min(at + length, offset + size)]
        return b""
