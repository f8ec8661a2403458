"""`-snapshot`: a device that keeps what is written to itself and leaves its base as it is."""
import os
import tempfile

from pyemu.machine.block.base import ABSENT, DATA, BlockDevice, BlockError, Data, Extent
from pyemu.machine.block.raw import RawFile

CLUSTER = 64 << 10  # bytes, the unit of copy-on-write


class Overlay(BlockDevice):
    """Written clusters live in a temporary file without a name, in order of their first write.

    The file goes away with the process, however it ends. It grows with what the guest writes; in
    memory there is one dictionary entry for each cluster.
    """

    backing: BlockDevice

    def __init__(self, base: BlockDevice, directory: str | None = None):
        """directory: for the temporary file; else $TMPDIR, else /var/tmp as in QEMU."""
        directory = directory or os.environ.get("TMPDIR") or "/var/tmp"
        try:
            with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
                self.file = RawFile(os.dup(file.fileno()))
        except OSError as error:
            raise BlockError(f"Could not create a temporary file in '{directory}': "
                             f"{error.strerror}", error.errno or 0) from None
        self.backing = base
        self.size = base.size
        self.read_only = False
        self.slots: dict[int, int] = {}  # cluster of the disk -> cluster of the file

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        end = offset + length
        while offset < end:
            source, position, count = self._run(offset, end)
            parts.append(source.read(position, count))
            offset += count
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: Data) -> None:
        rest = memoryview(data)
        while rest:
            cluster, within = divmod(offset, CLUSTER)
            piece = rest[:CLUSTER - within]
            slot = self.slots.get(cluster)
            if slot is None:
                slot = len(self.slots)
                self.file.write(slot * CLUSTER, self._merged(cluster, within, piece))
                self.slots[cluster] = slot
            else:
                self.file.write(slot * CLUSTER + within, piece)
            offset += len(piece)
            rest = rest[len(piece):]

    def extent(self, offset: int, end: int) -> Extent:
        source, place, count = self._run(offset, end)
        return Extent(count, DATA if source is self.file else ABSENT, place)

    def empty(self) -> None:
        """Forget all that was written."""
        self.slots.clear()
        self.file.resize(0)

    def close(self) -> None:
        self.file.close()
        self.backing.close()

    def _run(self, offset: int, end: int) -> tuple[BlockDevice, int, int]:
        """The longest piece at `offset` that lies in one place: (device, offset there, length)."""
        cluster, within = divmod(offset, CLUSTER)
        slot = self.slots.get(cluster)
        count = CLUSTER - within
        expected = slot
        while offset + count < end:
            cluster += 1
            expected = expected if expected is None else expected + 1
            if self.slots.get(cluster) != expected:
                break
            count += CLUSTER
        count = min(count, end - offset)
        if slot is None:
            return self.backing, offset, count
        return self.file, slot * CLUSTER + within, count

    def _merged(self, cluster: int, within: int, piece: memoryview) -> Data:
        """The cluster as the base has it, with `piece` laid over it."""
        if len(piece) == CLUSTER:
            return piece
        start = cluster * CLUSTER
        whole = bytearray(self.backing.read(start, min(CLUSTER, self.size - start)))
        whole[within:within + len(piece)] = piece
        return whole
