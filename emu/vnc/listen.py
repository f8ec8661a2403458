"""Where clients come in: a server's sockets, opened with QEMU's texts for what goes wrong."""
import errno
import os
import socket
from typing import Any

from pyemu import unix_socket
from pyemu.config import UserError, VncConfig

BACKLOG = 8
FAMILIES = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6", socket.AF_UNIX: "unix"}


def listen(config: VncConfig) -> list[socket.socket]:
    """Sockets that listen, on the first free port of those allowed. Raises UserError."""
    if config.path:
        return [_listen_unix(config)]
    if config.port is None:
        return []
    addresses = _resolve(config, config.port)
    for port in range(config.port, config.last_port + 1):
        try:
            return _listen_on(addresses, port)
        except OSError as error:
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    raise UserError(
        f"{config.source}: Failed to find an available port: "
        f"{os.strerror(failure.errno or errno.EINVAL)}")


def describe(family: int, address: Any) -> dict[str, Any]:
    """A socket's address, as QMP tells it."""
    if family == socket.AF_UNIX:
        host, service = "", os.fsdecode(address) if address else ""
    else:
        host, service = address[0], str(address[1])
    return {"host": host, "service": service, "family": FAMILIES[socket.AddressFamily(family)],
            "websocket": False}


def _resolve(config: VncConfig, port: int) -> list[tuple[int, str]]:
    """Families and addresses of the host that the user named."""
    try:
        found = socket.getaddrinfo(config.host, port, type=socket.SOCK_STREAM,
                                   flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UserError(f"{config.source}: address resolution failed for {config.host}:{port}: "
                        f"{error.strerror}") from None
    return list(dict.fromkeys((family, str(address[0])) for family, *_, address in found))


def _listen_on(addresses: list[tuple[int, str]], port: int) -> list[socket.socket]:
    """On all of them. One that the host does not have is left out if there is another."""
    listeners: list[socket.socket] = []
    failure = None
    for family, host in addresses:
        try:
            listeners.append(socket.create_server((host, port), family=family, backlog=BACKLOG))
        except OSError as error:
            failure = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                break
    else:
        if listeners:
            return listeners
    for listener in listeners:
        listener.close()
    assert failure is not None
    raise failure


def _listen_unix(config: VncConfig) -> socket.socket:
    try:
        return unix_socket.listen(config.path, BACKLOG)
    except OSError as error:
        reason = error.strerror or error  # a path too long has no number
        raise UserError(f"{config.source}: Failed to bind socket to {config.path}: "
                        f"{reason}") from None
