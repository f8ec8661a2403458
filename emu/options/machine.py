"""The machine: memory, CPU, firmware, boot, clock, adapters and what runs on it."""
import os
import re

from pyemu.config import DEFAULT_RAM, MIB, UserError
from pyemu.options import keyvalue
from pyemu.options.request import Answer, Request

RAM_STEP = 8192  # bytes; sizes are rounded up to it
ACTIONS = {"panic": ("pause", "shutdown", "exit-failure", "none"),
           "reboot": ("reset", "shutdown"), "shutdown": ("poweroff", "pause")}
MACHINES = {"pc": "alias of pc-i440fx-7.2", "pc-i440fx-7.2": "default"}
OTHER_ACCELERATORS = ("kvm", "xen", "hax", "hvf", "nvmm", "whpx", "qtest")
OTHER_VGA = ("cirrus", "vmware", "xenfb", "qxl", "virtio", "tcx", "cg3")


def memory(request: Request, text: str) -> None:
    values = keyvalue.parse(text, ("size",), implied="size")
    size = keyvalue.size(values.get("size", str(DEFAULT_RAM // MIB)), "size", unit="M")
    if size < MIB:
        raise UserError("the machine needs at least 1M of memory")
    host = _host_memory()
    if host and size > host:
        raise UserError(f"cannot set up guest memory 'pc.ram': this host has {host // MIB}M in all")
    request.config.ram_bytes = -(-size // RAM_STEP) * RAM_STEP


def _host_memory() -> int:
    """RAM and swap of the host in bytes; 0 where it does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return sum(int(fields[name].split()[0]) for name in ("MemTotal", "SwapTotal")) * 1024
    except (OSError, KeyError, ValueError):
        return 0


def smp(request: Request, text: str) -> None:
    keys = ("cpus", "maxcpus", "sockets", "dies", "clusters", "cores", "threads")
    values = keyvalue.parse(text, keys, implied="cpus")
    for key in values:
        if keyvalue.number(values, key, 1) != 1:
            raise UserError("the machine has one CPU")


def machine(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer("\n".join(["Supported machines are:", *(
            f"{name:20} Standard PC (i440FX + PIIX, 1996) ({what})"
            for name, what in MACHINES.items())]))
    values = keyvalue.parse(text, ("type", "accel", "hpet"), implied="type")
    if values.get("type", "pc") not in MACHINES:
        raise UserError(f"unsupported machine type '{values['type']}', only 'pc' is there")
    if "accel" in values:
        _accelerator(values["accel"].split(":"))
    request.config.hpet = keyvalue.on_off(values, "hpet", request.config.hpet)


def accelerator(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer("Accelerators supported in pyemu:\ntcg")
    values = keyvalue.parse(text, ("accel",), implied="accel")
    _accelerator([values.get("accel", "")])


def _accelerator(names: list[str]) -> None:
    """The first usable one is taken, as in QEMU's `accel=kvm:tcg`."""
    if "tcg" in names:
        return
    for name in names:
        if name not in OTHER_ACCELERATORS:
            raise UserError(f"invalid accelerator {name}")
    raise UserError(f"no {names[0]} here: the CPU is emulated, which is called tcg")


def parallel(request: Request, text: str) -> None:
    if text != "none":
        raise UserError("there is no parallel port")


def clock(request: Request, text: str) -> None:
    if text not in ("warp", "host"):
        raise UserError(f"unknown clock '{text}', known are warp and host")
    request.config.warp = text == "warp"


def icount(request: Request, text: str) -> None:
    """Of QEMU's counted instructions only what -clock warp does as well."""
    values = keyvalue.parse(text, ("shift", "align", "sleep", "rr", "rrfile", "rrsnapshot"),
                            implied="shift")
    if values != {"shift": "auto", "sleep": "off"}:
        raise UserError("only shift=auto,sleep=off is supported, which is -clock warp")
    request.config.warp = True


def rtc(request: Request, text: str) -> None:
    base = keyvalue.parse(text, ("base",)).get("base", "utc")
    if base in ("utc", "localtime"):
        request.config.rtc_base = base
        return
    from datetime import datetime
    date = re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?", base, re.ASCII)
    try:
        request.config.rtc_base = datetime.fromisoformat(date[0] if date else "")
    except ValueError:
        raise UserError("invalid datetime format, valid are '2006-06-17T16:01:21', '2006-06-17', "
                        "'utc' and 'localtime'") from None


def action(request: Request, text: str) -> None:
    values = keyvalue.parse(text, tuple(ACTIONS))
    for key, value in values.items():
        if value not in ACTIONS[key]:
            raise UserError(f"Parameter '{key}' does not accept value '{value}'")
    config = request.config
    config.panic_action = values.get("panic", config.panic_action)
    if "reboot" in values:
        config.no_reboot = values["reboot"] == "shutdown"
    if "shutdown" in values:
        config.no_shutdown = values["shutdown"] == "pause"


def vga(request: Request, name: str) -> None:
    if name in OTHER_VGA:
        raise UserError(f"vga type '{name}' is not supported, only std and none are")
    if name not in ("std", "none"):
        raise UserError(f"unknown vga type: {name}")
    request.config.vga = None if name == "none" else name
    request.vga_given = True


def name(request: Request, text: str) -> None:
    request.config.name = keyvalue.parse(text, ("guest",), implied="guest").get("guest", "")


def firmware_dir(request: Request, path: str) -> None:
    if path == "help":
        from pyemu import roms
        raise Answer("\n".join(map(str, roms.folders(request.config.firmware_dirs))))
    if not os.path.isdir(path):
        raise UserError("no such directory")
    request.config.firmware_dirs.append(path)
