"""An interface of the host's kernel (TUN/TAP): a frame for each read and write.

Source: Linux, Documentation/networking/tuntap.rst.
"""
import fcntl
import os
import struct
from contextlib import suppress

from pyemu.config import TapConfig
from pyemu.net.backend import Backend

DEVICE = "/dev/net/tun"
TUNSETIFF = 0x4004_54CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
REQUEST = struct.Struct("16sH22x")  # struct ifreq
MAX_FRAME = 68 * 1024  # bytes
BATCH = 64  # frames read in one go


class Tap(Backend):
    config: TapConfig

    def open(self) -> None:
        if self.config.fd is not None:
            self._fd = os.dup(self.config.fd)
        else:
            self._fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
            try:
                answer = fcntl.ioctl(self._fd, TUNSETIFF, REQUEST.pack(
                    os.fsencode(self.config.ifname), IFF_TAP | IFF_NO_PI))
            except OSError:
                os.close(self._fd)
                raise
            self.config.ifname = os.fsdecode(REQUEST.unpack(answer)[0].rstrip(b"\0"))
        os.set_blocking(self._fd, False)

    def start(self) -> None:
        self.loop.watch(self._fd, self._on_readable)

    def close(self) -> None:
        self.loop.watch(self._fd)
        os.close(self._fd)

    def resume(self) -> None:
        self.start()

    def transmit(self, frames: list[bytes]) -> None:
        for frame in frames:
            with suppress(OSError):  # down, or its queue is full: lost, as on a wire
                os.write(self._fd, frame)

    def _on_readable(self) -> None:
        room = min(BATCH, self.cable.room())
        watching = room > 0
        frames: list[bytes] = []
        try:
            while watching and len(frames) < room:
                frame = os.read(self._fd, MAX_FRAME)
                if frame:
                    frames.append(frame)
                else:
                    watching = False  # the interface has gone
        except BlockingIOError:
            pass
        except OSError:
            watching = False
        if not watching:
            self.loop.watch(self._fd)
        self.cable.deliver(frames)
