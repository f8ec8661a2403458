"""The end of a block device that a controller holds: bounds, events, errors told to the user."""
import errno
import os
import sys
from collections.abc import Callable

from pyemu.machine.block.base import BlockDevice, BlockError, Data, Extent
from pyemu.machine.block.commit import commit
from pyemu.machine.block.overlay import Overlay
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.trace.hooks import trace_blk_co_preadv, trace_blk_co_pwritev


def report_on_stderr(text: str) -> None:
    print(f"pyemu: {text}", file=sys.stderr)


class Backend(BlockDevice):
    """An opened image, as `open.open_image` returns it.

    path, format: as the user named it, or as it was probed; for `info block`.
    report: takes one line for the user. Each failure of the host is told once, then raised as
    OSError for the guest to see at its controller.
    unmap: pass on that the guest needs some bytes no more.
    reopen: opens the backing file again, for reading only or not; without it nothing is committed.
    werror, rerror: what a failure leads to: report, ignore, enospc or stop.
    stop: pauses the machine; what it is given is called when the machine goes on.
    """

    def __init__(self, node: BlockDevice, path: str, format: str,
                 report: Callable[[str], None] = report_on_stderr, unmap: bool = False):
        self.node = node
        self.path = path
        self.format = format
        self.report = report
        self.unmap = unmap
        self.size = node.size
        self.read_only = node.read_only
        self.backing = node.backing
        self.reopen: Callable[[bool], BlockDevice] | None = None
        self.werror, self.rerror = "enospc", "report"
        self.stop: Callable[[Callable[[], None]], None] | None = None
        self._told: set[str] = set()

    def read(self, offset: int, length: int) -> bytes:
        if trace_blk_co_preadv:
            trace_blk_co_preadv(self, self.node, offset, length, 0)
        try:
            self._check(offset, length)
            return self.node.read(offset, length)
        except OSError as error:
            self._tell("read", error)
            raise

    def write(self, offset: int, data: Data) -> None:
        if trace_blk_co_pwritev:
            trace_blk_co_pwritev(self, self.node, offset, len(data), 0)
        try:
            self._check(offset, len(data))
            self.node.write(offset, data)
        except OSError as error:
            self._tell("write", error)
            raise

    def write_zeroes(self, offset: int, length: int, unmap: bool = True) -> None:
        try:
            self._check(offset, length)
            self.node.write_zeroes(offset, length, unmap and self.unmap)
        except OSError as error:
            self._tell("write", error)
            raise

    def extent(self, offset: int, end: int) -> Extent:
        return self.node.extent(offset, end)

    def commit(self) -> None:
        """Bring what was written into the backing file. Raises BlockError, and other OSErrors."""
        node = self.node
        if self.reopen is None or not isinstance(node, Overlay | Qcow2) or node.backing is None:
            raise BlockError(os.strerror(errno.ENOTSUP), errno.ENOTSUP)
        node.flush()
        node.backing.close()
        try:
            base = self.reopen(False)
            try:
                commit(node, base)
            finally:
                base.close()
        finally:
            node.backing = self.reopen(True)
        node.empty()

    def on_error(self, error: OSError, writing: bool, retry: Callable[[], None]) -> str:
        action = self.werror if writing else self.rerror
        if action == "enospc":
            action = "stop" if error.errno == errno.ENOSPC else "report"
        if action == "stop":
            if self.stop is None:
                return "report"
            self.stop(retry)
        return action

    def flush(self) -> None:
        try:
            self.node.flush()
        except OSError as error:
            self._tell("flush", error)
            raise

    def discard(self, offset: int, length: int) -> None:
        self._check(offset, length)
        if self.unmap:
            self.node.discard(offset, length)

    def close(self) -> None:
        try:
            self.node.close()
        except OSError as error:
            self._tell("close", error)

    def _check(self, offset: int, length: int) -> None:
        if not 0 <= offset <= offset + length <= self.size:
            raise BlockError(f"bytes {offset} to {offset + length} are beyond its {self.size}")

    def _tell(self, action: str, error: OSError) -> None:
        text = f"Could not {action} '{self.path}': {error.strerror}"
        if text not in self._told:
            self._told.add(text)
            self.report(text)
