"""Page tables that lead in circles end: `info mem` and `info tlb` look at so many entries only."""
import struct
from types import SimpleNamespace

import pytest
from pyemu.monitor.paging import MOST, Page, canonical, pages, ranges, tlb_line

PAE, LMA = 1 << 5, 1 << 10
LONG = SimpleNamespace(cr3=0x1000, cr4=PAE, efer=LMA)


def memory(*tables):
    """read() of tables of 512 entries, from 0x1000 on; nothing is mapped beyond."""
    data = bytes(0x1000) + b"".join(struct.pack("<512Q", *table) for table in tables)
    return lambda address, length: data[address:address + length].ljust(length, b"\xff")


def test_one_page_of_each_size():
    read = memory([0x2003] + [0] * 510 + [0x2003], [0x3003, 0x40000083] + [0] * 510,
                  [0x4003, 0x200087] + [0] * 510, [0x8000_0000_0000_5161] + [0] * 511)
    low = [Page(0, 0x1000, 0x8000_0000_0000_5161, 1, False),
           Page(0x200000, 0x200000, 0x200087, 3, True),
           Page(0x40000000, 0x40000000, 0x40000083, 3, True)]
    high = [page._replace(virtual=page.virtual + (511 << 39)) for page in low]
    assert list(pages(LONG, read)) == low + high
    assert tlb_line(high[0]) == "ffffff8000000000: 0000000000005000 XG-DA----"
    assert tlb_line(high[1]) == "ffffff8000200000: 0000000000200000 --P----UW"
    assert ranges(iter(low)) == ["0000000000000000-0000000000001000 0000000000001000 -r-",
                                 "0000000000200000-0000000000400000 0000000000200000 -rw",
                                 "0000000040000000-0000000080000000 0000000040000000 -rw"]
    assert canonical(1 << 47) == 0xffff8000_00000000


@pytest.mark.parametrize("tables", [
    [[0x1003] * 512],  # one that is all of its own levels
    [[0x2003] * 512, [0x3003] * 512, [0x4003] * 512, [0] * 512],  # and many that are empty
])
def test_no_end_of_tables_ends(tables):
    assert len(list(pages(LONG, memory(*tables)))) <= MOST


def test_tables_beyond_all_memory():
    lost = SimpleNamespace(cr3=0xF_FFFF_FFFF_F000, cr4=PAE, efer=LMA)
    assert len(list(pages(lost, memory()))) <= MOST
