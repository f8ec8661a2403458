"""libslirp, a TCP/IP stack in user space, by ctypes.

Source: libslirp.h of libslirp 4.0 and later; only what configuration version 1 has is used.
"""
import ctypes
import os
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_void_p,
)
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from pyemu.config import GuestForward, HostForward, UserError, UserNetConfig
from pyemu.net._outlet import CLOCK_GET_NS, SEND_PACKET, Outlet

GLIB = "libglib-2.0.so.0"  # whose memory the library hands out
LIBRARY, PACKAGE = "libslirp.so.0", "libslirp0"
CONFIG_VERSION = 1
READABLE, WRITABLE, URGENT, ERROR, HANG_UP = 1, 2, 4, 8, 16  # events of a descriptor
FOREVER = 0xFFFF_FFFF  # ms

IPV6_PREFIX, IPV6_PREFIX_LENGTH = IPv6Address("fec0::"), 64
IPV6_HOST, IPV6_DNS = IPv6Address("fec0::2"), IPv6Address("fec0::3")

GuestError = CFUNCTYPE(None, c_char_p, c_void_p)
TimerCallback = CFUNCTYPE(None, c_void_p)
TimerNew = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
TimerFree = CFUNCTYPE(None, c_void_p, c_void_p)
TimerMod = CFUNCTYPE(None, c_void_p, c_int64, c_void_p)
PollFd = CFUNCTYPE(None, c_int, c_void_p)
Notify = CFUNCTYPE(None, c_void_p)
AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
GetEvents = CFUNCTYPE(c_int, c_int, c_void_p)


class In4(Structure):
    """struct in_addr, in the network's byte order."""

    _fields_ = [("words", c_uint32 * 1)]

    @classmethod
    def of(cls, address: IPv4Address | str) -> "In4":
        return cls.from_buffer_copy(IPv4Address(address or 0).packed)


class In6(Structure):
    """struct in6_addr, likewise."""

    _fields_ = [("words", c_uint32 * 4)]

    @classmethod
    def of(cls, address: IPv6Address) -> "In6":
        return cls.from_buffer_copy(address.packed)


class Settings(Structure):
    """SlirpConfig, version 1."""

    _fields_ = [
        ("version", c_uint32), ("restricted", c_int), ("in_enabled", c_bool),
        ("vnetwork", In4), ("vnetmask", In4), ("vhost", In4),
        ("in6_enabled", c_bool), ("vprefix_addr6", In6), ("vprefix_len", c_uint8),
        ("vhost6", In6), ("vhostname", c_char_p), ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p), ("bootfile", c_char_p), ("vdhcp_start", In4),
        ("vnameserver", In4), ("vnameserver6", In6), ("vdnssearch", POINTER(c_char_p)),
        ("vdomainname", c_char_p), ("if_mtu", c_size_t), ("if_mru", c_size_t),
        ("disable_host_loopback", c_bool), ("enable_emu", c_bool),
    ]


class Callbacks(Structure):
    """SlirpCb, as far as version 1 reads it."""

    _fields_ = [
        ("send_packet", c_void_p), ("guest_error", GuestError), ("clock_get_ns", c_void_p),
        ("timer_new", TimerNew), ("timer_free", TimerFree), ("timer_mod", TimerMod),
        ("register_poll_fd", PollFd), ("unregister_poll_fd", PollFd), ("notify", Notify),
    ]


class Host(Protocol):
    """Whom the stack calls, on the thread that calls it."""

    def on_frames(self, frames: list[bytes]) -> None: ...  # when all has been done
    def on_guest_error(self, message: str) -> None: ...
    def now(self) -> int: ...                          # ns
    def set_timer(self, ident: int, due: int) -> None: ...  # ms of that time
    def drop_timer(self, ident: int) -> None: ...
    def on_closing(self, fd: int) -> None: ...  # of a descriptor that was wanted, perhaps
    def on_notify(self) -> None: ...


def load() -> Any:
    """The library. Raises UserError if it is not installed."""
    try:
        # Its calls are short, and most call back: giving up the interpreter would cost more.
        library = ctypes.PyDLL(LIBRARY)
    except OSError:
        raise UserError(f"user networking needs {LIBRARY}: install the Debian package "
                        f"{PACKAGE}, or leave it out by -nic none") from None
    library.slirp_new.restype = c_void_p
    library.slirp_new.argtypes = [POINTER(Settings), POINTER(Callbacks), c_void_p]
    library.slirp_cleanup.argtypes = [c_void_p]
    library.slirp_input.argtypes = [c_void_p, c_char_p, c_int]
    library.slirp_pollfds_fill.argtypes = [c_void_p, POINTER(c_uint32), AddPoll, c_void_p]
    library.slirp_pollfds_poll.argtypes = [c_void_p, c_int, GetEvents, c_void_p]
    library.slirp_add_hostfwd.argtypes = [c_void_p, c_int, In4, c_int, In4, c_int]
    library.slirp_add_exec.argtypes = [c_void_p, c_char_p, POINTER(In4), c_int]
    library.slirp_remove_hostfwd.argtypes = [c_void_p, c_int, In4, c_int]
    library.slirp_connection_info.argtypes = [c_void_p]
    library.slirp_connection_info.restype = c_void_p
    return library


