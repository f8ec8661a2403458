"""Whatever VNC clients send, and in whatever pieces: no fault of ours, and others are served."""
import random
import struct

import numpy as np

from ..unit.vnc_client import Site

SYMBOLS = [0x20, 0x41, 0x61, 0x7e, 0xff0d, 0xffe1, 0xffe5, 0x1000041, 0, 0xffffffff]
NUMBERS = [-308, -258, -257, -256, -247, -223, 0, 1, 5, 6, 7, 16, 1 << 30, -(1 << 31)]
SMALL = [0, 1, 2, 15, 16, 17, 639, 640, 641, 65535]
TURN = 50  # messages


class Fuzzer:
    def __init__(self, seed):
        self.chance = random.Random(seed)

    def message(self):
        chance = self.chance
        kind = chance.choice(2 * [0, 2, 3, 3, 3, 4, 4, 5, 5, 6, 251, 255] + [256])
        match kind:
            case 0:
                data = struct.pack(
                    ">BxxxBBBBHHHBBBxxx", 0, chance.choice(8 * [8, 16, 32] + [24, 0]),
                    chance.choice([8, 24, 99]), chance.randrange(2), chance.choice([0, 1, 1, 255]),
                    *chance.choices([1, 3, 7, 31, 255, 65535, 0], k=3),
                    *chance.choices([0, 3, 8, 16, 31, 200], k=3))
            case 2:
                chosen = chance.choices(NUMBERS, k=chance.randrange(9))
                data = struct.pack(f">BxH{len(chosen)}i", 2, len(chosen), *chosen)
            case 3:
                data = struct.pack(">BBHHHH", 3, chance.randrange(3), *chance.choices(SMALL, k=4))
            case 4:
                data = struct.pack(">BBxxI", 4, chance.randrange(2), chance.choice(SYMBOLS))
            case 5:
                data = struct.pack(">BBHH", 5, chance.randrange(256), *chance.choices(SMALL, k=2))
            case 6:
                length = chance.choice(4 * [0, 1, 100, 5000] + [1 << 21])
                data = struct.pack(">BxxxI", 6, length) + bytes(min(length, 5000))
            case 251:
                screens = chance.randrange(4)
                data = struct.pack(">BxHHBx", 251, 800, 600, screens) + bytes(16 * screens)
            case 255:
                data = struct.pack(">BBHII", 255, chance.choice(20 * [0] + [1]),
                                   chance.randrange(2), 0, chance.choice([0x1e, 0xc8, 0, 1 << 31]))
            case _:
                data = chance.randbytes(chance.randrange(1, 30))
        if chance.random() < 0.05:
            data = bytearray(data)
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)

    def greeting(self):
        good = b"RFB 003.00" + self.chance.choice([b"3\n", b"7\n\1", b"8\n\1"])
        if self.chance.random() < 0.1:
            good = bytearray(good)
            good[self.chance.randrange(len(good))] = self.chance.randrange(256)
        return bytes(good) + bytes([self.chance.randrange(2)])


def test_no_message_brings_a_fault(clock, messages, capsys):
    fuzzer, site = Fuzzer(1), Site(clock, share="ignore")
    witness = site.connect()
    witness.greet()
    viewer = None
    for number in range(messages):
        client = site.server._clients[-1]
        if viewer is None or client.closed or len(site.server._clients) == 1:
            if viewer:
                viewer.close()
            viewer = site.connect()
            site.server._clients[-1].start()
            site.server._arriving.clear()
            site.server._clients[-1].feed(fuzzer.greeting())
            continue
        data = fuzzer.message()
        middle = fuzzer.chance.randrange(len(data) + 1)
        client.feed(data[:middle])
        if not client.closed:
            client.feed(data[middle:])
        if number % 4 == 0 and not client.closed:
            client.show()
        if number % TURN == 0:
            site.runner.show(np.full((48, 64), number, np.uint32))
            site.turn()
            drain(viewer)
        site.runner.log.clear()
        site.runner.events.clear()
    site.runner.show(np.full((480, 640), 7, np.uint32))
    witness.refresh()
    assert (witness.picture[:, :] == 7).all()
    assert "internal error" not in capsys.readouterr().err


def drain(viewer):
    try:
        while viewer.socket.recv(1 << 16):
            pass
    except OSError:
        pass
