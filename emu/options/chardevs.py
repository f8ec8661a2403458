"""Where serial ports, monitors and the debug port lead: `-serial`, `-monitor`, `-chardev`.

Each kind of character device is written in two ways, `-serial file:PATH` and
`-chardev file,id=ID,path=PATH -serial chardev:ID`; both end as a `ChardevConfig`.
"""
from pyemu.config import ChardevConfig, Config, QmpConfig, UserError
from pyemu.options import keyvalue
from pyemu.options.request import Request

SERIAL_PORTS = 4
GDB_PORT = 1234
KEYS = {  # -chardev KIND,KEY=VALUE
    "stdio": ("mux", "signal"),
    "null": ("mux",),
    "file": ("mux", "path", "append"),
    "pty": ("mux",),
    "vc": ("mux",),
    "socket": ("mux", "path", "host", "port", "server", "wait"),
}
OTHER_KINDS = ("udp", "telnet", "tn3270", "websocket", "pipe", "con", "msmouse", "wctablet",
               "braille", "parallel", "parport", "serial", "tty", "ringbuf", "spicevmc",
               "spiceport", "testdev")


def serial(request: Request, spec: str) -> None:
    """-serial: the next of COM1 to COM4."""
    serials = request.serials = request.serials or []
    if len(serials) == SERIAL_PORTS:
        raise UserError(f"there are only {SERIAL_PORTS} serial ports")
    serials.append(attach(request, spec, f"serial{len(serials)}", f"-serial {spec}"))


def monitor(request: Request, spec: str) -> None:
    """-monitor: one more monitor, or none."""
    monitors = request.monitors = request.monitors or []
    ident = attach(request, spec, _monitor_name(request), f"-monitor {spec}")
    if ident is not None and ident not in monitors:
        monitors.append(ident)


def qmp(request: Request, spec: str) -> None:
    """-qmp: one more monitor for programs."""
    _qmp(request, spec, f"-qmp {spec}", pretty=False)


def qmp_pretty(request: Request, spec: str) -> None:
    _qmp(request, spec, f"-qmp-pretty {spec}", pretty=True)


def _qmp(request: Request, spec: str, source: str, pretty: bool) -> None:
    ident = attach(request, spec, _monitor_name(request), source)
    if ident is not None:
        request.config.qmp.append(QmpConfig(ident, pretty))


def mon(request: Request, text: str) -> None:
    """-mon: a monitor of either kind on a chardev that another option defines."""
    values = keyvalue.parse(text, ("chardev", "mode", "pretty"), implied="chardev")
    ident, mode = values.get("chardev"), values.get("mode", "readline")
    pretty = keyvalue.on_off(values, "pretty", False)
    if not ident:
        raise UserError("Parameter 'chardev' is missing")
    request.sources[ident] = f"-mon {text}"
    if mode == "control":
        request.config.qmp.append(QmpConfig(ident, pretty))
    elif mode != "readline":
        raise UserError(f"unknown monitor mode '{mode}', only readline and control are there")
    elif pretty:
        raise UserError("'pretty' is for mode=control only")
    else:
        request.monitors = [*(request.monitors or []), ident]


def _monitor_name(request: Request) -> str:
    """The id of the chardev of the next monitor that names its device itself."""
    return f"compat_monitor{len(request.monitors or []) + len(request.config.qmp)}"


def debugcon(request: Request, spec: str) -> None:
    request.config.debugcon = attach(request, spec, "debugcon", f"-debugcon {spec}")


def gdb(request: Request, spec: str) -> None:
    """-gdb: where a debugger connects. A TCP port is one that is listened on."""
    if spec.startswith("tcp:"):
        spec += ",server=on,wait=off"
    _gdb(request, spec, f"-gdb {spec}")


def gdb_here(request: Request, value: str) -> None:
    """-s: on the usual port, for this host only."""
    _gdb(request, f"tcp:localhost:{GDB_PORT},server=on,wait=off", "-s")


def _gdb(request: Request, spec: str, source: str) -> None:
    if request.config.gdb is not None:
        raise UserError("there is a server for gdb already")
    request.config.gdb = attach(request, spec, "gdb", source)


