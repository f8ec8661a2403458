"""What the requests to an image have come to, counted as `info blockstats` shows it."""
from dataclasses import dataclass

KINDS = ("rd", "wr", "flush", "unmap")


@dataclass(slots=True)
class Count:
    """Requests of one kind."""

    bytes: int = 0
    operations: int = 0
    total_ns: int = 0  # from `start` to `done`, of those that failed too
    failed: int = 0
    invalid: int = 0  # refused by the controller, for places that do not exist


class Statistics:
    """One Count for each of KINDS, by its name."""

    def __init__(self) -> None:
        self.counts = {kind: Count() for kind in KINDS}
        self.last_ns: int | None = None  # of the host's clock, when a request last ended
        self.highest = 0  # offset behind the last byte written

    def add(self, kind: str, length: int, started: int, ended: int, failed: bool) -> None:
        count = self.counts[kind]
        if failed:
            count.failed += 1
        else:
            count.operations += 1
            count.bytes += length
        count.total_ns += ended - started
        self.last_ns = ended
