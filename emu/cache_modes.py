"""Cache modes of an image, with QEMU's names."""
from typing import NamedTuple


class Cache(NamedTuple):
    """writeback: what is written may wait for a flush.
    direct: it goes around the host's page cache.
    no_flush: a flush is left to the host's system.
    """

    writeback: bool
    direct: bool
    no_flush: bool


CACHES = {
    "writeback": Cache(True, False, False),
    "none": Cache(True, True, False),
    "unsafe": Cache(True, False, True),
    "writethrough": Cache(False, False, False),
    "directsync": Cache(False, True, False),
}
