"""The initramfs: a cpio archive in the "newc" format, with nothing in it that changes by itself.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""
from pyemu.images.tree import Entry, Tree

MAGIC = b"070701"
ALIGNMENT = 4
HOME = (0, 0)  # major and minor of the device the files are said to come from
TRAILER = "TRAILER!!!"


def archive(tree: Tree) -> bytes:
    """The archive of `tree`: entries by path, numbered from 1, all of the same age."""
    members = [
        _member(path.removeprefix("/"), entry, number)
        for number, (path, entry) in enumerate(tree, start=1)]
    return b"".join(members) + _member(TRAILER, Entry(0), 0)


def _member(name: str, entry: Entry, inode: int) -> bytes:
    encoded = name.encode() + b"\0"
    links, seconds, checksum = 1, 0, 0
    fields = (
        inode, entry.mode, entry.uid, entry.gid, links, seconds, len(entry.data),
        *HOME, *entry.device, len(encoded), checksum)
    header = MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
