"""All back ends of a run's network cards, and the dumps of what passes."""
import threading
from typing import Any

from pyemu.chardev.loop import IoLoop
from pyemu.config import HUB, Config, NetdevConfig, SocketNetConfig, TapConfig, UserError
from pyemu.machine.net.peer import Peer, Unplugged
from pyemu.net.backend import Backend
from pyemu.net.cable import Cable
from pyemu.net.dump import Dump
from pyemu.net.socket import Datagrams, Multicast, Stream
from pyemu.net.tap import Tap
from pyemu.net.user import UserNetwork
from pyemu.report import complain

CLOSE_TIMEOUT = 5  # seconds


class Netdevs:
    """Opens them all at once, raising UserError; they live on `loop` from `start` to `close`.

    machine: a `Runner`.
    """

    def __init__(self, config: Config, loop: IoLoop, machine: Any):
        self.loop = loop
        self._cables: dict[str, Cable] = {}
        self._backends: list[Backend] = []
        self._dumps: list[Dump] = []
        try:
            for netdev in config.netdevs:
                cable = self._cables[netdev.id] = Cable(loop, machine)
                backend = _kind(netdev)(netdev, loop, cable)
                _open(netdev, backend)
                self._backends.append(backend)
            for dump in config.dumps:
                self._add_dump(dump)
        except BaseException:
            self._close()
            raise
        plugged = {nic.netdev for nic in config.nics}
        for netdev in config.netdevs:
            if netdev.id not in plugged:
                complain("warning: hub 0 with no nics" if netdev.id == HUB
                         else f"warning: netdev {netdev.id} has no peer")

    def peer(self, ident: str | None) -> Peer:
        """What a card that names this netdev is plugged into."""
        return self._cables[ident] if ident is not None else Unplugged()

    def user_networks(self) -> list[UserNetwork]:
        return [backend for backend in self._backends if isinstance(backend, UserNetwork)]

    def traffic(self) -> int:
        """Bytes that the guest has sent and frames that it was sent."""
        return sum(cable.traffic for cable in self._cables.values())

    def start(self) -> None:
        for backend in self._backends:
            self.loop.call(backend.start)

    def close(self) -> None:
        """Give everything back, on the loop's thread while there is one."""
        if not self.loop.running():
            self._close()
            return
        done = threading.Event()

        def finish() -> None:
            self._close()
            done.set()

        self.loop.call(finish)
        done.wait(CLOSE_TIMEOUT)

    def _close(self) -> None:
        for backend in self._backends:
            backend.close()
        for dump in self._dumps:
            dump.close()

    def _add_dump(self, config: Any) -> None:
        try:
            dump = Dump(config)
        except OSError as error:
            raise UserError(f"{config.source}: filter-dump: can't open {config.file}: "
                            f"{error.strerror}") from None
        self._dumps.append(dump)
        self._cables[config.netdev].dumps.append(dump)


def card_names(config: Config) -> list[str]:
    """What the monitor calls each card."""
    return [nic.id or f"{nic.model}.{number}" for number, nic in enumerate(config.nics)]


def describe(config: Config) -> str:
    """What `info network` shows."""
    netdevs = {netdev.id: netdev for netdev in config.netdevs}
    lines = []
    for name, nic in zip(card_names(config), config.nics, strict=True):
        mac = nic.mac.hex(":") if nic.mac else ""
        lines.append(f"{name}: index=0,type=nic,model={nic.model},macaddr={mac}")
        if nic.netdev is not None:
            lines.append(f" \\ {_line(netdevs.pop(nic.netdev))}")
    lines += map(_line, netdevs.values())
    if config.dumps:
        lines.append("filters:")
    for dump in config.dumps:
        lines.append(f"  - {dump.id}: type=filter-dump,file={dump.file},maxlen={dump.maxlen},"
                     f"netdev={dump.netdev},queue={dump.queue}")
    return "\n".join(lines)


def _line(netdev: Any) -> str:
    return f"{netdev.id}: index=0,type={netdev.kind},{netdev.describe()}"


def _kind(netdev: NetdevConfig) -> type[Backend]:
    if isinstance(netdev, TapConfig):
        return Tap
    if isinstance(netdev, SocketNetConfig):
        return {"mcast": Multicast, "udp": Datagrams}.get(netdev.mode, Stream)
    return UserNetwork


def _open(netdev: NetdevConfig, backend: Backend) -> None:
    try:
        backend.open()
    except UserError as error:
        raise UserError(f"{netdev.source}: {error}") from None
    except OSError as error:
        raise UserError(f"{netdev.source}: could not open the network backend: "
                        f"{error.strerror or error}") from None
