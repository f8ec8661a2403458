"""The end of an image that a controller holds: requests, bounds, events, errors told to the user.

A worker does the requests in the order in which they come, so that the guest goes on. While it has
none to do the image belongs to the vCPU's thread, and what the host can do from and to its memory
is done there at once: a read of 4 KiB takes it 1 us and a write 5, but to hand one over and to be
called back takes 160. Whether a write will have to wait cannot be asked; so it is done at once only
while the host has been quick, and one that had to wait sends those after it to the worker.
"""
import errno
import os
import sys
from collections.abc import Callable, Iterator
from time import monotonic_ns

from pyemu.machine.block.base import BlockDevice, BlockError, Data, Extent
from pyemu.machine.block.commit import commit
from pyemu.machine.block.overlay import Overlay
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.request import Read, Request, Write, WriteZeroes
from pyemu.machine.block.statistics import Statistics
from pyemu.machine.block.worker import Worker
from pyemu.trace.hooks import trace_blk_co_preadv, trace_blk_co_pwritev, trace_blk_request_done

QUICK = 1_000_000  # ns, the most that a write to the host's memory takes
TRUSTED = 64  # quick writes in a row, after which the next one is done at once


def report_on_stderr(text: str) -> None:
    print(f"pyemu: {text}", file=sys.stderr)


class Backend(BlockDevice):
    """An opened image, as `open.open_image` returns it.

    `start` is for controllers. What the other methods do is done when they return; they are for
    the worker, and for a time when nothing is outstanding: after `drain`.

    path, format: as the user named it, or as it was probed; for `info block`.
    report: takes one line for the user, on any thread. Each failure of the host is told once, then
    raised as OSError, or passed to the request.
    unmap: pass on that the guest needs some bytes no more.
    reopen: opens the backing file again, for reading only or not; without it nothing is committed.
    werror, rerror: what the failure of a request leads to: report, ignore, enospc or stop.
    on_error: hears of each failure of a request: the request, the error, and what it leads to.
    stop: pauses the machine; what it is given is called when the machine goes on.
    node_name: what QMP calls the image, as apart from the drive that it is in.
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
        self.reopen: Callable[[bool], BlockDevice] | None = None
        self.werror, self.rerror = "enospc", "report"
        self.on_error: Callable[[Request, OSError, str], None] = lambda *failure: None
        self.stop: Callable[[Callable[[], None]], None] | None = None
        self.node_name = ""
        self.statistics = Statistics()
        self._files = list(_files(node))
        self._quick_writes = 0  # in a row
        self._worker: Worker[Request, bytes] | None = None
        self._told: set[str] = set()

    @property
    def backing(self) -> BlockDevice | None:  # type: ignore[override]
        return self.node.backing

    # Requests

    def use_worker(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Let requests be done by a thread; post(function) has a function called on the vCPU's."""
        self._worker = Worker(f"block {self.path}", self._perform, self._finish, post)

    def start(self, request: Request) -> None:
        """Begin a request. Later ones see what it does, whether it has ended or not."""
        if trace_blk_co_preadv and isinstance(request, Read):
            trace_blk_co_preadv(self, self.node, request.offset, request.length, 0)
        elif trace_blk_co_pwritev and isinstance(request, Write | WriteZeroes):
            trace_blk_co_pwritev(self, self.node, request.offset, request.length, 0)
        request.started = monotonic_ns()
        self._start(request)

    @property
    def busy(self) -> bool:
        """Whether a request has not ended yet."""
        return self._worker is not None and self._worker.outstanding > 0

    def drain(self) -> None:
        """Wait for the end of all requests. Those that wait for the user go on waiting."""
        if self._worker:
            self._worker.drain()

    def invalid(self, kind: str) -> None:
        """Count a request that the controller has refused."""
        self.statistics.counts[kind].invalid += 1

    def _start(self, request: Request) -> None:
        worker = self._worker
        if worker is None:
            self._finish(request, self._perform(request))
        elif worker.outstanding or not self._is_quick(request):
            worker.submit(request)
        else:
            for file in self._files:
                file.patient = False
            try:
                data = self._perform(request)
            finally:
                for file in self._files:
                    file.patient = True
            if isinstance(request.error, BlockingIOError):
                worker.submit(request)
            else:
                self._finish(request, data)

    def _is_quick(self, request: Request) -> bool:
        """Whether it need not wait for the host's disk, or can say so when it has begun."""
        if isinstance(request, Write):
            return self._quick_writes >= TRUSTED and not request.through
        return isinstance(request, Read)

    def _perform(self, request: Request) -> bytes:
        request.error = None
        began = monotonic_ns()
        try:
            return request.perform(self)
        except OSError as error:
            request.error = error
            return b""
        finally:
            if isinstance(request, Write):
                quick = monotonic_ns() - began < QUICK
                self._quick_writes = self._quick_writes + 1 if quick else 0

    def _finish(self, request: Request, data: bytes) -> None:
        error = request.error
        if error is not None and not request.cancelled:
            action = self._action(error, request.writes)
            self.on_error(request, error, action)
            if action == "stop" and self.stop:
                self.stop(lambda: None if request.cancelled else self._start(request))
                return
        now = monotonic_ns()
        self.statistics.add(request.kind, request.length, request.started, now, error is not None)
        if trace_blk_request_done:
            trace_blk_request_done(self, request.kind, request.offset, request.length,
                                   now - request.started, -(error.errno or 0) if error else 0)
        if request.cancelled:
            return
        if error is not None and action == "ignore":
            request.done(request.nothing(), None)
        else:
            request.done(data, error)

    def _action(self, error: OSError, writes: bool) -> str:
        action = self.werror if writes else self.rerror
        if action == "enospc":
            action = "stop" if error.errno == errno.ENOSPC else "report"
        return action

    # The image

    def read(self, offset: int, length: int) -> bytes:
        try:
            self._check(offset, length)
            return self.node.read(offset, length)
        except BlockingIOError:
            raise
        except OSError as error:
            self._tell("read", error)
            raise

    def write(self, offset: int, data: Data) -> None:
        length = len(data)
        try:
            self._check(offset, length)
            self.node.write(offset, data)
        except BlockingIOError:
            raise
        except OSError as error:
            self._tell("write", error)
            raise
        self.statistics.highest = max(self.statistics.highest, offset + length)

    def write_zeroes(self, offset: int, length: int, unmap: bool = True) -> None:
        try:
            self._check(offset, length)
            self.node.write_zeroes(offset, length, unmap and self.unmap)
        except OSError as error:
            self._tell("write", error)
            raise

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

    def extent(self, offset: int, end: int) -> Extent:
        return self.node.extent(offset, end)

    def commit(self) -> None:
        """Bring what was written into the backing file. Raises BlockError, and other OSErrors."""
        self.drain()
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
            self._files = list(_files(node))
        node.empty()

    def close(self) -> None:
        """Do what is still outstanding, without telling the controller, and close the image."""
        if self._worker:
            self._worker.close()
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


def _files(node: BlockDevice | None) -> Iterator[BlockDevice]:
    """The files that an image and its backing files are in."""
    while node:
        yield getattr(node, "file", node)
        node = node.backing
