"""What CPUID tells of a CPU, and by that what its translator knows: a model with changes.

Source: Intel SDM volume 2, CPUID; volume 1, chapter 13, of the states that XSAVE manages.
"""
import struct
from collections.abc import Iterable

from pyemu.cpu_features import PLACES, SUPPORTED, CpuChanges
from pyemu.engine._native import Vcpu

FEATURE_WORDS = 34
# level and extended level, vendor, version, features, name: as layout.h has them
LAYOUT = struct.Struct(f"<II4x12sI{FEATURE_WORDS}Q{8 * FEATURE_WORDS}x48s")

MAX = "max"
MAX_CHANGES = CpuChanges(
    on=SUPPORTED, numbers={"family": 15, "model": 107, "stepping": 1},
    model_id="QEMU TCG CPU version 2.5+")

# The least level at which a word can be asked for
LEAF = {2: 7, 3: 7, 4: 7, 19: 13, 20: 6}
EXTENDED_LEAF = {6: 0x80000001, 7: 0x80000001, 8: 0x80000007, 9: 0x80000008}

COMPONENTS, COMPONENTS_LEAF = 21, 13  # the word for what XSAVE manages
X87_AND_SSE, BOUNDS = 0x3, 0x18


def change(cpu: Vcpu, changes: CpuChanges) -> None:
    """Before the CPU runs for the first time."""
    level, extended, vendor, version, *words, name = LAYOUT.unpack(cpu.get_identity())
    for word, mask in _masks(changes.on):
        words[word] |= mask
        if words[word]:
            level = max(level, LEAF.get(word, 0))
            extended = max(extended, EXTENDED_LEAF.get(word, 0))
    for word, mask in _masks(changes.off):
        words[word] &= ~mask
    words[COMPONENTS] = _components(words)
    if "xsave" in changes.on:
        level = max(level, COMPONENTS_LEAF)
    if changes.vendor is not None:
        vendor = changes.vendor.encode("latin-1")
    if changes.model_id is not None:
        name = changes.model_id.encode("latin-1")
    version = _version(version, changes.numbers)
    level = changes.numbers.get("level", level)
    extended = changes.numbers.get("xlevel", extended)
    cpu.set_identity(LAYOUT.pack(level, extended, vendor, version, *words, name))


def _masks(names: Iterable[str]) -> Iterable[tuple[int, int]]:
    for word, bit in map(PLACES.__getitem__, names):
        yield word, 1 << bit


def _has(words: list[int], name: str) -> bool:
    word, bit = PLACES[name]
    return bool(words[word] >> bit & 1)


def _components(words: list[int]) -> int:
    if not _has(words, "xsave"):
        return 0
    return words[COMPONENTS] | X87_AND_SSE | (BOUNDS if _has(words, "mpx") else 0)


def _version(version: int, numbers: dict[str, int]) -> int:
    """EAX of leaf 1: a family above 15 and a model above 15 take two fields each."""
    if "family" in numbers:
        family = min(numbers["family"], 15)
        version = version & ~0x0ff00f00 | family << 8 | numbers["family"] - family << 20
    if "model" in numbers:
        version = version & ~0xf00f0 | (numbers["model"] & 15) << 4 | numbers["model"] >> 4 << 16
    if "stepping" in numbers:
        version = version & ~0xf | numbers["stepping"]
    return version
