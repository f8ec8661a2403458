"""What the options gather on their way to a `Config`."""
from pyemu.config import Config


class Answer(Exception):
    """The option asks for a text instead of a machine (`-version`, `-cpu help`)."""


class Request:
    """The Config in the making, and what decides its defaults at the end.

    serials, monitors: None as long as no option has named one.
    """

    def __init__(self) -> None:
        self.config = Config()
        self.nographic = False
        self.nodefaults = False
        self.display: str | None = None
        self.serials: list[str | None] | None = None
        self.monitors: list[str] | None = None
        self.sources: dict[str, str] = {}  # of -mon, by the chardev it names
        self.device_ids: set[str] = set()  # of -device
        self.vga_given = False
        self.network_given = False  # any option that makes the default card superfluous
        self.drives_with_own_snapshot: set[str] = set()  # by their `source`
