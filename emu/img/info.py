"""`info` and `map`: what an image is, and where its data are."""
import json
import time
from typing import Any

from pyemu.config import UserError
from pyemu.img.arguments import Arguments, file_size, human_size, open_one, size_of
from pyemu.machine.block.base import BlockDevice
from pyemu.machine.block.open import backing_path
from pyemu.machine.block.pieces import Piece, pieces
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_header import CORRUPT, DIRTY, LAZY_REFCOUNTS, ZLIB
from pyemu.machine.block.qcow2_snapshots import NO_COUNT, Snapshot, read_snapshots


def info(words: list[str]) -> int:
    arguments = Arguments(words, "f:U", ("output=", "backing-chain"))
    path, = arguments.exactly(1, "Expecting one image file name")
    node, format = open_one(path, arguments.format(), share="U" in arguments)
    try:
        found = [describe(node, path, format)]
        while "backing-chain" in arguments and isinstance(node, Qcow2) and node.backing:
            path = found[-1]["full-backing-filename"]
            node = node.backing
            found.append(describe(node, path, "qcow2" if isinstance(node, Qcow2) else "raw"))
    finally:
        node.close()
    if arguments.json():
        print(json.dumps(found if "backing-chain" in arguments else found[0], indent=4))
    else:
        print("\n\n".join(map(human, found)))
    return 0


def describe(node: BlockDevice, path: str, format: str) -> dict[str, Any]:
    """What `info --output json` shows of one image."""
    result: dict[str, Any] = {
        "virtual-size": node.size, "filename": path, "format": format,
        "actual-size": file_size(path), "dirty-flag": False}
    if not isinstance(node, Qcow2):
        return result
    header = node.header
    result["cluster-size"] = header.cluster_size
    result["dirty-flag"] = bool(header.incompatible & DIRTY)
    if header.backing_file:
        result["backing-filename"] = header.backing_file
        result["full-backing-filename"] = backing_path(path, header.backing_file)
        if header.backing_format:
            result["backing-filename-format"] = header.backing_format
    snapshots, _ = read_snapshots(node.file, header)
    if snapshots:
        result["snapshots"] = [_snapshot(each) for each in snapshots]
    data: dict[str, Any] = {
        "compat": "1.1" if header.version >= 3 else "0.10",
        "compression-type": "zlib" if header.compression == ZLIB else "zstd"}
    if header.version >= 3:
        data["lazy-refcounts"] = bool(header.compatible & LAZY_REFCOUNTS)
    data["refcount-bits"] = 1 << header.refcount_order
    if header.version >= 3:
        data["corrupt"] = bool(header.incompatible & CORRUPT)
        data["extended-l2"] = False
    result["format-specific"] = {"type": "qcow2", "data": data}
    return result


def human(image: dict[str, Any]) -> str:
    size = image["virtual-size"]
    lines = [f"image: {image['filename']}", f"file format: {image['format']}",
             f"virtual size: {human_size(size)} ({size} bytes)",
             f"disk size: {human_size(image['actual-size'])}"]
    if "cluster-size" in image:
        lines.append(f"cluster_size: {image['cluster-size']}")
    if image["dirty-flag"]:
        lines.append("cleanly shut down: no")
    if "backing-filename" in image:
        full = image["full-backing-filename"]
        shown = f" (actual path: {full})" if full != image["backing-filename"] else ""
        lines.append(f"backing file: {image['backing-filename']}{shown}")
        if "backing-filename-format" in image:
            lines.append(f"backing file format: {image['backing-filename-format']}")
    if "snapshots" in image:
        lines += ["Snapshot list:", *snapshot_lines(image["snapshots"])]
    if "format-specific" in image:
        lines.append("Format specific information:")
        lines += [f"    {key.replace('-', ' ')}: {str(value).lower()}"
                  for key, value in image["format-specific"]["data"].items()]
    return "\n".join(lines)


def snapshot_lines(snapshots: list[dict[str, Any]]) -> list[str]:
    """The table of `snapshot -l`."""
    lines = [f"{'ID':<10}{'TAG':<17}{'VM SIZE':>8}{'DATE':>20}{'VM CLOCK':>13}{'ICOUNT':>11}"]
    for each in snapshots:
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each["date-sec"]))
        seconds, milliseconds = each["vm-clock-sec"], each["vm-clock-nsec"] // 1_000_000
        clock = (f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
                 f".{milliseconds:03}")
        lines.append(f"{each['id']:<9} {each['name']:<16} {human_size(each['vm-state-size']):>8}"
                     f"{date:>20}{clock:>13}{each.get('icount', ''):>11}")
    return lines


def snapshots_of(node: Qcow2) -> list[dict[str, Any]]:
    return [_snapshot(each) for each in read_snapshots(node.file, node.header)[0]]


def _snapshot(each: Snapshot) -> dict[str, Any]:
    seconds, nanoseconds = divmod(each.vm_clock, 1_000_000_000)
    shown = {"id": each.id, "name": each.name, "vm-state-size": each.vm_state_size,
             "date-sec": each.date[0], "date-nsec": each.date[1], "vm-clock-sec": seconds,
             "vm-clock-nsec": nanoseconds}
    return shown if each.icount == NO_COUNT else {**shown, "icount": each.icount}


def show_map(words: list[str]) -> int:
    arguments = Arguments(words, "f:Us:l:", ("output=", "start-offset=", "max-length="))
    path, = arguments.exactly(1, "Expecting one image file name")
    node, _ = open_one(path, arguments.format(), share="U" in arguments)
    try:
        start = size_of(arguments.get("start-offset") or arguments.get("s") or "0")
        length = arguments.get("max-length") or arguments.get("l")
        end = min(node.size, start + size_of(length)) if length else node.size
        found = list(pieces(node, start, end))
    finally:
        node.close()
    if arguments.json():
        print("[" + ",\n".join(map(_json_piece, found)) + "]")
        return 0
    print(f"{'Offset':<16}{'Length':<16}{'Mapped to':<16}File")
    for piece in found:
        if piece.data and piece.place is None:
            raise UserError("File contains external, encrypted or compressed clusters.")
        if not piece.zero:
            numbers = (piece.start, piece.length, piece.place or 0)
            print(*(f"{number:#x}".ljust(16) if number else "0".ljust(16) for number in numbers),
                  piece.path, sep="")
    return 0


def _json_piece(piece: Piece) -> str:
    place = {} if piece.place is None else {"offset": piece.place}
    text = json.dumps({
        "start": piece.start, "length": piece.length, "depth": piece.depth,
        "present": piece.present, "zero": piece.zero, "data": piece.data, **place})
    return text.replace("{", "{ ", 1)
