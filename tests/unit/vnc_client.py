"""A VNC client that keeps the picture it is sent, and a server on a machine of stand-ins."""
import socket
import struct
import time
import zlib
from types import SimpleNamespace

import numpy as np
from pyemu.chardev.loop import IoLoop
from pyemu.config import Config, VncConfig
from pyemu.machine.vga import Vga
from pyemu.runstate import RunState
from pyemu.vnc.auth import answer
from pyemu.vnc.pixels import NATIVE
from pyemu.vnc.server import Server

RAW, HEXTILE, ZLIB = 0, 5, 6
DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, POINTER_TYPE, EXTENDED_KEYS = -223, -308, -257, -258
VRAM = 1 << 22


class FakeRunner:
    """What is posted is done at once, and what reaches keyboard and mouse noted."""

    def __init__(self, clock):
        self.log = []
        self.events = []
        self.state = RunState.RUNNING
        self.clock = clock
        self.machine = SimpleNamespace(
            vga=Vga(clock, bytearray(VRAM)),
            keyboard=SimpleNamespace(key=lambda key, down: self.log.append((key, down)), leds=0,
                                     events=[]),
            mouse=SimpleNamespace(move=lambda *by: self.log.append(by),
                                  button=lambda held: self.log.append(held)))

    def post(self, function):
        function()

    def tell(self, event, data):
        self.events.append((event, data))

    def show(self, picture):
        """Set a mode of 32 bits with these pixels."""
        height, width = picture.shape
        vga = self.machine.vga
        vga.registers.attribute_index = 0x20
        for index, value in ((4, 0), (1, width), (2, height), (3, 32), (4, 0x41)):
            vga.dispi.write_register(index, value)
        vga.vram[:picture.nbytes] = picture.astype("<u4").tobytes()


class Site:
    """A server whose thread is the test's: `turn` lets it do what there is to do."""

    def __init__(self, clock, name="", **options):
        self.runner = FakeRunner(clock)
        self.loop = IoLoop(on_crash=lambda error: None)
        if "vga" in options:
            self.runner.machine.vga = options.pop("vga")
        options = {"key_delay": 0, **options}
        self.server = Server(self.runner, Config(name=name),
                             VncConfig("default", "-vnc", **options), self.loop)
        self.server.start()

    def turn(self, times=1):
        for _ in range(times):
            self.loop.call(lambda: None)  # so that it does not wait
            self.loop._turn()

    def connect(self):
        ours, theirs = socket.socketpair()
        self.server.welcome(theirs)
        return Viewer(ours, lambda: self.turn())


