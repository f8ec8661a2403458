"""Where gdb connects: chosen by -gdb, and by `gdbserver` while the machine runs."""
from typing import Any

from pyemu.chardev.registry import Chardevs
from pyemu.config import Config, UserError
from pyemu.gdbstub.stub import Stub
from pyemu.options import chardevs as options
from pyemu.options.request import Request


class DebugServer:
    """At most one `Stub`, and the character device it speaks through."""

    def __init__(self, runner: Any, config: Config, chardevs: Chardevs):
        self.runner = runner
        self.config = config
        self.chardevs = chardevs
        self._stub: Stub | None = None
        if config.gdb is not None:
            self._serve(config.gdb)

    def open(self, spec: str) -> None:
        """Listen on another device, as -gdb writes it, and no longer on the one before.

        Not on the I/O thread. Raises UserError.
        """
        self.close()
        request = Request()
        request.config = self.config
        known = list(self.config.chardevs)
        try:
            if spec.startswith(("mon:", "chardev:", "none")):
                raise UserError(f"'{spec.partition(':')[0]}' is not a valid char driver")
            options.gdb(request, spec)
            new = self.config.chardevs[-1]
            if new.kind == "vc":  # the display has begun without it
                raise UserError(f"{spec}: no console can be added now")
            options.check_display(self.config, new)
            new.wait = False
            self.chardevs.add(new)
        except UserError:
            self.config.chardevs[:] = known
            self.config.gdb = None
            raise
        self._serve(new.id)
        self.chardevs.begin(new.id)

    def close(self) -> None:
        """Listen no more. The machine stays as it is, without breakpoints."""
        ident = self.config.gdb
        if self._stub is None or ident is None:
            return
        self._stub.leave()
        self._stub = self.config.gdb = None
        self.config.chardevs[:] = [
            config for config in self.config.chardevs if config.id != ident]
        self.chardevs.remove(ident)

    def finish(self) -> None:
        """The machine has ended: tell the client."""
        if self._stub:
            self._stub.finish()

    def _serve(self, ident: str) -> None:
        self._stub = Stub(self.runner, self.config, self.chardevs, ident)
        self._stub.start()
