"""The network: `-nic`, `-netdev` with `-device e1000`, `-object filter-dump`.

`-nic user,hostfwd=...` is short for `-netdev user,id=ID,hostfwd=... -device e1000,netdev=ID`.
"""
import os
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from pyemu.config import (
    DumpConfig,
    HostForward,
    NicConfig,
    SocketNetConfig,
    TapConfig,
    UserError,
    UserNetConfig,
)
from pyemu.options import keyvalue
from pyemu.options.request import Answer, Request

MODELS = ("e1000",)
MAXIMUM = 8  # cards
Netdev = UserNetConfig | SocketNetConfig | TapConfig
Pairs = list[tuple[str, str]]

USER_KEYS = ("net", "host", "restrict", "hostname", "dhcpstart", "dns", "dnssearch", "domainname",
             "tftp", "tftp-server-name", "bootfile", "hostfwd", "ipv4", "ipv6")
SOCKET_KEYS = ("listen", "connect", "mcast", "localaddr")
TAP_KEYS = ("ifname", "fd", "script", "downscript")
NIC_KEYS = ("model", "mac", "id")
OTHER_KINDS = ("l2tpv3", "vde", "bridge", "netmap", "vhost-user", "vhost-vdpa", "hubport",
               "stream", "dgram")
NAME_LIMIT = 15  # characters of an interface's name
HOST_PART, DHCP_PART, DNS_PART = 2, 15, 3  # of the network's address
LONGEST_PREFIX = 27


def nic(request: Request, text: str) -> None:
    """-nic: a card and what it is plugged into."""
    request.network_given = True
    kind, *_ = keyvalue.split(text)
    if kind == "none":
        return
    if kind == "model=help" or "model=help" in keyvalue.split(text):
        raise Answer("Available NIC models:\n" + "\n".join(MODELS))
    found = _values(text, NIC_KEYS)
    values = dict(found)
    if values.get("model", MODELS[0]) not in MODELS:
        raise UserError(f"Unsupported NIC model: {values['model']}")
    ident = values.get("id") or f"#net{len(request.config.nics)}"
    mac = _mac(values["mac"]) if "mac" in values else None
    _add_netdev(request, _backend(found, ident, f"-nic {text}"))
    request.config.nics.append(NicConfig(f"-nic {text}", ident, mac))


def netdev(request: Request, text: str) -> None:
    request.network_given = True
    found = _values(text, ("id",))
    ident = dict(found).get("id", "")
    if not ident:
        raise UserError("Parameter 'id' is missing")
    _add_netdev(request, _backend(found, ident, f"-netdev {text}"))


def card(request: Request, text: str) -> None:
    """-device e1000: a card for a -netdev."""
    values = keyvalue.parse(text, ("driver", "netdev", "mac", "id"), implied="driver")
    ident = values.get("id", "")
    if ident and any(other.id == ident for other in request.config.nics):
        raise UserError(f"Duplicate ID '{ident}' for device")
    mac = _mac(values["mac"]) if "mac" in values else None
    request.config.nics.append(NicConfig(f"-device {text}", values.get("netdev"), mac, ident))


