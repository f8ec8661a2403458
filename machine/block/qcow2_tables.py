"""Tables of a qcow2 image: big-endian numbers in the file, arrays of the host's here."""
import sys
from array import array
from collections.abc import Callable, Iterable

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.lru import Lru
from pyemu.machine.block.raw import RawFile

ENTRY = 8  # bytes of an entry of L1, L2 and refcount tables

Table = array  # of unsigned integers


def load_entries(file: RawFile, place: int, count: int) -> "Table[int]":
    """`count` entries at `place`; zeros where the file has ended."""
    return big_endian(array("Q", file.read(place, ENTRY * count)))


def store_entries(file: RawFile, place: int, entries: "Table[int]") -> None:
    file.write(place, big_endian(entries[:]).tobytes())


def big_endian(entries: "Table[int]") -> "Table[int]":
    """`entries`, swapped in place from or to the order of the file."""
    if sys.byteorder == "little":
        entries.byteswap()
    return entries


def corrupt(what: str) -> BlockError:
    return BlockError(f"qcow2: Image is corrupt: {what}")


class TableCache:
    """Tables by their place in the file. The changed ones stay here until `write`.

    load(place) reads one, store(place, table) writes one.
    """

    def __init__(self, limit: int, load: Callable[[int], "Table[int]"],
                 store: Callable[[int, "Table[int]"], None]):
        """limit: how many unchanged tables to keep."""
        self.unchanged: Lru[Table[int]] = Lru(limit, load)
        self.changed: dict[int, Table[int]] = {}
        self.store = store

    def get(self, place: int) -> "Table[int]":
        """The table, for reading."""
        table = self.changed.get(place)
        return self.unchanged.get(place) if table is None else table

    def change(self, place: int) -> "Table[int]":
        """The table, for changing it: `write` will store it."""
        table = self.changed.get(place)
        if table is None:
            table = self.changed[place] = self.unchanged.take(place)
        return table

    def add(self, place: int, table: "Table[int]") -> None:
        """A new table, which the file has room for."""
        self.unchanged.forget(place)
        self.changed[place] = table

    def write(self) -> None:
        """Store the changed tables. What could not be stored stays changed."""
        for place in sorted(self.changed):
            self.store(place, self.changed[place])
            self.unchanged.put(place, self.changed.pop(place))

    def forget(self, places: Iterable[int] | None = None) -> None:
        """Drop these tables, or all; changes to them are lost."""
        if places is None:
            self.unchanged.values.clear()
            self.changed.clear()
            return
        for place in places:
            self.unchanged.forget(place)
            self.changed.pop(place, None)
