"""What one client is shown: its pixel format, its encodings, what it has not yet seen.

Source: RFC 6143, sections 7.6 and 7.7.
"""
import zlib
from collections.abc import Callable

import numpy as np
from pyemu.trace.hooks import (
    trace_vnc_job_add_rect,
    trace_vnc_job_nrects,
    trace_vnc_msg_server_desktop_resize,
    trace_vnc_msg_server_ext_desktop_resize,
)
from pyemu.vnc import hextile, protocol
from pyemu.vnc.canvas import TILE, Canvas, rectangles
from pyemu.vnc.pixels import NATIVE, PixelFormat, colour_map
from pyemu.vnc.protocol import RECTANGLE

USUAL_LEVEL = 6  # of compression


class View:
    """Makes messages for a client whose framebuffer has the size that it was last told.

    wanted: it has asked for an update and not got it.
    """

    def __init__(self, canvas: Canvas):
        self.canvas = canvas
        self.format = NATIVE
        self.wanted = False
        self.relative = False  # the client knows that the mouse only moves, by no fixed place
        self._size = canvas.size
        self._unseen = canvas.grid(True)
        self._abilities: frozenset[int] = frozenset()
        self._encoding = protocol.RAW
        self._encoders: dict[int, Callable[[np.ndarray], bytes]] = {
            protocol.RAW: lambda pixels: pixels.tobytes(),
            protocol.HEXTILE: hextile.encode,
            protocol.ZLIB: self._deflate,
        }
        self._level = USUAL_LEVEL
        self._stream: zlib._Compress | None = None
        self._announcements: list[int] = []  # POINTER_TYPE with a left edge of 0: relative
        self._size_answer: tuple[int, int] | None = None  # why and with which outcome
        self._map_wanted = False

    # What the client says

    def set_format(self, wanted: PixelFormat) -> None:
        self.format = wanted
        self._map_wanted = not wanted.true_colour

    def set_encodings(self, numbers: list[int]) -> None:
        """In the order of its preference. Raw it must always know."""
        self._encoding = next((n for n in numbers if n in self._encoders), protocol.RAW)
        self._level = next((protocol.LEVELS.index(n) for n in numbers if n in protocol.LEVELS),
                           USUAL_LEVEL)
        self._abilities = frozenset(numbers)
        self.relative = protocol.POINTER_TYPE in numbers
        self._announcements = [n for n in (protocol.POINTER_TYPE, protocol.EXTENDED_KEYS)
                               if n in numbers]
        if protocol.EXTENDED_DESKTOP_SIZE in numbers:
            self._size_answer = protocol.BY_SERVER, protocol.SIZE_OK

    def want(self, incremental: bool, left: int, top: int, width: int, height: int) -> None:
        """An update: of what has changed, or of all in that rectangle."""
        self.wanted = True
        if not incremental:
            self._unseen[top // TILE:-(-(top + height) // TILE),
                         left // TILE:-(-(left + width) // TILE)] = True

    def refuse_size(self) -> None:
        """The client would like the screen to have another size, which is the guest's affair."""
        self._size_answer = protocol.BY_THIS_CLIENT, protocol.SIZE_INVALID

    # What the guest does

    def mark(self, tiles: np.ndarray) -> None:
        """These have changed."""
        if tiles.shape == self._unseen.shape:
            self._unseen |= tiles
        else:
            self._unseen = self.canvas.grid(True)

    # What the client is sent

    def news(self) -> bytes:
        """What it is to be told without being asked; b"" if nothing."""
        message = b""
        if self._map_wanted:
            self._map_wanted = False
            message += _map_message()
        parts = [RECTANGLE.pack(0, 0, *self._size, number) for number in self._announcements]
        self._announcements = []
        parts += self._size_news()
        if parts:
            message += protocol.UPDATE.pack(protocol.UPDATE_TYPE, len(parts)) + b"".join(parts)
        return message

    def update(self) -> bytes:
        """All it has not seen, if it wants to; else b""."""
        if not self.wanted or not self._unseen.any():
            return b""
        width, height = (min(pair) for pair in zip(self._size, self.canvas.size, strict=True))
        areas = rectangles(self._unseen, width, height)
        self._unseen[:] = False
        if not areas:
            return b""
        self.wanted = False
        parts = [protocol.UPDATE.pack(protocol.UPDATE_TYPE, len(areas))]
        for left, top, width, height in areas:
            trace_vnc_job_add_rect(self, self, left, top, width, height)
            parts.append(RECTANGLE.pack(left, top, width, height, self._encoding))
            part = self.canvas.picture[top:top + height, left:left + width]
            parts.append(self._encoders[self._encoding](self.format.encode(part)))
        trace_vnc_job_nrects(self, self, len(areas))
        return b"".join(parts)

    def _size_news(self) -> list[bytes]:
        resized = self._size != self.canvas.size
        if not resized and not self._size_answer:
            return []
        if protocol.EXTENDED_DESKTOP_SIZE in self._abilities:
            reason, outcome = self._size_answer or (protocol.BY_SERVER, protocol.SIZE_OK)
            head = RECTANGLE.pack(reason, outcome, *self.canvas.size,
                                  protocol.EXTENDED_DESKTOP_SIZE)
            parts = [head + protocol.ONE_SCREEN.pack(1, 0, 0, 0, *self.canvas.size, 0)]
            trace_vnc_msg_server_ext_desktop_resize(self, self, *self.canvas.size, reason)
        elif resized and protocol.DESKTOP_SIZE in self._abilities:
            parts = [RECTANGLE.pack(0, 0, *self.canvas.size, protocol.DESKTOP_SIZE)]
            trace_vnc_msg_server_desktop_resize(self, self, *self.canvas.size)
        else:
            parts = []
        self._size_answer = None
        if parts and resized:
            self._size = self.canvas.size
            self._unseen = self.canvas.grid(True)
        return parts

    def _deflate(self, pixels: np.ndarray) -> bytes:
        """One stream for as long as the client stays."""
        if self._stream is None:
            self._stream = zlib.compressobj(self._level)
        data = self._stream.compress(pixels.tobytes()) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return len(data).to_bytes(4) + data


def _map_message() -> bytes:
    colours = colour_map()
    return protocol.COLOUR_MAP.pack(protocol.COLOUR_MAP_TYPE, 0, len(colours)) + b"".join(
        value.to_bytes(2) for colour in colours for value in colour)