def object_(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer("List of user creatable objects:\n  filter-dump")
    kind = keyvalue.split(text)[0].removeprefix("qom-type=")
    if kind != "filter-dump":
        raise UserError(f"Parameter 'qom-type' does not accept value '{kind}'")
    values = keyvalue.parse(text, ("qom-type", "id", "netdev", "file", "maxlen", "queue"),
                            implied="qom-type")
    for key in ("id", "netdev", "file"):
        if not values.get(key):
            raise UserError(f"Parameter '{key}' is missing")
    queue = values.get("queue", "all")
    if queue not in ("all", "rx", "tx"):
        raise UserError(f"Invalid parameter 'queue={queue}'")
    new = DumpConfig(values["id"], values["netdev"], values["file"], f"-object {text}",
                     maxlen=keyvalue.number(values, "maxlen", DumpConfig.maxlen), queue=queue)
    if new.maxlen <= 0:
        raise UserError("Parameter 'maxlen' expects a number above 0")
    if any(other.id == new.id for other in request.config.dumps):
        raise UserError(f"Duplicate ID '{new.id}' for object")
    request.config.dumps.append(new)


def net(request: Request, text: str) -> None:
    if text != "none":
        raise UserError("only 'none' is supported, the rest is done by -nic and -netdev")
    request.network_given = True


def finish(request: Request) -> None:
    """The default card, and what only all options together show."""
    config = request.config
    if not request.network_given and not request.nodefaults:
        config.netdevs.insert(0, UserNetConfig("#net", "-nic user"))
        config.nics.insert(0, NicConfig("-nic user", netdev="#net"))
    if len(config.nics) > MAXIMUM:
        raise UserError(f"there are only {MAXIMUM} places for network cards")
    backends = {backend.id for backend in config.netdevs}
    plugged: set[str] = set()
    for card in config.nics:
        if card.netdev is None:
            continue
        if card.netdev not in backends:
            raise UserError(f"{card.source}: Property '{card.model}.netdev' can't find value "
                            f"'{card.netdev}'")
        if card.netdev in plugged:
            raise UserError(f"{card.source}: Property '{card.model}.netdev' can't take value "
                            f"'{card.netdev}', it's in use")
        plugged.add(card.netdev)
    for dump in config.dumps:
        if dump.netdev not in backends:
            raise UserError(f"{dump.source}: Parameter 'netdev' expects a network backend id")


def _mac(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}", text,
                        re.IGNORECASE | re.ASCII):
        raise UserError("invalid syntax for ethernet address")
    mac = bytes(int(part, 16) for part in re.split("[:-]", text))
    if mac[0] & 1:
        raise UserError(f"NIC cannot have multicast MAC address ({mac.hex(':')})")
    return mac


# --- what they are plugged into ---

def _values(text: str, extra: tuple[str, ...]) -> Pairs:
    """The keys and values; the first is the kind, by the name `type`."""
    kind = keyvalue.split(text)[0].removeprefix("type=")
    if kind in OTHER_KINDS:
        raise UserError(f"network backend '{kind}' is not supported")
    if kind not in BACKENDS:
        raise UserError(f"Parameter 'type' does not accept value '{kind}'")
    keys, _ = BACKENDS[kind]
    return keyvalue.pairs(text, ("type", *extra, *keys), implied="type")


def _backend(found: Pairs, ident: str, source: str) -> Netdev:
    _, build = BACKENDS[dict(found)["type"]]
    return build(found, ident, source)


def _add_netdev(request: Request, new: Netdev) -> None:
    if any(other.id == new.id for other in request.config.netdevs):
        raise UserError(f"Duplicate ID '{new.id}' for netdev")
    request.config.netdevs.append(new)


def _user(found: Pairs, ident: str, source: str) -> UserNetConfig:
    values = dict(found)
    new = UserNetConfig(ident, source)
    if "net" in values:
        new.network = _network(values["net"])
    first = int(new.network.network_address)
    new.host = _member(new, values, "host", first + HOST_PART)
    new.dhcp_start = _member(new, values, "dhcpstart", first + DHCP_PART)
    new.dns = _member(new, values, "dns", first + DNS_PART)
    if new.host == new.dns:
        raise UserError("DNS must be different from host")
    new.restrict = keyvalue.on_off(values, "restrict", False)
    new.ipv4 = keyvalue.on_off(values, "ipv4", "ipv6" not in values or values["ipv6"] == "off")
    new.ipv6 = keyvalue.on_off(values, "ipv6", "ipv4" not in values or values["ipv4"] == "off")
    if not new.ipv4 and not new.ipv6:
        raise UserError("IPv4 and IPv6 disabled")
    new.hostname = values.get("hostname", "")
    new.domain = values.get("domainname", "")
    new.dns_search = [value for key, value in found if key == "dnssearch"]
    new.tftp = values.get("tftp", "")
    if new.tftp and not os.path.isdir(new.tftp):
        raise UserError(f"tftp={new.tftp}: no such directory")
    new.tftp_server = values.get("tftp-server-name", "")
    new.bootfile = values.get("bootfile", "")
    new.forwards = [forward(value) for key, value in found if key == "hostfwd"]
    return new


