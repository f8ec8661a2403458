"""The 512 bytes with which an ATA disk introduces itself to IDENTIFY DEVICE.

Source: ATA/ATAPI-6 (T13 1410D), section 8.15; what is claimed is what QEMU's disks claim, less
what ours do not do.
"""
import struct
from collections.abc import Mapping
from typing import NamedTuple

LBA28_SECTORS = (1 << 28) - 1  # the most that words 60-61 can say
MOST_MULTIPLE = 16  # sectors for an interrupt

VALID = 1 << 14  # a word of feature bits is there

# Words with the supported DMA modes in the low byte, the selected one in the high byte.
SINGLE_WORD, MULTI_WORD, ULTRA = 62, 63, 88
DMA_MODES = {SINGLE_WORD: range(3), MULTI_WORD: range(3), ULTRA: range(6)}

NOP_FEATURE = 1 << 14  # word 82
WRITE_CACHE = 1 << 5
POWER_MANAGEMENT = 1 << 3
FLUSH_EXT = 1 << 13  # word 83
FLUSH = 1 << 12
LBA48 = 1 << 10


class Geometry(NamedTuple):
    cylinders: int
    heads: int
    sectors: int  # in a track

    @property
    def total(self) -> int:
        return self.cylinders * self.heads * self.sectors


def default_geometry(sectors: int) -> Geometry:
    """What a disk of so many sectors tells those who ask for cylinders."""
    return Geometry(min(max(sectors // (16 * 63), 2), 16383), 16, 63)


def text(value: str, length: int) -> bytes:
    """ASCII in words, padded with blanks, the first letter of each word in its high byte."""
    padded = value.encode("ascii", "replace")[:length].ljust(length)
    return b"".join(padded[i + 1:i - 1 if i else None:-1] for i in range(0, length, 2))


def identify(total: int, serial: str, firmware: str, model: str, default: Geometry,
             current: Geometry, multiple: int, dma_mode: tuple[int, int] | None,
             write_cache: bool) -> bytes:
    """The block, for a disk of `total` sectors.

    default, current: translation after power-on and as the host has set it.
    dma_mode: the selected one, (SINGLE_WORD, MULTI_WORD or ULTRA, number); None if it is PIO.
    """
    features = NOP_FEATURE | WRITE_CACHE | POWER_MANAGEMENT
    extended = FLUSH_EXT | FLUSH | LBA48
    words: Mapping[int, int] = {
        0: 1 << 6,  # a fixed disk
        1: default.cylinders,
        3: default.heads,
        6: default.sectors,
        20: 3, 21: 512, 22: 4,  # buffer type, its sectors, bytes of ECC: long obsolete
        47: 1 << 15 | MOST_MULTIPLE,
        48: 1,  # 32-bit data port
        49: 1 << 11 | 1 << 9 | 1 << 8,  # IORDY, LBA, DMA
        51: 2 << 8, 52: 2 << 8,  # PIO and DMA timing, for hosts older than words 64-68
        53: 1 << 2 | 1 << 1 | 1 << 0,  # words 88, 64-70 and 54-58 are valid
        54: current.cylinders,
        55: current.heads,
        56: current.sectors,
        57: current.total & 0xFFFF, 58: current.total >> 16,
        59: 1 << 8 | multiple if multiple else 0,
        60: min(total, LBA28_SECTORS) & 0xFFFF, 61: min(total, LBA28_SECTORS) >> 16,
        64: 1 << 1 | 1 << 0,  # PIO modes 4 and 3
        65: 120, 66: 120, 67: 120, 68: 120,  # ns in a cycle
        80: 0b1111 << 4,  # ATA/ATAPI-4 to 7
        81: 0x16,
        82: features, 83: VALID | extended, 84: VALID,
        85: features if write_cache else features & ~WRITE_CACHE, 86: extended, 87: VALID,
        93: VALID | 1 << 13 | 1 << 0,  # an 80-wire cable; device 0 has passed its test
        100: total & 0xFFFF, 101: total >> 16 & 0xFFFF, 102: total >> 32 & 0xFFFF,
        106: VALID | 1 << 13,  # one logical sector in a physical one
    }
    block = bytearray(struct.pack("<256H", *(words.get(i, 0) for i in range(256))))
    for word, modes in DMA_MODES.items():
        chosen = 1 << dma_mode[1] if dma_mode and dma_mode[0] == word else 0
        block[2 * word:2 * word + 2] = sum(1 << mode for mode in modes), chosen
    block[20:40] = text(serial, 20)
    block[46:54] = text(firmware, 8)
    block[54:94] = text(model, 40)
    return bytes(block)