class Viewer:
    """read(count) lets the server go on until so many bytes have come."""

    def __init__(self, connection, idle):
        self.socket = connection
        self.socket.setblocking(False)
        self.idle = idle
        self.format = NATIVE
        self.picture = np.zeros((0, 0), np.uint32)  # the client's pixels
        self.colour_map = None
        self.news = []  # pseudo-rectangles
        self.rectangles = []  # of the last update
        self._stream = zlib.decompressobj()

    def read(self, count, patience=2000):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
                if not part:
                    raise EOFError(data)
                data += part
            except BlockingIOError:
                patience -= 1
                time.sleep(0.0005)
                assert patience, f"only {len(data)} of {count} bytes came"
                self.idle()
        return data

    def send(self, data):
        self.socket.send(data)

    def close(self):
        self.socket.close()

    # Handshake

    def greet(self, version=b"RFB 003.008\n", password=None, shared=True):
        """Returns the server's name."""
        assert self.read(12) == b"RFB 003.008\n"
        self.send(version)
        if version == b"RFB 003.003\n":
            kind = int.from_bytes(self.read(4))
        else:
            kinds = self.read(self.read(1)[0])
            kind, = kinds
            self.send(kinds)
        if kind == 2:
            self.send(answer((password or "").encode(), self.read(16)))
        if (kind == 2 or version == b"RFB 003.008\n") and int.from_bytes(self.read(4)):
            raise PermissionError(self.read(int.from_bytes(self.read(4))))
        self.send(bytes([shared]))
        width, height, _, length = struct.unpack(">HH16sI", self.read(24))
        self.picture = np.zeros((height, width), np.uint32)
        return self.read(length).decode()

    # Messages

    def set_format(self, pixel_format):
        self.format = pixel_format
        self.picture = np.zeros(self.picture.shape, self._type())
        self.send(b"\0\0\0\0" + pixel_format.pack())

    def set_encodings(self, *numbers):
        self.send(struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers))

    def request(self, incremental=False):
        height, width = self.picture.shape
        self.send(struct.pack(">BBHHHH", 3, incremental, 0, 0, width, height))

    def key(self, symbol, down):
        self.send(struct.pack(">BBxxI", 4, down, symbol))

    def extended_key(self, symbol, number, down):
        self.send(struct.pack(">BBHII", 255, 0, down, symbol, number))

    def pointer(self, buttons, x, y):
        self.send(struct.pack(">BBHH", 5, buttons, x, y))

    def refresh(self, incremental=False):
        """Ask, and take messages until there are pixels."""
        self.request(incremental)
        while not self.take():
            pass

    def take(self):
        """Take one message. True if it had pixels."""
        kind, = self.read(1)
        if kind == 1:
            _, count = struct.unpack(">xHH", self.read(5))
            self.colour_map = struct.unpack(f">{3 * count}H", self.read(6 * count))
            return False
        assert kind == 0, kind
        count, = struct.unpack(">xH", self.read(3))
        self.rectangles = []
        for _ in range(count):
            left, top, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            if encoding < 0:
                self._pseudo(encoding, left, top, width, height)
                continue
            self.rectangles.append((left, top, width, height))
            decode = {RAW: self._raw, HEXTILE: self._hextile, ZLIB: self._zlib}[encoding]
            self.picture[top:top + height, left:left + width] = decode(width, height)
        return bool(self.rectangles)

    def _pseudo(self, encoding, left, top, width, height):
        self.news.append((encoding, left, top, width, height))
        if encoding == EXTENDED_DESKTOP_SIZE:
            assert self.read(4)[0] == 1
            assert struct.unpack(">IHHHHI", self.read(16)) == (0, 0, 0, width, height, 0)
        if encoding in (DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE) and top == 0:
            self.picture = np.zeros((height, width), self._type())

    # Encodings

    def _type(self):
        return np.dtype(f"{'>' if self.format.big_endian else '<'}u{self.format.bits // 8}")

    def _pixels(self, data, width, height):
        return np.frombuffer(data, self._type()).reshape(height, width)

    def _raw(self, width, height):
        return self._pixels(self.read(width * height * self.format.bits // 8), width, height)

    def _zlib(self, width, height):
        return self._pixels(self._stream.decompress(self.read(int.from_bytes(self.read(4)))),
                            width, height)

    def _hextile(self, width, height):
        pixels = np.zeros((height, width), self._type())
        self.background = self.foreground = None
        for top in range(0, height, 16):
            for left in range(0, width, 16):
                self._tile(pixels[top:top + 16, left:left + 16])
        return pixels

    def _tile(self, tile):
        height, width = tile.shape
        flags, = self.read(1)
        if flags & 1:
            tile[:] = self._raw(width, height)
            self.background = self.foreground = None  # what some clients forget
            return
        if flags & 2:
            self.background = self._raw(1, 1)[0, 0]
        tile[:] = self.background
        if flags & 4:
            self.foreground = self._raw(1, 1)[0, 0]
        for _ in range(self.read(1)[0] if flags & 8 else 0):
            colour = self._raw(1, 1)[0, 0] if flags & 16 else self.foreground
            place, size = self.read(2)
            x, y, across, down = place >> 4, place & 15, (size >> 4) + 1, (size & 15) + 1
            assert x + across <= width and y + down <= height
            tile[y:y + down, x:x + across] = colour
