"""Where the screen is shown: `-display` and `-vnc`."""
import re

from pyemu.config import DISPLAYS, UserError, VncConfig
from pyemu.options import keyvalue
from pyemu.options.request import Answer, Request

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 5900, 65535
SHARES = ("allow-exclusive", "force-shared", "ignore")
KEYS = {"none": (), "curses": (), "sdl": ("window-close", "full-screen")}
VNC_KEYS = ("vnc", "password", "to", "share", "connections", "key-delay-ms")
OTHER_VNC_KEYS = ("audiodev", "display", "head", "ipv4", "ipv6", "lock-key-sync", "lossy",
                  "non-adaptive", "password-secret", "power-control", "reverse", "sasl",
                  "sasl-authz", "tls-authz", "tls-creds", "websocket")


def display(request: Request, text: str) -> None:
    if text == "help":
        raise Answer("Available display backend types:\n" + "\n".join(DISPLAYS))
    first, *rest = keyvalue.split(text.removeprefix("type="))
    kind, equals, _ = first.partition("=")
    if kind == "vnc":
        if not equals:
            raise UserError("VNC requires a display argument vnc=<display>")
        vnc(request, text, f"-display {text}")
        return
    if first not in KEYS:
        raise UserError(f"Parameter 'type' does not accept value '{first}', "
                        f"only {', '.join(DISPLAYS)}")
    for part in rest:
        key = part.partition("=")[0]
        if key not in KEYS[first]:
            raise UserError(f"Parameter '{key}' is unexpected")
    values = keyvalue.parse(text, ("type", *KEYS[first]), implied="type")
    config = request.config
    config.window_close = keyvalue.on_off(values, "window-close", config.window_close)
    config.full_screen = keyvalue.on_off(values, "full-screen", config.full_screen)
    request.display = first


def vnc(request: Request, text: str, source: str = "") -> None:
    """-vnc: one more server. There is no window besides unless -display asks for it."""
    if text == "help":
        raise Answer("vnc options:\n" + "\n".join(f"  {key}=" for key in sorted(VNC_KEYS)))
    values = keyvalue.parse(text, (*VNC_KEYS, *OTHER_VNC_KEYS), implied="vnc")
    for key in OTHER_VNC_KEYS:
        if key in values:
            raise UserError(f"'{key}' is not supported")
    vncs = request.config.vnc
    new = VncConfig(
        id=f"vnc{len(vncs) + 1}" if vncs else "default",
        source=source or f"-vnc {text}",
        announce="to" in values,
        password=keyvalue.on_off(values, "password", False),
        share=values.get("share", SHARES[0]),
        connections=keyvalue.number(values, "connections", 32),
        key_delay=keyvalue.number(values, "key-delay-ms", 10) / 1000,
    )
    if new.share not in SHARES:
        raise UserError("unknown vnc share= option")
    if new.connections < 1:
        raise UserError("Parameter 'connections' expects a number above 0")
    if not 0 <= new.key_delay <= 1:
        raise UserError("Parameter 'key-delay-ms' expects a number up to 1000")
    _place(new, values.get("vnc", ""), values)
    vncs.append(new)
    if request.display is None:
        request.display = "none"


def _place(new: VncConfig, address: str, values: dict[str, str]) -> None:
    """Where it listens."""
    if address == "none":
        return
    if address.startswith("unix:"):
        new.path = address.removeprefix("unix:")
        if not new.path:
            raise UserError("no path of a socket")
        return
    host, colon, number = address.rpartition(":")
    if not colon:
        raise UserError("no vnc port specified")
    new.host = keyvalue.host(host.removeprefix("[").removesuffix("]")) or LOOPBACK
    new.port = _port(number)
    new.last_port = _port(str(keyvalue.number(values, "to", int(number))))
    if new.last_port < new.port:
        raise UserError("Parameter 'to' is below the display")


def _port(number: str) -> int:
    if not re.fullmatch("[0-9]+", number):
        raise UserError(f"can't convert to a number: {number}")
    port = FIRST_PORT + int(number)
    if port > LAST_PORT:
        raise UserError(f"port {number} out of range")
    return port
