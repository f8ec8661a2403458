"""ELF executables as a boot loader sees them: segments with physical addresses, entry, notes.

Source: System V ABI, generic part, chapters 4 and 5.
"""
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\x7fELF"
CLASS, DATA, CLASS_32, CLASS_64, LITTLE_ENDIAN = 4, 5, 1, 2, 1  # e_ident: offsets, values
MACHINE, MACHINE_I386, MACHINE_X86_64 = 18, 3, 62  # e_machine: offset, values
PT_LOAD, PT_NOTE, EXECUTABLE = 1, 4, 1

# From e_entry on, of which e_entry, e_phoff, e_phentsize and e_phnum are wanted
HEADERS = {CLASS_32: struct.Struct("<24xII10xHH"), CLASS_64: struct.Struct("<24xQQ14xHH")}
# p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, in the order of the 64-bit form
SEGMENTS = {CLASS_32: struct.Struct("<IIIIIII"), CLASS_64: struct.Struct("<IIQQQQQ")}
NOTE = struct.Struct("<III")  # sizes of name and description, type


@dataclass
class Segment:
    """A part of the file that is loaded, and where to. `data` is filled up by zeros to `size`."""

    virtual: int
    physical: int
    data: memoryview
    size: int
    executable: bool


class Elf:
    """Raises ValueError for a file that is cut short or makes no sense."""

    def __init__(self, image: bytes):
        form = image[CLASS] if len(image) > DATA else 0
        if not image.startswith(MAGIC) or form not in HEADERS or image[DATA] != LITTLE_ENDIAN:
            raise ValueError("not an ELF file for a PC")
        self.image = memoryview(image)
        self.segments: list[Segment] = []
        self._notes: list[bytes] = []
        try:
            self.machine = int.from_bytes(image[MACHINE:MACHINE + 2], "little")
            self._entry, table, entry_size, count = HEADERS[form].unpack_from(image)
            for number in range(count):
                self._read_segment(form, table + number * entry_size)
        except struct.error:
            raise ValueError("the ELF file is cut short") from None

    @property
    def low(self) -> int:
        """The lowest physical address of the segments, of which there is at least one."""
        return min(segment.physical for segment in self.segments)

    @property
    def high(self) -> int:
        """The first physical address beyond them."""
        return max(segment.physical + segment.size for segment in self.segments)

    @property
    def entry(self) -> int:
        """The physical address of the entry, which the file tells as a virtual one."""
        for segment in self.segments:
            if segment.executable and 0 <= self._entry - segment.virtual < len(segment.data):
                return self._entry - segment.virtual + segment.physical
        return self._entry

    def notes(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Name, type and description of each note."""
        for data in self._notes:
            at = 0
            while at + NOTE.size <= len(data):
                name_size, size, kind = NOTE.unpack_from(data, at)
                start = at + NOTE.size + _aligned(name_size)
                yield (data[at + NOTE.size:at + NOTE.size + name_size].rstrip(b"\0"), kind,
                       data[start:start + size])
                at = start + _aligned(size)

    def _read_segment(self, form: int, at: int) -> None:
        fields = SEGMENTS[form].unpack_from(self.image, at)
        if form == CLASS_32:  # the flags are the last but one there
            kind, offset, virtual, physical, file_size, size, flags = fields
        else:
            kind, flags, offset, virtual, physical, file_size, size = fields
        data = self.image[offset:offset + file_size]  # no copy: segments may overlap
        if kind == PT_LOAD and size:
            if len(data) < file_size or file_size > size:
                raise ValueError("the ELF file is cut short")
            self.segments.append(
                Segment(virtual, physical, data, size, bool(flags & EXECUTABLE)))
        elif kind == PT_NOTE:
            self._notes.append(bytes(data))


def _aligned(size: int) -> int:
    return -(-size // 4) * 4
