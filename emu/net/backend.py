"""What all back ends of the network have in common."""
from typing import Any

from pyemu.chardev.loop import IoLoop
from pyemu.net.cable import Cable


class Backend:
    """open() comes first, on the main thread, raising OSError or UserError; then start(); close()
    comes last. The latter two, and what `cable` calls, run on the I/O thread. MERGES: see `Cable`.
    """

    MERGES = False

    def __init__(self, config: Any, loop: IoLoop, cable: Cable):
        self.config = config
        self.loop = loop
        self.cable = cable
        cable.transmit = self.transmit
        cable.on_room = self.resume
        cable.merges = self.MERGES

    def open(self) -> None:
        """Acquire what the user named."""

    def start(self) -> None:
        """Begin to carry frames."""

    def close(self) -> None:
        """Give back what `open` acquired."""

    def transmit(self, frames: list[bytes]) -> None:
        """Frames from the guest; TCP in packets of up to 64 KiB if MERGES."""

    def resume(self) -> None:
        """There is room again for frames to the guest, after cable.full()."""
