"""`check`: are the reference counts of an image right? -r mends them."""
import json
import sys

from pyemu.config import UserError
from pyemu.img.arguments import Arguments, open_one, say
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_check import Check, Result

FAILED, CORRUPT, LEAKS, NOT_SUPPORTED = 1, 2, 3, 63  # exit statuses


def check(words: list[str]) -> int:
    arguments = Arguments(words, "f:qr:T:U", ("output=", "repair="))
    path, = arguments.exactly(1, "Expecting one image file name")
    repair = arguments.get("r") or arguments.get("repair")
    if repair not in (None, "leaks", "all"):
        raise UserError(f"-r option expects 'leaks' or 'all', not '{repair}'")
    as_json = arguments.json()
    cache = arguments.cache("T")
    node, format = open_one(path, arguments.format(), writable=bool(repair),
                            share="U" in arguments, mend=False, cache=cache)
    try:
        if not isinstance(node, Qcow2):
            print("pyemu-img: This image format does not support checks", file=sys.stderr)
            return NOT_SUPPORTED
        quiet = as_json or "q" in arguments
        task = Check(node, lambda text: None if quiet else print(text, file=sys.stderr))
        result = task.run()
        if repair and (result.leaks or result.corruptions):
            task.repair(leaks_only=repair == "leaks")
    finally:
        node.close()
    if as_json:
        print(json.dumps(_as_json(result, path, format), indent=4))
    else:
        say(arguments, _human(result))
    if result.corruptions:
        return CORRUPT
    return LEAKS if result.leaks else 0


def _as_json(result: Result, path: str, format: str) -> dict[str, object]:
    counted = {
        "total-clusters": result.total, "allocated-clusters": result.allocated,
        "fragmented-clusters": result.fragmented, "compressed-clusters": result.compressed,
        "corruptions": result.corruptions, "leaks": result.leaks,
        "corruptions-fixed": result.corruptions_fixed, "leaks-fixed": result.leaks_fixed}
    return {"filename": path, "format": format, "check-errors": 0,
            "image-end-offset": result.end, **{key: n for key, n in counted.items() if n}}


def _human(result: Result) -> str:
    lines = []
    if result.corruptions_fixed or result.leaks_fixed:
        lines += ["The following inconsistencies were found and repaired:", "",
                  f"    {result.leaks_fixed} leaked clusters",
                  f"    {result.corruptions_fixed} corruptions", ""]
    if not result.corruptions and not result.leaks:
        lines.append("No errors were found on the image.")
    if result.corruptions:
        lines += ["", f"{result.corruptions} errors were found on the image.",
                  "Data may be corrupted, or further writes to the image may corrupt it."]
    if result.leaks:
        lines += ["", f"{result.leaks} leaked clusters were found on the image.",
                  "This means waste of disk space, but no harm to data."]
    if result.total and result.allocated:
        share = 100 / result.allocated
        lines.append(f"{result.allocated}/{result.total} = "
                     f"{result.allocated * 100 / result.total:.2f}% allocated, "
                     f"{result.fragmented * share:.2f}% fragmented, "
                     f"{result.compressed * share:.2f}% compressed clusters")
    lines.append(f"Image end offset: {result.end}")
    return "\n".join(lines)
