"""`convert`: a copy of a disk in another format."""
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyemu.config import UserError
from pyemu.img.arguments import Arguments, open_one, size_of, warn
from pyemu.img.create import make, option_values, options_help
from pyemu.img.progress import Progress
from pyemu.machine.block.base import SECTOR, BlockDevice
from pyemu.machine.block.hostfile import keep_memory
from pyemu.machine.block.open import FORMATS
from pyemu.machine.block.pieces import pieces
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_compression import compressor
from pyemu.machine.block.qcow2_map import ClusterMap
from pyemu.machine.block.qcow2_snapshots import Snapshots

if TYPE_CHECKING:
    from concurrent.futures import Future

PIECE = 1 << 20  # bytes that are copied at once
MEMORY = 16 << 20  # bytes, the buffers of some pieces
SPARSE = 4 << 10  # bytes that must be zeros to be left out


def convert(words: list[str]) -> int:
    arguments = Arguments(words, "f:O:o:cpqnB:F:S:l:m:WUt:T:h", ("salvage", "target-is-zero"))
    target_format = arguments.get("O") or "raw"
    if target_format not in FORMATS:
        raise UserError(f"Unknown file format '{target_format}'")
    if arguments.all("o")[-1:] == ["help"]:
        print(options_help(target_format))
        return 0
    if len(arguments.words) > 2:
        raise UserError("only one input image is supported")
    path, target_path = arguments.exactly(2, "Must specify image file name")
    sparse = size_of(arguments.get("S") or str(SPARSE), "Invalid buffer size for sparse output")
    if "c" in arguments and target_format == "raw":
        raise UserError("Compression not supported for this file format")
    if "target-is-zero" in arguments and "n" not in arguments:
        raise UserError("--target-is-zero requires use of -n flag")
    workers = size_of(arguments.get("m") or "8", "Invalid number of coroutines")
    target_cache = arguments.cache("t", "unsafe")
    keep_memory(MEMORY)
    source, _ = open_one(path, arguments.format(), share="U" in arguments,
                         cache=arguments.cache("T"))
    try:
        if "l" in arguments:
            _look_at_snapshot(source, path, arguments.values["l"])
        values = option_values(target_path, target_format, ",".join(arguments.all("o")))
        if "B" in arguments:
            values["backing_file"] = arguments.values["B"]
            values["backing_fmt"] = arguments.get("F") or values.get("backing_fmt") or ""
            if not values["backing_fmt"]:
                raise UserError("backing format must be specified with -F")
        if "n" not in arguments:
            make(target_path, target_format, source.size, values, lambda text: None)
        target, _ = open_one(target_path, target_format, writable=True, cache=target_cache)
        progress = Progress("p" in arguments, "q" in arguments)
        try:
            if target.size < source.size:
                raise UserError("Output file is smaller than input file")
            fresh = "n" not in arguments or "target-is-zero" in arguments
            copy = Copy(source, target, sparse, fresh, progress)
            copy.top_only = "B" in arguments
            copy.salvage = "salvage" in arguments
            copy.quiet = "q" in arguments
            if "c" in arguments:
                copy.compressed(workers)
            else:
                copy.plain()
            target.flush()
        except OSError as error:
            raise UserError(f"error while writing '{target_path}': {error.strerror}") from None
        finally:
            target.close()
        progress.end()
    finally:
        source.close()
    return 0


