"""`info blockstats` and query-blockstats: what the requests to the images have come to."""
from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from pyemu.machine.block.statistics import KINDS, Statistics

if TYPE_CHECKING:
    from pyemu.machine.block.drive import Drive
    from pyemu.monitor.monitor import Monitor
    from pyemu.monitor.qmp.session import Session

MERGED = 0  # requests are done as the guest makes them


def info(monitor: Monitor, arguments: list[str]) -> str:
    """A line for each drive, in the order of QEMU's."""
    lines = []
    for drive in _all(monitor):
        rd, wr, flush, _ = drive.statistics.counts.values()
        lines.append(
            f"{drive.name}: rd_bytes={rd.bytes} wr_bytes={wr.bytes} rd_operations={rd.operations} "
            f"wr_operations={wr.operations} flush_operations={flush.operations} "
            f"wr_total_time_ns={wr.total_ns} rd_total_time_ns={rd.total_ns} "
            f"flush_total_time_ns={flush.total_ns} rd_merged={MERGED} wr_merged={MERGED} "
            f"idle_time_ns={_idle(drive.statistics) or 0}")
    return "\n".join(lines)


def query(session: Session) -> list[dict[str, Any]]:
    return [{"device": drive.name, "stats": _described(drive.statistics),
             **({"node-name": drive.medium.node_name} if drive.medium else {})}
            for drive in _all(session)]


def _all(client: Monitor | Session) -> Iterator[Drive]:
    for drive in client.config.drives:
        yield client.runner.machine.drives[drive.name]


def _described(statistics: Statistics) -> dict[str, Any]:
    described: dict[str, Any] = {
        "wr_highest_offset": statistics.highest, "timed_stats": [],
        "account_invalid": True, "account_failed": True}
    for kind in KINDS:
        count = statistics.counts[kind]
        described |= {f"{kind}_operations": count.operations,
                      f"{kind}_total_time_ns": count.total_ns,
                      f"failed_{kind}_operations": count.failed,
                      f"invalid_{kind}_operations": count.invalid}
        if kind != "flush":
            described |= {f"{kind}_bytes": count.bytes, f"{kind}_merged": MERGED}
    idle = _idle(statistics)
    return described if idle is None else {**described, "idle_time_ns": idle}


def _idle(statistics: Statistics) -> int | None:
    """Nanoseconds since a request last ended."""
    return None if statistics.last_ns is None else monotonic_ns() - statistics.last_ns
