"""The 512 bytes with which a disk or a CD-ROM drive introduces itself, and transfer modes.

Source: ATA/ATAPI-6 (T13 1410D), sections 8.15 (IDENTIFY DEVICE), 8.16 (IDENTIFY PACKET DEVICE) and
8.46 (SET FEATURES); what is claimed is what QEMU's devices claim, less what ours do not do.
"""
import struct
from collections.abc import Mapping
from typing import NamedTuple

LBA28_SECTORS = (1 << 28) - 1  # the most that words 60-61 can say
MOST_MULTIPLE = 16  # sectors for an interrupt

CDROM = 5  # the command set, word 0 bits 12-8

VALID = 1 << 14  # a word of feature bits is there

# Words with the supported DMA modes in the low byte, the selected one in the high byte.
SINGLE_WORD, MULTI_WORD, ULTRA = 62, 63, 88
DMA_MODES = {SINGLE_WORD: range(3), MULTI_WORD: range(3), ULTRA: range(6)}

# Kinds of mode in SET FEATURES, count register bits 7-3
PIO_DEFAULT, PIO_FLOW_CONTROL = 0, 1
PIO_DEFAULT_MODES, PIO_MODES = range(2), range(5)
DMA_KINDS = {2: SINGLE_WORD, 4: MULTI_WORD, 8: ULTRA}

DmaMode = tuple[int, int]  # SINGLE_WORD, MULTI_WORD or ULTRA, and a number

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


def transfer_mode(value: int) -> DmaMode | None:
    """What a count register of SET FEATURES chooses; None is PIO. Raises ValueError."""
    kind, mode = value >> 3, value & 7
    word = DMA_KINDS.get(kind)
    if word is not None and mode in DMA_MODES[word]:
        return word, mode
    if ((kind == PIO_DEFAULT and mode in PIO_DEFAULT_MODES)
            or (kind == PIO_FLOW_CONTROL and mode in PIO_MODES)):
        return None
    raise ValueError(f"there is no transfer mode {value:#04x}")


def identify(total: int, serial: str, firmware: str, model: str, default: Geometry,
             current: Geometry, multiple: int, dma_mode: DmaMode | None,
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
    return _block(words, serial, firmware, model, dma_mode)


def identify_packet(serial: str, firmware: str, model: str, dma_mode: DmaMode | None) -> bytes:
    """The block of a CD-ROM drive that takes packets of 12 bytes."""
    return _block({
        0: 0b10 << 14 | CDROM << 8 | 1 << 7 | 0b10 << 5,  # removable; DRQ within 50 us
        48: 1,  # 32-bit data port
        49: 1 << 9 | 1 << 8,  # LBA, DMA
        53: 1 << 2 | 1 << 1 | 1 << 0,  # words 88, 64-70 and 54-58 are valid
        64: 1 << 1 | 1 << 0,  # PIO modes 4 and 3
        65: 180, 66: 180, 67: 300, 68: 180,  # ns in a cycle
        71: 30, 72: 30,  # ns from PACKET and SERVICE to the release of the bus
        80: 0b1111 << 1,  # ATA-1 to ATA/ATAPI-4
    }, serial, firmware, model, dma_mode)


def _block(words: Mapping[int, int], serial: str, firmware: str, model: str,
           dma_mode: DmaMode | None) -> bytes:
    block = bytearray(struct.pack("<256H", *(words.get(i, 0) for i in range(256))))
    for word, modes in DMA_MODES.items():
        chosen = 1 << dma_mode[1] if dma_mode and dma_mode[0] == word else 0
        block[2 * word:2 * word + 2] = sum(1 << mode for mode in modes), chosen
    block[20:40] = text(serial, 20)
    block[46:54] = text(firmware, 8)
    block[54:94] = text(model, 40)
    return bytes(block)
