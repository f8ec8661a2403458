"""Commands that ask what the emulator and its machine are made of."""
from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pyemu import __version__
from pyemu.cache_modes import CACHES
from pyemu.config import DEFAULT_CPU
from pyemu.cpu_models import MODELS
from pyemu.monitor import blockstats, devices, screen
from pyemu.monitor.qmp.schema import SCHEMA, VERSION
from pyemu.options.chardevs import KEYS

if TYPE_CHECKING:
    from pyemu.config import DriveConfig
    from pyemu.machine.block.backend import Backend
    from pyemu.machine.block.drive import Drive
    from pyemu.monitor.qmp.session import Session

CPU_PLACE = {"socket-id": 0, "core-id": 0, "thread-id": 0}
CPU_PATH = "/machine/unattached/device[0]"  # where QEMU's object tree has the first CPU
BLOCK = 512  # bytes, stat's unit


def version_info() -> dict[str, Any]:
    """The version of QEMU whose protocol this is, and the program that speaks it."""
    return {"qemu": VERSION, "package": f"pyemu {__version__}"}


def version(session: Session) -> dict[str, Any]:
    return version_info()


def commands(session: Session) -> list[dict[str, Any]]:
    return [{"name": name} for name in SCHEMA.commands]


def schema(session: Session) -> list[dict[str, Any]]:
    return SCHEMA.describe()


def name(session: Session) -> dict[str, Any]:
    return {"name": session.config.name} if session.config.name else {}


def status(session: Session) -> dict[str, Any]:
    state = session.runner.status()
    return {"status": state, "singlestep": False, "running": state == "running"}


def kvm(session: Session) -> dict[str, Any]:
    return {"enabled": False, "present": False}


def target(session: Session) -> dict[str, Any]:
    return {"arch": "x86_64"}


def machines(session: Session) -> list[dict[str, Any]]:
    return [{"name": "pc", "is-default": True, "cpu-max": 1, "hotpluggable-cpus": False,
             "numa-mem-supported": False, "deprecated": False,
             "default-cpu-type": cpu_type(DEFAULT_CPU), "default-ram-id": "pc.ram"}]


def cpus(session: Session) -> list[dict[str, Any]]:
    return [{"cpu-index": 0, "qom-path": CPU_PATH, "thread-id": session.runner.thread_id,
             "props": CPU_PLACE, "target": "x86_64"}]


def cpu_places(session: Session) -> list[dict[str, Any]]:
    return [{"type": cpu_type(session.config.cpu_model), "vcpus-count": 1, "props": CPU_PLACE,
             "qom-path": CPU_PATH}]


def cpu_models(session: Session) -> list[dict[str, Any]]:
    return [{"name": model, "typename": cpu_type(model), "static": False, "deprecated": False}
            for model in MODELS]


def cpu_type(model: str) -> str:
    return f"{model}-x86_64-cpu"


def current_machine(session: Session) -> dict[str, Any]:
    return {"wakeup-suspend-support": False}


def uuid(session: Session) -> dict[str, Any]:
    return {"UUID": str(UUID(bytes=session.config.uuid))}


def mice(session: Session) -> list[dict[str, Any]]:
    return [{"name": screen.MOUSE_NAME, "index": screen.MOUSE, "current": True,
             "absolute": False}]


def chardev_kinds(session: Session) -> list[dict[str, Any]]:
    return [{"name": name} for name in KEYS]


def memory_size(session: Session) -> dict[str, Any]:
    return {"base-memory": session.config.ram_bytes, "plugged-memory": 0}


def chardevs(session: Session) -> list[dict[str, Any]]:
    return [{"label": label, "filename": filename, "frontend-open": True}
            for label, filename in session.chardevs.describe()]


def block(session: Session) -> list[dict[str, Any]]:
    return [_drive(drive, session.runner.machine.drives[drive.name])
            for drive in session.config.drives]


def _drive(config: DriveConfig, drive: Drive) -> dict[str, Any]:
    medium = drive.medium  # once: another monitor may take it out meanwhile
    return {"device": drive.name, "type": "unknown", "qdev": config.qdev,
            "removable": drive.removable, "locked": drive.locked,
            **({"tray_open": drive.tray_open} if drive.cdrom else {}),
            **({"io-status": drive.io_status} if config.has_io_status else {}),
            **({"inserted": _inserted(config, medium)} if medium else {})}


def _inserted(drive: DriveConfig, image: Backend) -> dict[str, Any]:
    cache = CACHES[drive.cache]
    limits = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
    about = {"filename": drive.file, "format": image.format, "virtual-size": image.size}
    with suppress(OSError):  # its name may be gone while the image is still open
        about["actual-size"] = os.stat(drive.file).st_blocks * BLOCK
    return {"file": drive.file, "node-name": image.node_name, "ro": image.read_only,
            "drv": image.format, "backing_file_depth": 0, "encrypted": False,
            "detect_zeroes": "off", **limits, "image": about, "write_threshold": 0,
            "cache": {"writeback": cache.writeback, "direct": cache.direct,
                      "no-flush": cache.no_flush}}


def pci_devices(session: Session) -> list[dict[str, Any]]:
    runner = session.runner
    return runner.call(lambda: [
        {"bus": 0, "devices": devices.described(runner.machine, session.config)}])


COMMANDS: dict[str, Callable[..., Any]] = {
    "query-version": version,
    "query-commands": commands,
    "query-qmp-schema": schema,
    "query-name": name,
    "query-status": status,
    "query-kvm": kvm,
    "query-target": target,
    "query-machines": machines,
    "query-cpus-fast": cpus,
    "query-hotpluggable-cpus": cpu_places,
    "query-cpu-definitions": cpu_models,
    "query-current-machine": current_machine,
    "query-uuid": uuid,
    "query-mice": mice,
    "query-chardev-backends": chardev_kinds,
    "query-memory-size-summary": memory_size,
    "query-chardev": chardevs,
    "query-block": block,
    "query-blockstats": blockstats.query,
    "query-pci": pci_devices,
}
