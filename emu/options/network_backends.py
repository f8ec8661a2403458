"""What cards are plugged into: the `user`, `socket` and `tap` of -nic, -netdev and -net."""
import os
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from pyemu.config import (
    GuestForward,
    HostForward,
    SocketNetConfig,
    TapConfig,
    UserError,
    UserNetConfig,
)
from pyemu.options import keyvalue

Netdev = UserNetConfig | SocketNetConfig | TapConfig
Pairs = list[tuple[str, str]]

USER_KEYS = ("net", "host", "restrict", "hostname", "dhcpstart", "dns", "dnssearch", "domainname",
             "tftp", "tftp-server-name", "bootfile", "hostfwd", "guestfwd", "ipv4", "ipv6")
SOCKET_KEYS = ("listen", "connect", "mcast", "udp", "localaddr")
TAP_KEYS = ("ifname", "fd", "script", "downscript")
UNSUPPORTED_KEYS = {
    "user": ("smb", "smbserver", "ipv6-net", "ipv6-prefix", "ipv6-prefixlen", "ipv6-host",
             "ipv6-dns"),
    "socket": ("fd",),
    "tap": ("fds", "br", "helper", "sndbuf", "vnet_hdr", "vhost", "vhostfd", "vhostfds",
            "vhostforce", "queues", "poll-us"),
}
OTHER_KINDS = ("l2tpv3", "vde", "bridge", "netmap", "vhost-user", "vhost-vdpa", "hubport",
               "stream", "dgram")
NAME_LIMIT = 15  # characters of an interface's name
HOST_PART, DHCP_PART, DNS_PART = 2, 15, 3  # of the network's address
LONGEST_PREFIX = 27
LONGEST_NAME, LONGEST_BOOTFILE = 255, 127  # bytes, in DHCP's packets
COMMAND = "cmd:"


def parse(text: str, extra: tuple[str, ...]) -> Pairs:
    """The keys and values; the first is the kind, by the name `type`."""
    kind = keyvalue.split(text)[0].removeprefix("type=")
    if kind in OTHER_KINDS:
        raise UserError(f"network backend '{kind}' is not supported")
    if kind not in BACKENDS:
        raise UserError(f"Parameter 'type' does not accept value '{kind}'")
    keys, _ = BACKENDS[kind]
    unsupported = UNSUPPORTED_KEYS[kind]
    found = keyvalue.pairs(text, ("type", *extra, *keys, *unsupported), implied="type")
    for key, _ in found:
        if key in unsupported:
            raise UserError(f"'{key}' is not supported")
    return found


def build(found: Pairs, ident: str, source: str) -> Netdev:
    """What the user asked for, from what `parse` found."""
    _, make = BACKENDS[dict(found)["type"]]
    return make(found, ident, source)


# --- user ---

def _user(found: Pairs, ident: str, source: str) -> UserNetConfig:
    values = dict(found)
    new = UserNetConfig(ident, source)
    if "net" in values:
        new.network = _network(values["net"])
    first = int(new.network.network_address)
    new.host = _member(new, values, "host", "Host", first + HOST_PART)
    new.dhcp_start = _member(new, values, "dhcpstart", "DHCP", first + DHCP_PART)
    new.dns = _member(new, values, "dns", "DNS", first + DNS_PART)
    if new.host == new.dns:
        raise UserError("DNS must be different from host")
    if new.dhcp_start in (new.host, new.dns):
        raise UserError("DHCP must be different from host and DNS")
    new.restrict = keyvalue.on_off(values, "restrict", False)
    new.ipv4 = keyvalue.on_off(values, "ipv4", "ipv6" not in values or values["ipv6"] == "off")
    new.ipv6 = keyvalue.on_off(values, "ipv6", "ipv4" not in values or values["ipv4"] == "off")
    if not new.ipv4 and not new.ipv6:
        raise UserError("IPv4 and IPv6 disabled")
    new.hostname = _limited(values, "hostname", "vhostname", LONGEST_NAME)
    if values.get("domainname") == "":
        raise UserError("'domainname' parameter cannot be empty")
    new.domain = _limited(values, "domainname", "domainname", LONGEST_NAME)
    new.dns_search = [value for key, value in found if key == "dnssearch"]
    new.tftp = values.get("tftp", "")
    if new.tftp and not os.path.isdir(new.tftp):
        raise UserError(f"tftp={new.tftp}: no such directory")
    new.tftp_server = _limited(values, "tftp-server-name", "tftp-server-name", LONGEST_NAME)
    new.bootfile = _limited(values, "bootfile", "bootfile", LONGEST_BOOTFILE)
    new.forwards = [forward(value) for key, value in found if key == "hostfwd"]
    new.guest_forwards = [_guest_forward(value) for key, value in found if key == "guestfwd"]
    return new


def _network(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text if "/" in text else f"{text}/24", strict=False)
    except ValueError:
        raise UserError("Failed to parse netmask") from None
    if network.prefixlen > LONGEST_PREFIX:
        raise UserError(f"the network is too small, at most /{LONGEST_PREFIX} will do")
    return network