class Copy:
    """One disk's content on its way to another.

    sparse: bytes of zeros that are not written, 0 to write all; fresh: the target has no content.
    """

    def __init__(self, source: BlockDevice, target: BlockDevice, sparse: int, fresh: bool,
                 progress: Progress):
        self.source = source
        self.target = target
        self.fresh = fresh and target.backing is None
        self.progress = progress
        self.top_only = False  # what the source has from its backing file, the target has too
        self.salvage = self.quiet = False  # take zeros for what cannot be read; without a warning
        unit = target.header.cluster_size if isinstance(target, Qcow2) else sparse
        self.unit = max(unit, sparse) if sparse else 0
        self.zeros = bytes(self.unit)

    def plain(self) -> None:
        for offset, length, data in self._content():
            if data is None:
                if not self.unit:
                    self.target.write(offset, bytes(length))
                elif not self.fresh:
                    self.target.write_zeroes(offset, length)
                continue
            for start, stop in self._filled(data):
                self.target.write(offset + start, memoryview(data)[start:stop])
            if not self.fresh:
                self._empty(offset, data)
            self._settle()

    def compressed(self, workers: int) -> None:
        """The compressors run in other threads, but never far ahead."""
        from concurrent.futures import ThreadPoolExecutor  # takes as long to load as all else

        target = self.target
        assert isinstance(target, Qcow2)
        size = target.header.cluster_size
        pack = compressor(target.header.compression)
        waiting: deque[tuple[int, bytes, Future[bytes]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for offset, data in self._clusters(size):
                whole = data.ljust(size, b"\0")
                waiting.append((offset, data, pool.submit(pack, whole)))
                while len(waiting) > 4 * workers:
                    target.write_compressed(*_done(waiting.popleft()))
                    self._settle()
            for item in waiting:
                target.write_compressed(*_done(item))

    def _settle(self) -> None:
        """Wait for what has been written, if its cache mode says so."""
        if not self.target.write_cache:
            self.target.flush()

    def _content(self) -> Iterator[tuple[int, int, bytes | None]]:
        """All of the source: offset, length, and the data or None for zeros."""
        size = self.source.size
        for piece in pieces(self.source, 0, size):
            if self.top_only and (piece.depth or not piece.present):
                continue
            end = piece.start + piece.length
            for start in [piece.start] if piece.zero else range(piece.start, end, PIECE):
                length = piece.length if piece.zero else min(PIECE, end - start)
                yield start, length, None if piece.zero else self._read(start, length)
                self.progress.update((start + length) / size)

    def _read(self, start: int, length: int) -> bytes:
        try:
            return self.source.read(start, length)
        except OSError as error:
            if not self.salvage:
                raise UserError(
                    f"error while reading at byte {start}: {error.strerror}") from None
            if length > SECTOR:
                return b"".join(self._read(at, min(SECTOR, start + length - at))
                                for at in range(start, start + length, SECTOR))
            if not self.quiet:
                warn(f"warning: error while reading offset {start}: {error.strerror}")
            return bytes(length)

    def _clusters(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Whole clusters of the target that are not all zeros, or hide what is below."""
        empty = bytes(size)
        rest, at = b"", 0  # what has been read of the cluster at `at`
        for offset, length, data in self._content():
            if data is None and not rest and self.fresh and self.unit:
                at = (offset + length) // size * size
                rest = bytes(offset + length - at)
                continue
            if data is None:
                data = bytes(length)
            if not rest:
                at = offset
            rest += data
            for start in range(0, len(rest) - size + 1, size):
                cluster = rest[start:start + size]
                if cluster != empty or not self.fresh or not self.unit:
                    yield at + start, cluster
            used = len(rest) // size * size
            rest, at = rest[used:], at + used
        if rest.strip(b"\0") or (rest and not (self.fresh and self.unit)):
            yield at, rest

    def _filled(self, data: bytes) -> Iterator[tuple[int, int]]:
        """The runs of units of `data` that are not all zeros."""
        unit = self.unit
        if not unit:
            yield 0, len(data)
            return
        start = None
        for at in range(0, len(data), unit):
            empty = data.startswith(self.zeros if at + unit <= len(data)
                                    else bytes(len(data) - at), at)
            if empty and start is not None:
                yield start, at
                start = None
            elif not empty and start is None:
                start = at
        if start is not None:
            yield start, len(data)

    def _empty(self, offset: int, data: bytes) -> None:
        """Make zeros of what `_filled` has left out."""
        end = 0
        for start, stop in [*self._filled(data), (len(data), len(data))]:
            if start > end:
                self.target.write_zeroes(offset + end, start - end)
            end = stop


def _done(item: tuple[int, bytes, "Future[bytes]"]) -> tuple[int, bytes, bytes]:
    offset, data, packed = item
    return offset, data, packed.result()


def _look_at_snapshot(source: BlockDevice, path: str, name: str) -> None:
    """Let an image be read as it was at an internal snapshot. Raises UserError."""
    if not isinstance(source, Qcow2):
        raise UserError(f"Failed to load snapshot: '{path}' has none")
    name = name.removeprefix("snapshot.id=").removeprefix("snapshot.name=")
    snapshots = Snapshots(source)
    snapshot = snapshots.find(name)
    if snapshot is None:
        raise UserError("Failed to load snapshot: Can't find snapshot")
    header = source.header
    header.l1_offset, header.l1_size = snapshot.l1_offset, snapshot.l1_size
    header.size = source.size = snapshot.disk_size
    source.map = ClusterMap(source.file, header)
