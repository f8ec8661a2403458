"""User networking: the guest's packets end in libslirp, which talks by sockets of the host."""
from pyemu.config import HostForward, UserNetConfig
from pyemu.net.backend import Backend
from pyemu.net.slirp import ERROR, FOREVER, HANG_UP, READABLE, URGENT, WRITABLE, Slirp
from pyemu.trace.hooks import trace_slirp_guest_error

INPUT = READABLE | URGENT | HANG_UP | ERROR
MILLISECOND = 1_000_000  # ns


class UserNetwork(Backend):
    """The stack lives on the I/O thread; what it wants to know of its sockets, the loop tells."""

    MERGES = True

    config: UserNetConfig
    _slirp: Slirp

    def open(self) -> None:
        self._watched: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        self._timers: dict[int, int] = {}  # ms by number
        self._serving = False
        self._wake_at: int | None = None  # ns
        self._closed = False
        self._slirp = Slirp(self.config, self)
        for forward in self.config.forwards:
            self._slirp.add_forward(forward)
        for command in self.config.guest_forwards:
            self._slirp.add_guest_forward(command)

    def start(self) -> None:
        self._watch()

    def close(self) -> None:
        self._closed = True
        for fd in self._watched:
            self.loop.watch(fd)
        self._slirp.close()

    def transmit(self, frames: list[bytes]) -> None:
        if not self._closed:
            self._slirp.input(frames)
            self._watch()

    # --- what the monitor asks, on the I/O thread ---

    def add_forward(self, forward: HostForward) -> None:
        """Raises UserError."""
        self._slirp.add_forward(forward)
        self._watch()

    def remove_forward(self, udp: bool, host_address: str, host_port: int) -> bool:
        found = self._slirp.remove_forward(udp, host_address, host_port)
        self._watch()
        return found

    def connections(self) -> str:
        return self._slirp.connections()

    # --- what the stack calls ---

    def on_frames(self, frames: list[bytes]) -> None:
        self.cable.deliver(frames)

    def on_guest_error(self, message: str) -> None:
        trace_slirp_guest_error(message)

    def now(self) -> int:
        return self.cable.machine.clock.now()

    def set_timer(self, ident: int, due: int) -> None:
        self._timers[ident] = due
        self._wake(due * MILLISECOND)

    def drop_timer(self, ident: int) -> None:
        self._timers.pop(ident, None)

    def on_closing(self, fd: int) -> None:
        """The next socket may have the same number: what was seen of this one is not of that."""
        self._ready.pop(fd, None)
        if self._watched.pop(fd, None) is not None:
            self.loop.watch(fd)

    def on_notify(self) -> None:
        self._serve_soon()

    # --- sockets and time ---

    def _watch(self) -> None:
        """Have the loop wait for what the stack waits for."""
        polled, timeout = self._slirp.wanted()
        wanted = dict(polled)
        if wanted != self._watched:
            for fd in self._watched.keys() - wanted.keys():
                self.loop.watch(fd)
                self._ready.pop(fd, None)
            for fd, events in wanted.items():
                if self._watched.get(fd) != events:
                    self._watch_one(fd, events)
            self._watched = wanted
        if timeout != FOREVER:
            self._wake(self.now() + timeout * MILLISECOND)

    def _watch_one(self, fd: int, events: int) -> None:
        self.loop.watch(fd, (lambda: self._note(fd, READABLE)) if events & INPUT else None,
                        (lambda: self._note(fd, WRITABLE)) if events & WRITABLE else None)

    def _note(self, fd: int, event: int) -> None:
        self._ready[fd] = self._ready.get(fd, 0) | event
        self._serve_soon()

    def _serve_soon(self) -> None:
        if not self._serving:
            self._serving = True
            self.loop.call(self._serve)

    def _serve(self) -> None:
        self._serving = False
        if self._closed:
            return
        ready, self._ready = self._ready, {}
        self._slirp.poll(ready)
        self._watch()

    def _wake(self, due: int) -> None:
        """Serve the stack's timers at that time, if no earlier waking is on its way."""
        if self._wake_at is None or due < self._wake_at:
            self._wake_at = due
            self.loop.later(max(0, due - self.now()) / 1e9, lambda: self._wake_up(due))

    def _wake_up(self, due: int) -> None:
        if due != self._wake_at or self._closed:
            return  # a later order came before
        self._wake_at = None
        for ident, at in list(self._timers.items()):
            if at * MILLISECOND <= self.now():
                del self._timers[ident]
                self._slirp.fire(ident)
        self._serve()
        if self._timers:
            self._wake(min(self._timers.values()) * MILLISECOND)