def _member(new: UserNetConfig, values: dict[str, str], key: str, name: str,
            default: int) -> IPv4Address:
    if key not in values:
        return IPv4Address(default)
    what = {"Host": "host", "DHCP": "DHCP start address", "DNS": "DNS"}[name]
    address = _address(values[key], f"Failed to parse {what}")
    if address not in new.network:
        raise UserError(f"{name} doesn't belong to network")
    return address


def _limited(values: dict[str, str], key: str, name: str, limit: int) -> str:
    value = values.get(key, "")
    if len(os.fsencode(value)) > limit:
        raise UserError(f"'{name}' parameter cannot exceed {limit} bytes")
    return value


def _address(text: str, complaint: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise UserError(complaint) from None


def forward(text: str) -> HostForward:
    """A rule of hostfwd=, [tcp|udp]:[HOST]:PORT-[GUEST]:PORT. Raises UserError."""
    def wrong(why: str) -> UserError:
        return UserError(f"Invalid host forwarding rule '{text}' ({why})")

    protocol, colon, rest = text.partition(":")
    if not colon:
        raise wrong("No : separators")
    if protocol not in ("", "tcp", "udp"):
        raise wrong("Bad protocol name")
    host, colon, rest = rest.partition(":")
    if not colon:
        raise wrong("Missing : separator")
    _address(host or "0.0.0.0", str(wrong("Bad host address")))
    host_port, dash, rest = rest.partition("-")
    if not dash:
        raise wrong("Bad host port separator")
    guest, colon, guest_port = rest.partition(":")
    if not _is_port(host_port or "0"):
        raise wrong("Bad host port")
    if not colon:
        raise wrong("Missing guest address")
    _address(guest or "0.0.0.0", str(wrong("Bad guest address")))
    if not _is_port(guest_port) or int(guest_port) == 0:
        raise wrong("Bad guest port")
    return HostForward(text, protocol == "udp", host, int(host_port or "0"), guest,
                       int(guest_port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= 0xFFFF


def _guest_forward(text: str) -> GuestForward:
    """A rule of guestfwd=, [tcp]:SERVER:PORT-cmd:COMMAND."""
    rule = re.fullmatch(r"(?:tcp)?:([^:]*):([0-9]{1,5})-(.*)", text, re.ASCII | re.DOTALL)
    wrong = f"Invalid guest forwarding rule '{text}'"
    if not rule or not 0 < int(rule[2]) <= 0xFFFF:
        raise UserError(wrong)
    _address(rule[1] or "0.0.0.0", wrong)
    command = rule[3].removeprefix(COMMAND)
    if command == rule[3] or not command.strip():
        raise UserError(f"{wrong} (only {COMMAND}COMMAND is supported)")
    return GuestForward(text, rule[1], int(rule[2]), command)


# --- socket ---

def _socket(found: Pairs, ident: str, source: str) -> SocketNetConfig:
    values = dict(found)
    modes = [mode for mode in ("listen", "connect", "mcast", "udp") if mode in values]
    if len(modes) != 1:
        raise UserError("exactly one of listen=, connect=, mcast= or udp= is required")
    mode = modes[0]
    local = values.get("localaddr", "")
    if local and mode not in ("mcast", "udp"):
        raise UserError("localaddr= is only valid with mcast= or udp=")
    if mode == "udp" and not local:
        raise UserError("localaddr= is mandatory with udp=")
    host, port = _place(values[mode])
    if mode == "mcast":
        if not _address(host, f"can't resolve host address '{host}'").is_multicast:
            raise UserError(f"specified mcastaddr {host} ({int(IPv4Address(host)):#010x}) "
                            "does not contain a multicast address")
        if local:
            _address(local, f"localaddr '{local}' is not a valid IPv4 address")
    local_port = 0
    if mode == "udp":
        local, local_port = _place(local)
    return SocketNetConfig(ident, source, mode, host, port, local, local_port)


def _place(text: str) -> tuple[str, int]:
    """HOST:PORT, where the host may be left out."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise UserError(f"host address '{text}' doesn't contain ':' separating host from port")
    if not _is_port(port) or int(port) == 0:
        raise UserError(f"port number '{port}' is invalid")
    return keyvalue.host(host), int(port)


# --- tap ---

def _tap(found: Pairs, ident: str, source: str) -> TapConfig:
    values = dict(found)
    ifname = values.get("ifname", "")
    if "fd" in values:
        if values.keys() & {"ifname", "script", "downscript"}:
            raise UserError("ifname=, script= and downscript= are invalid with fd=")
        fd = keyvalue.number(values, "fd", 0)
        if fd < 0:
            raise UserError("Parameter 'fd' expects an open descriptor")
        return TapConfig(ident, source, fd=fd)
    for key in ("script", "downscript"):
        if values.get(key, "no") != "no":
            raise UserError(f"{key}= is not supported: give {key}=no, and set up the interface "
                            "before")
    if len(os.fsencode(ifname)) > NAME_LIMIT:
        raise UserError(f"'{ifname}' is too long for an interface's name")
    return TapConfig(ident, source, ifname)


BACKENDS: dict[str, tuple[tuple[str, ...], Callable[[Pairs, str, str], Netdev]]] = {
    "user": (USER_KEYS, _user), "socket": (SOCKET_KEYS, _socket), "tap": (TAP_KEYS, _tap),
}
