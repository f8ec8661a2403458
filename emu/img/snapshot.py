"""`snapshot` and `commit`: states inside an image, and a layer that goes into the one below."""
import errno
import os
import time

from pyemu.config import UserError
from pyemu.img.arguments import PROGRAM, Arguments, open_one, say
from pyemu.img.info import snapshot_lines, snapshots_of
from pyemu.img.progress import Progress
from pyemu.machine.block.commit import commit as commit_image
from pyemu.machine.block.open import backing_path
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_snapshots import Snapshots

ACTIONS = {"c": "create", "a": "apply", "d": "delete"}


def snapshot(words: list[str]) -> int:
    arguments = Arguments(words, "la:c:d:qUf:")
    actions = [letter for letter, _ in arguments.pairs if letter in "lacd"]
    if len(actions) > 1:
        raise UserError("Cannot mix '-l', '-a', '-c', '-d'\n"
                        f"Try '{PROGRAM} --help' for more information")
    path, = arguments.exactly(1, "Expecting one image file name")
    action = actions[0] if actions else "l"
    node, _ = open_one(path, arguments.format(), writable=action != "l", share="U" in arguments)
    try:
        if action == "l":
            if isinstance(node, Qcow2) and node.header.snapshots:
                print("Snapshot list:", *snapshot_lines(snapshots_of(node)), sep="\n")
            return 0
        name = arguments.values[action]
        if not isinstance(node, Qcow2):
            raise UserError(f"Could not {ACTIONS[action]} snapshot '{name}': "
                            f"{os.strerror(errno.ENOTSUP)}")
        _change(node, action, name)
    finally:
        node.close()
    return 0


def _change(image: Qcow2, action: str, name: str) -> None:
    snapshots = Snapshots(image)
    try:
        if action == "c":
            now = time.time_ns()
            snapshots.create(name, divmod(now // 1000 * 1000, 1_000_000_000))
            return
        found = snapshots.find(name)
        if found is None:
            why = {"a": f"Failed to load snapshot: {os.strerror(errno.ENOENT)}",
                   "d": "snapshot not found"}[action]
            raise UserError(f"Could not {ACTIONS[action]} snapshot '{name}': {why}")
        if action == "a":
            snapshots.apply(found)
        else:
            snapshots.delete(found)
    except OSError as error:
        raise UserError(
            f"Could not {ACTIONS[action]} snapshot '{name}': {error.strerror}") from None


def commit(words: list[str]) -> int:
    arguments = Arguments(words, "f:t:b:dpq")
    path, = arguments.exactly(1, "Expecting one image file name")
    cache = arguments.cache()
    node, _ = open_one(path, arguments.format(), writable=True, cache=cache)
    try:
        if not isinstance(node, Qcow2) or not node.header.backing_file or not node.backing:
            raise UserError("Image does not have a backing file")
        wanted = arguments.get("b")
        if wanted not in (None, node.header.backing_file):
            raise UserError(f"-b {wanted}: an image is committed into its own backing file "
                            f"'{node.header.backing_file}' only")
        base_path = backing_path(path, node.header.backing_file)
        node.backing.close()
        node.backing, _ = open_one(base_path, node.header.backing_format, writable=True,
                                   cache=cache)
        progress = Progress("p" in arguments, "q" in arguments)
        try:
            commit_image(node, node.backing, progress.update)
            if "d" not in arguments:
                node.empty()
        except OSError as error:
            raise UserError(f"Could not commit '{path}': {error.strerror}") from None
        progress.end()
    finally:
        node.close()
    say(arguments, "Image committed.")
    return 0