class Slirp:
    """One network. Used on one thread; raises UserError if the library is not there."""

    def __init__(self, config: UserNetConfig, host: Host):
        self._library = load()
        self._host = host
        self._polled: list[tuple[int, int]] = []
        self._ready: dict[int, int] = {}
        self._timers: dict[int, tuple[Callable[[int | None], None], int | None]] = {}
        # Kept, as the library refers to them as long as it lives.
        self._settings = _settings(config)
        self._callbacks = Callbacks(
            SEND_PACKET,
            GuestError(lambda message, _: host.on_guest_error(message.decode(errors="replace"))),
            CLOCK_GET_NS,
            TimerNew(self._timer_new),
            TimerFree(lambda timer, _: self._timer_free(timer)),
            TimerMod(lambda timer, due, _: host.set_timer(timer, due)),
            PollFd(lambda fd, _: None), PollFd(lambda fd, _: host.on_closing(fd)),
            Notify(lambda _: host.on_notify()))
        self._add_poll = AddPoll(self._on_add_poll)
        self._get_events = GetEvents(self._on_get_events)
        self._outlet = Outlet()
        self._outlet.now = host.now()
        self._slirp = self._library.slirp_new(byref(self._settings), byref(self._callbacks),
                                              id(self._outlet))
        if not self._slirp:
            raise UserError("the network could not be set up")

    def close(self) -> None:
        if self._slirp:
            self._library.slirp_cleanup(self._slirp)
            self._slirp = None

    def add_forward(self, forward: HostForward) -> None:
        """Listen on a port of the host. Raises UserError."""
        if self._library.slirp_add_hostfwd(
                self._slirp, forward.udp, In4.of(forward.host_address), forward.host_port,
                In4.of(forward.guest_address), forward.guest_port) < 0:
            raise UserError(f"Could not set up host forwarding rule '{forward.text}'")

    def add_guest_forward(self, forward: GuestForward) -> None:
        """Start a command for each connection to an address. Raises UserError."""
        if self._library.slirp_add_exec(self._slirp, os.fsencode(forward.command),
                                        byref(In4.of(forward.address)), forward.port) < 0:
            raise UserError("Conflicting/invalid host:port in guest forwarding rule "
                            f"'{forward.text}'")

    def remove_forward(self, udp: bool, host_address: str, host_port: int) -> bool:
        """Listen there no longer; False if nobody did."""
        return self._library.slirp_remove_hostfwd(
            self._slirp, udp, In4.of(host_address), host_port) >= 0

    def connections(self) -> str:
        """A table of them, as text."""
        text = self._library.slirp_connection_info(self._slirp)
        try:
            return ctypes.string_at(text).decode(errors="replace")
        finally:
            ctypes.CDLL(GLIB).g_free(c_void_p(text))

    def input(self, frames: list[bytes]) -> None:
        """Frames from the guest."""
        send, slirp = self._library.slirp_input, self._slirp
        self._outlet.now = self._host.now()
        for frame in frames:
            send(slirp, frame, len(frame))
        self._hand_over()

    def wanted(self) -> tuple[list[tuple[int, int]], int]:
        """Descriptors with the events to wait for, and for how many ms at most."""
        self._polled.clear()
        timeout = c_uint32(FOREVER)
        self._library.slirp_pollfds_fill(self._slirp, byref(timeout), self._add_poll, None)
        return self._polled, timeout.value

    def poll(self, ready: dict[int, int]) -> None:
        """Serve the descriptors, of those that were wanted, that have these events."""
        self._ready = ready
        self._outlet.now = self._host.now()
        self._library.slirp_pollfds_poll(self._slirp, 0, self._get_events, None)
        self._hand_over()

    def fire(self, ident: int) -> None:
        """The time of `set_timer` has come."""
        if ident in self._timers:
            callback, argument = self._timers[ident]
            self._outlet.now = self._host.now()
            callback(argument)
            self._hand_over()

    def _hand_over(self) -> None:
        frames = self._outlet.take()
        if frames:
            self._host.on_frames(frames)

    # --- called by the library ---

    def _timer_new(self, callback: int, argument: int | None, _: int | None) -> int:
        ident = max(self._timers, default=0) + 1
        self._timers[ident] = TimerCallback(callback), argument
        return ident

    def _timer_free(self, ident: int) -> None:
        self._timers.pop(ident, None)
        self._host.drop_timer(ident)

    def _on_add_poll(self, fd: int, events: int, _: int | None) -> int:
        self._polled.append((fd, events))
        return len(self._polled) - 1

    def _on_get_events(self, index: int, _: int | None) -> int:
        if not 0 <= index < len(self._polled):
            return 0
        fd, events = self._polled[index]
        return self._ready.get(fd, 0) & events


def _settings(config: UserNetConfig) -> Settings:
    return Settings(
        version=CONFIG_VERSION, restricted=config.restrict, in_enabled=config.ipv4,
        vnetwork=In4.of(config.network.network_address), vnetmask=In4.of(config.network.netmask),
        vhost=In4.of(config.host), in6_enabled=config.ipv6, vprefix_addr6=In6.of(IPV6_PREFIX),
        vprefix_len=IPV6_PREFIX_LENGTH, vhost6=In6.of(IPV6_HOST), vhostname=_text(config.hostname),
        tftp_server_name=_text(config.tftp_server), tftp_path=_text(config.tftp),
        bootfile=_text(config.bootfile), vdhcp_start=In4.of(config.dhcp_start),
        vnameserver=In4.of(config.dns), vnameserver6=In6.of(IPV6_DNS),
        vdnssearch=_texts(config.dns_search), vdomainname=_text(config.domain),
        if_mtu=0, if_mru=0, disable_host_loopback=False, enable_emu=False)


def _text(value: str) -> bytes | None:
    return os.fsencode(value) or None


def _texts(values: list[str]) -> Any:
    return (c_char_p * (len(values) + 1))(*map(os.fsencode, values), None) if values else None
