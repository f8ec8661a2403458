"""Commands about the VNC servers."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.monitor import vnc
from pyemu.monitor.qmp.types import QmpError
from pyemu.monitor.vnc import VncError

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session


def query(session: Session) -> dict[str, Any]:
    """The first server, as clients know it who expect only one."""
    server = vnc.find(session.runner, None)
    if server is None:
        return {"enabled": False}
    about = server.about()
    answer = {"enabled": True, "auth": about["auth"], "clients": about["clients"]}
    for place in about["server"][:1]:
        answer |= {name: place[name] for name in ("host", "service", "family")}
    return answer


def query_servers(session: Session) -> list[dict[str, Any]]:
    return [server.about() for server in reversed(session.runner.vnc)]


def set_password(session: Session, protocol: str, password: str, connected: str = "keep",
                 display: str | None = None) -> None:
    _do(lambda: vnc.store_password(session.runner, protocol, password, display, connected))


def expire_password(session: Session, protocol: str, time: str,
                    display: str | None = None) -> None:
    _do(lambda: vnc.store_expiry(session.runner, protocol, time, display))


def change_password(session: Session, password: str) -> None:
    _do(lambda: vnc.store_password(session.runner, "vnc", password))


def _do(action: Callable[[], None]) -> None:
    try:
        action()
    except VncError as error:
        text = str(error)
        raise QmpError(text, "DeviceNotActive" if "SPICE" in text else "GenericError") from None


COMMANDS: dict[str, Callable[..., Any]] = {
    "query-vnc": query,
    "query-vnc-servers": query_servers,
    "set_password": set_password,
    "expire_password": expire_password,
    "change-vnc-password": change_password,
}
