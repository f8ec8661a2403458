"""`compare`: do two images hold the same disk?"""
from itertools import pairwise

from pyemu.config import UserError
from pyemu.img.arguments import Arguments, open_one, say
from pyemu.img.progress import Progress
from pyemu.machine.block.base import BlockDevice
from pyemu.machine.block.pieces import pieces

SAME, DIFFERENT, FAILED = 0, 1, 2  # exit statuses
PIECE = 2 << 20  # bytes that are compared at once


def compare(words: list[str]) -> int:
    arguments = Arguments(words, "f:F:T:pqsU")
    first_path, second_path = arguments.exactly(2, "Expecting two image file names")
    strict, share = "s" in arguments, "U" in arguments
    cache = arguments.cache("T")
    first, _ = open_one(first_path, arguments.format("f"), share=share, cache=cache)
    try:
        second, _ = open_one(second_path, arguments.format("F"), share=True, cache=cache)
    except UserError:
        first.close()
        raise
    progress = Progress("p" in arguments, "q" in arguments)
    try:
        if strict and first.size != second.size:
            say(arguments, "Strict mode: Image size mismatch!")
            return DIFFERENT
        common = min(first.size, second.size)
        text = _difference(first, second, 0, common, strict, progress)
        if not text and first.size != second.size:
            say(arguments, "Warning: Image size mismatch!")
            end = max(first.size, second.size)
            text = _difference(first, second, common, end, strict, progress)
    finally:
        first.close()
        second.close()
    progress.end()
    say(arguments, text or "Images are identical.")
    return DIFFERENT if text else SAME


def _difference(first: BlockDevice, second: BlockDevice, begin: int, stop: int, strict: bool,
                progress: Progress) -> str:
    """What is told of the first difference from `begin` to `stop`; "" if there is none."""
    steps = {begin, stop}
    kinds = []
    for node in first, second:
        found = {}
        for piece in pieces(node, begin, min(stop, node.size)):
            found[piece.start] = piece
            end = piece.start + piece.length
            steps |= {piece.start} if piece.zero else set(range(piece.start, end, PIECE))
        kinds.append(found)
    ordered = sorted(steps)
    present, zero = [False, False], [True, True]
    for offset, end in pairwise(ordered):
        for number, found in enumerate(kinds):
            if offset in found:
                present[number], zero[number] = found[offset].present, found[offset].zero
        if strict and present[0] != present[1]:
            return f"Strict mode: Offset {offset} allocation mismatch!"
        if not all(zero):
            length = end - offset
            contents = [_read(node, offset, length) for node in (first, second)]
            if contents[0] != contents[1]:
                at = next(i for i, (a, b) in enumerate(zip(*contents, strict=True)) if a != b)
                return f"Content mismatch at offset {(offset + at) // 512 * 512}!"
        progress.update(end / stop)
    return ""


def _read(node: BlockDevice, offset: int, length: int) -> bytes:
    there = max(0, min(length, node.size - offset))
    return (node.read(offset, there) if there else b"").ljust(length, b"\0")
