"""Opening an image: its format, its backing files, its snapshot."""
import errno
import os
from collections.abc import Callable

from pyemu.cache_modes import CACHES
from pyemu.machine.block.backend import Backend, report_on_stderr
from pyemu.machine.block.base import SECTOR, BlockDevice, BlockError
from pyemu.machine.block.direct import DirectFile
from pyemu.machine.block.lock import lock_image
from pyemu.machine.block.overlay import Overlay
from pyemu.machine.block.probe import probe
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_check import repair_dirty
from pyemu.machine.block.qcow2_header import DIRTY, read_header
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import trace_bdrv_open_common

FORMATS = ("raw", "qcow2")

DEEPEST_CHAIN = 200  # backing files; well inside Python's recursion limit

RAW_WARNING = """\
WARNING: Image format was not specified for '{}' and probing guessed raw.
         Automatically detecting the format is dangerous for raw images, write operations on \
block 0 will be restricted.
         Specify the 'raw' format explicitly to remove the restrictions."""


def open_image(path: str, format: str | None = None, read_only: bool = False,
               snapshot: bool = False, discard: bool = False, cache: str = "writeback",
               report: Callable[[str], None] = report_on_stderr) -> Backend:
    """Open a disk image for a controller.

    format: "raw" or "qcow2"; None probes it, with QEMU's warning for raw.
    snapshot: keep writes to ourselves and open the image for reading only.
    discard: bytes that the guest needs no more give their room back to the host.
    cache: one of cache_modes.CACHES.
    report: takes warnings now and failures of the host later, as text for the user.
    Raises BlockError, whose text is one line for the user.
    """
    mode = CACHES[cache]
    node, format = open_node(path, format, read_only or snapshot, report, direct=mode.direct,
                             guard=not read_only)
    try:
        if node.size == 0:
            raise BlockError(f"Could not open '{path}': the image is empty", errno.EINVAL)
        set_no_flush(node, mode.no_flush)
        below = path, format
        if snapshot:
            node = Overlay(node)
            node.read_only = read_only
        elif isinstance(node, Qcow2) and node.header.backing_file:
            below = backing_path(path, node.header.backing_file), node.header.backing_format or ""
    except OSError:
        node.close()
        raise
    if isinstance(node, Qcow2):
        node.pass_discards = discard
    image = Backend(node, path, format, report, unmap=discard)
    image.write_cache = mode.writeback
    if node.backing and not read_only:
        def reopen(reading: bool) -> BlockDevice:
            base, _ = open_node(below[0], below[1] or None, reading, report, direct=mode.direct)
            set_no_flush(base, mode.no_flush)
            return base
        image.reopen = reopen
    return image


def set_no_flush(node: BlockDevice, no_flush: bool) -> None:
    """Let flushes of the image's own file be done or not."""
    file = node.file if isinstance(node, Qcow2) else node
    if isinstance(file, RawFile):
        file.unsafe = no_flush


def open_node(path: str, format: str | None, read_only: bool, report: Callable[[str], None],
              chain: tuple[tuple[int, int], ...] = (), lock: bool = True, mend: bool = True,
              direct: bool = False, guard: bool = True) -> tuple[BlockDevice, str]:
    """Open an image with its backing files; return it and its format.

    lock: keep other users apart, as `lock.lock_image` does.
    mend: repair an image that was not closed properly, refuse a corrupt one.
    chain: device and inode of the images that have it as their backing file.
    direct: go around the host's page cache.
    guard: warn of a raw image whose format was probed, and keep it from becoming another one.
    """
    if format not in (None, *FORMATS):
        raise BlockError(f"Unknown driver '{format}'", errno.EINVAL)
    file = (DirectFile if direct else RawFile).open(path, read_only)
    try:
        status = os.fstat(file.fd)
        identity = status.st_dev, status.st_ino
        if identity in chain:
            raise BlockError(f"Could not open '{path}': it is its own backing file", errno.ELOOP)
        if len(chain) >= DEEPEST_CHAIN:
            raise BlockError(f"Could not open '{path}': more than {DEEPEST_CHAIN} backing files",
                             errno.ELOOP)
        probed = format is None
        if format is None:
            format = probe(file.read(0, SECTOR))
        trace_bdrv_open_common(file, path, 0 if read_only else os.O_RDWR, format)
        if format in FORMATS and lock:
            lock_image(file.fd, path, format, read_only)
        if format == "qcow2":
            return _open_qcow2(file, path, report, (*chain, identity), lock, mend, direct), format
        if format != "raw":
            raise BlockError(f"Could not open '{path}': {format} images are not supported",
                             errno.ENOTSUP)
        if probed and guard and not chain and file.size:
            report(RAW_WARNING.format(path))
            file.guarded = True
        return file, format
    except BaseException:
        file.close()
        raise


def _open_qcow2(file: RawFile, path: str, report: Callable[[str], None],
                chain: tuple[tuple[int, int], ...], lock: bool, mend: bool,
                direct: bool) -> Qcow2:
    header = read_header(file, corrupt_too=not mend)
    backing = None
    if header.backing_file:
        try:
            name = backing_path(path, header.backing_file)
            backing, _ = open_node(name, header.backing_format, True, report, chain, lock,
                                   direct=direct)
        except BlockError as error:
            raise BlockError(f"Could not open backing file '{header.backing_file}': {error}",
                             error.errno or errno.EIO) from None
    try:
        image = Qcow2(file, header, backing)
        if mend and header.incompatible & DIRTY and not image.read_only:
            repair_dirty(image, report)
        return image
    except BaseException:
        if backing:
            backing.close()
        raise


def backing_path(path: str, name: str) -> str:
    """Where the backing file `name` of the image `path` is: names are relative to its folder."""
    name = name.removeprefix("file:")
    if ":" in name.partition("/")[0]:
        raise BlockError("only files are supported", errno.ENOTSUP)
    return os.path.join(os.path.dirname(path), name)