def _network(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text if "/" in text else f"{text}/24", strict=False)
    except ValueError:
        raise UserError("Failed to parse netmask") from None
    if network.prefixlen > LONGEST_PREFIX:
        raise UserError(f"the network is too small, at most /{LONGEST_PREFIX} will do")
    return network


def _member(new: UserNetConfig, values: dict[str, str], key: str, default: int) -> IPv4Address:
    if key not in values:
        return IPv4Address(default)
    address = _address(values[key], f"Failed to parse {key}")
    if address not in new.network:
        name = {"host": "Host", "dhcpstart": "DHCP", "dns": "DNS"}[key]
        raise UserError(f"{name} doesn't belong to network")
    return address


def _address(text: str, complaint: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise UserError(complaint) from None


def forward(text: str) -> HostForward:
    """A rule of hostfwd=. Raises UserError."""
    rule = re.fullmatch(r"(tcp|udp|):([^:]*):([0-9]{1,5})-([^:]*):([0-9]{1,5})", text, re.ASCII)
    wrong = f"Invalid host forwarding rule '{text}'"
    if not rule:
        raise UserError(f"{wrong} (expected tcp|udp:[HOST]:PORT-[GUEST]:PORT)")
    protocol, host, host_port, guest, guest_port = rule.groups()
    for address in (host, guest):
        if address:
            _address(address, f"{wrong} (Bad address '{address}')")
    if int(host_port) > 65535:
        raise UserError(f"{wrong} (Bad host port)")
    if not 0 < int(guest_port) < 65536:
        raise UserError(f"{wrong} (Bad guest port)")
    return HostForward(text, protocol == "udp", host, int(host_port), guest, int(guest_port))


def _socket(found: Pairs, ident: str, source: str) -> SocketNetConfig:
    values = dict(found)
    modes = [mode for mode in ("listen", "connect", "mcast") if mode in values]
    if len(modes) != 1:
        raise UserError("exactly one of listen=, connect= and mcast= is required")
    mode = modes[0]
    host, colon, port = values[mode].rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"{mode}= expects [HOST]:PORT")
    if mode == "mcast" and not _address(host, "mcast= expects an IPv4 address").is_multicast:
        raise UserError(f"specified mcastaddr {host} does not contain a multicast address")
    if "localaddr" in values:
        if mode != "mcast":
            raise UserError("localaddr= is for mcast= only")
        _address(values["localaddr"], "localaddr= expects an IPv4 address")
    return SocketNetConfig(ident, source, mode, host, int(port), values.get("localaddr", ""))


def _tap(found: Pairs, ident: str, source: str) -> TapConfig:
    values = dict(found)
    for key in ("script", "downscript"):
        if values.get(key, "no") != "no":
            raise UserError(f"{key}= is not supported: give {key}=no, and set up the interface "
                            "before")
    if "fd" in values and "ifname" in values:
        raise UserError("ifname= and fd= exclude each other")
    if "fd" not in values and not values.get("ifname"):
        raise UserError("ifname= or fd= is needed")
    ifname = values.get("ifname", "")
    if len(ifname.encode()) > NAME_LIMIT:
        raise UserError(f"'{ifname}' is too long for an interface's name")
    fd = keyvalue.number(values, "fd", 0) if "fd" in values else None
    if fd is not None and fd < 0:
        raise UserError("Parameter 'fd' expects an open descriptor")
    return TapConfig(ident, source, ifname, fd)


BACKENDS: dict[str, tuple[tuple[str, ...], Callable[[Pairs, str, str], Netdev]]] = {
    "user": (USER_KEYS, _user), "socket": (SOCKET_KEYS, _socket), "tap": (TAP_KEYS, _tap),
}