def chardev(request: Request, text: str) -> None:
    kind = keyvalue.split(text)[0]
    kind = kind.removeprefix("backend=")
    if kind not in KEYS:
        raise _unknown_kind(kind)
    values = keyvalue.parse(text, ("backend", "id", *KEYS[kind]), implied="backend")
    new = ChardevConfig(
        id=values.get("id", ""),
        kind=kind,
        source=f"-chardev {text}",
        path=values.get("path", ""),
        append=keyvalue.on_off(values, "append", False),
        mux=keyvalue.on_off(values, "mux", False),
        signals=keyvalue.on_off(values, "signal", True),
    )
    if not new.id:
        raise UserError("Parameter 'id' is missing")
    if kind == "file" and not new.path:
        raise UserError("chardev: file: no filename given")
    if kind == "socket":
        if not new.path and not values.get("port"):
            raise UserError("chardev: socket: path or port is needed")
        if new.path and ("host" in values or "port" in values):
            raise UserError("chardev: socket: path excludes host and port")
        new.kind = "unix" if new.path else "tcp"
        new.host = keyvalue.host(values.get("host", ""))
        new.port = _port(values["port"]) if new.kind == "tcp" else 0
        _server(new, values)
    _add(request, new)


def attach(request: Request, spec: str, ident: str, source: str) -> str | None:
    """The id of the chardev that `spec` asks for, made if need be; None for "none"."""
    if spec == "none":
        return None
    if spec.startswith("chardev:"):
        return spec.removeprefix("chardev:")  # may be defined by a later option
    new = ChardevConfig(ident, "", source)
    if spec.startswith("mon:"):
        new.mux, new.signals = True, False
        spec = spec.removeprefix("mon:")
        request.monitors = [*(request.monitors or []), ident]
    kind, colon, rest = spec.partition(":")
    if kind in ("stdio", "null", "pty", "vc") and not colon:
        new.kind = kind
    elif kind == "file" and rest:
        new.kind, new.path = kind, rest
    elif kind == "unix" and rest:
        new.kind = kind
        new.path, *flags = keyvalue.split(rest)
        if not new.path:
            raise UserError("expected unix:PATH")
        _server(new, keyvalue.parse(",".join(flags), ("server", "wait")) if flags else {})
    elif kind == "tcp" and rest:
        new.kind = kind
        address, *flags = keyvalue.split(rest)
        host, colon, port = address.rpartition(":")
        if not colon:
            raise UserError("expected tcp:HOST:PORT")
        new.host, new.port = keyvalue.host(host.strip("[]")), _port(port)
        _server(new, keyvalue.parse(",".join(flags), ("server", "wait")) if flags else {})
    else:
        raise _unknown_kind(kind)
    _add(request, new)
    return ident


def check(request: Request) -> None:
    """What only all options together show: ids without a chardev, and one in two places."""
    config = request.config
    chardevs = {chardev.id: chardev for chardev in config.chardevs}
    uses = [("-serial", ident) for ident in config.serials if ident is not None]
    uses += [("-monitor", ident) for ident in config.monitors]
    uses += [("-qmp", qmp.chardev) for qmp in config.qmp]
    if config.gdb is not None:
        uses.append(("-gdb", config.gdb))
    if config.debugcon is not None:
        uses.append(("-debugcon", config.debugcon))
    seen: set[str] = set()
    for option, ident in uses:
        source = request.sources.get(ident, f"{option} chardev:{ident}")
        if ident not in chardevs:
            raise UserError(f"{source}: there is no chardev '{ident}'")
        if ident in seen and not chardevs[ident].mux:
            raise UserError(f"{source}: chardev '{ident}' is in use: mux=on lets several share it")
        seen.add(ident)
    for chardev in config.chardevs:
        try:
            check_display(config, chardev)
        except UserError as error:
            raise UserError(f"{chardev.source}: {error}") from None
        if chardev.id not in seen:
            raise UserError(f"{chardev.source}: nothing uses chardev '{chardev.id}'")


def check_display(config: Config, chardev: ChardevConfig) -> None:
    """Whether the display has what the device needs. Raises UserError."""
    if chardev.kind == "vc" and config.display != "curses":
        raise UserError("only -display curses has consoles")
    if chardev.kind == "stdio" and config.display == "curses":
        raise UserError("-display curses has the terminal")


def _add(request: Request, new: ChardevConfig) -> None:
    for other in request.config.chardevs:
        if other.id == new.id:
            raise UserError(f"Duplicate ID '{new.id}' for chardev")
        if other.kind == new.kind == "stdio":
            raise UserError(f"stdio is in use already: {other.source}")
    request.config.chardevs.append(new)


def _server(new: ChardevConfig, values: dict[str, str]) -> None:
    new.server = keyvalue.on_off(values, "server", False)
    new.wait = keyvalue.on_off(values, "wait", True)
    if "wait" in values and not new.server:
        raise UserError("'wait' is for servers only: add server=on")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 16:
        raise UserError(f"'{text}' is not a port number")
    return int(text)


def _unknown_kind(kind: str) -> UserError:
    if kind in OTHER_KINDS:
        return UserError(f"character devices of kind '{kind}' are not supported")
    return UserError(f"'{kind}' is not a valid char driver")
