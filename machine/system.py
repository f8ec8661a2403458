"""What a chip may ask of whoever runs the machine."""
from typing import Protocol


class System(Protocol):
    """Done after the instruction that asks. Causes have QEMU's names, such as "guest-reset"."""

    def reset_request(self, cause: str) -> None:
        """Put the whole machine into its power-on state."""

    def shutdown_request(self, cause: str) -> None:
        """Switch the machine off."""

    def guest_panicked(self) -> None:
        """The guest's kernel says that it cannot go on."""

    def guest_crashloaded(self) -> None:
        """It says so, and that another kernel is about to save what can be saved."""

    def exit_request(self, status: int) -> None:
        """End the emulator with this exit status."""

    def rtc_change(self, offset: int) -> None:
        """The guest has set its clock, to so many seconds after the one it started with."""
