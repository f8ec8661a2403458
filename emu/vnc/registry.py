"""All VNC servers of a run, and the thread they live on."""
from collections.abc import Callable
from typing import Any

from pyemu.chardev.loop import IoLoop
from pyemu.config import Config
from pyemu.vnc.server import Server


class Servers:
    """Opens the servers at once, raising UserError; `start` lets clients in; `close` ends it.

    on_crash(error) is called when the thread fails.
    """

    def __init__(self, runner: Any, config: Config, on_crash: Callable[[Exception], None]):
        self.loop = IoLoop(on_crash, name="vnc")
        self.servers: list[Server] = []
        try:
            for vnc in config.vnc:
                self.servers.append(Server(runner, config, vnc, self.loop))
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        for server in self.servers:
            server.start()
        self.loop.start()

    def close(self) -> None:
        self.loop.stop()
        for server in self.servers:
            server.close()
