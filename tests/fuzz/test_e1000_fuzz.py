"""Hostile drivers of the 82540EM: any register, any descriptor, any frame, at any time."""
import random
import struct

import pytest
from pyemu.machine.net import e1000_registers
from pyemu.machine.net.e1000_transmit import MAX_SEND, MOST_FRAMES
from unit.nic_host import COUNT, EOP, RX_RING, TX_RING, Host, ethernet, ipv4, tcp

RAM = 1 << 22
OPERATIONS = 500  # of one driver
EVERYTHING = [value * 4 for name, value in vars(e1000_registers).items()
              if name.isupper() and isinstance(value, int) and "_" not in name and value < 0x8000]
RINGS = (0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818)
SWITCHES = (0x0000, 0x0100, 0x0400, 0x5000, 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8, 0x0020)
SEGMENTS = (0, 1, 48, 536, 536, 1460, 1460, 9000, 9000, 65535)
NUMBERS = (0, 1, 2, 15, 16, 128, 0x1000, 0x4000, 0xFFFF, 0xFFFF_FFF0, 0xFFFF_FFFF)


class Ram:
    """Some memory, and ones above it; what is asked for must make sense."""

    def __init__(self):
        self.data = bytearray(RAM)

    def read(self, address, length):
        assert address >= 0 and 0 <= length <= 1 << 20
        address &= (1 << 64) - 1
        return bytes(self.data[address:address + length]).ljust(length, b"\xff")

    def write(self, address, data):
        assert address >= 0 and len(data) <= 1 << 20
        address &= (1 << 64) - 1
        if address + len(data) <= RAM:
            self.data[address:address + len(data)] = data


class Driver:
    def __init__(self, clock, seed):
        self.random = random.Random(seed)
        self.host = host = Host(clock)
        self.clock = clock
        host.ram = Ram()
        for part in (host.nic.transmitter, host.nic.receiver):
            part.memory = host.ram
        host.cable.takes_large = self.random.random() < 0.5
        self.actions = (self.ring, self.switch, self.anything, self.descriptor, self.context,
                        self.send, self.arrive, self.look, self.wait, self.master)

    def number(self):
        pick = self.random
        return pick.choice((pick.choice(NUMBERS), pick.getrandbits(32), pick.getrandbits(8)))

    def ring(self):
        self.host.write(self.random.choice(RINGS), self.number())

    def switch(self):
        self.host.write(self.random.choice(SWITCHES), self.number())

    def anything(self):
        self.host.nic.write(self.random.choice((*EVERYTHING, self.random.randrange(0x20000))),
                            self.random.choice((1, 2, 4)), self.number())

    def descriptor(self):
        at = self.random.choice((TX_RING, RX_RING)) + 16 * self.random.randrange(COUNT)
        address = self.random.choice((self.random.randrange(RAM), self.random.getrandbits(64)))
        struct.pack_into("<Q8s", self.host.ram.data, at, address, self.random.randbytes(8))

    def context(self):
        """A context that may make sense, and data for it."""
        pick = self.random
        at = TX_RING + 16 * pick.randrange(COUNT - 1)
        struct.pack_into("<BBHBBHIBBH", self.host.ram.data, at, 14, 24, 33, 34, 50, 0,
                         pick.choice((0x27, 0x26, 0x25, 0x24)) << 24, 0,
                         pick.choice((0, 54, 60, 255)), pick.choice(SEGMENTS))
        struct.pack_into("<QII", self.host.ram.data, at + 16, pick.randrange(RAM),
                         0x3510_0000 | pick.getrandbits(4) << 28 | pick.getrandbits(20),
                         pick.getrandbits(32))

    def send(self):
        """Let the rings be where they were, and everything in them go."""
        if self.random.random() < 0.5:
            for register, value in ((0x3800, TX_RING), (0x3804, 0), (0x3808, COUNT * 16),
                                    (0x2800, RX_RING), (0x2804, 0), (0x2808, COUNT * 16),
                                    (0x0400, 2), (0x0100, self.number() | 2)):
                self.host.write(register, value)
        self.host.write(0x3818, self.random.randrange(COUNT))
        self.host.write(0x2818, self.random.randrange(COUNT))

    def arrive(self):
        pick = self.random
        frames = [pick.choice((pick.randbytes(pick.randrange(1, 17000)),
                               ethernet(ipv4(tcp(pick.randbytes(1400)))),
                               ethernet(ipv4(tcp(b"x")))[:pick.randrange(1, 60)]))
                  for _ in range(pick.randrange(1, 30))]
        self.host.cable.deliver(*frames)
        for _ in range(len(self.host.cable.queue) - 100):
            self.host.cable.queue.pop()

    def look(self):
        self.host.nic.read(self.random.choice((*EVERYTHING, self.random.randrange(0x20000))) & ~3,
                           self.random.choice((1, 2, 4)))

    def wait(self):
        self.clock.advance(us=self.random.choice((1, 30, 1000, 600_000)))

    def master(self):
        self.host.nic.config_write(4, 2, self.random.choice((7, 7, 3, 0x407)))


@pytest.mark.parametrize("seed", range(6))
def test_a_hostile_driver_harms_nobody(clock, seed, messages):
    driver = Driver(clock, seed)
    host = driver.host
    for number in range(OPERATIONS * messages // 3000):
        driver.random.choice(driver.actions)()
        assert not host.nic.transmitter.frames and not host.nic.transmitter.sizes
        assert host.nic.transmitter.size <= MAX_SEND
        if number % 16 == 0:
            assert len(host.cable.sent) <= 16 * 64 * (MOST_FRAMES + MAX_SEND)
            host.cable.sent.clear()
    host.nic.load(host.nic.save())
    host.nic.reset()
    host.cable.queue.clear()
    host.set_up()
    frame = ethernet(bytes(100))
    host.data(frame, EOP)
    assert host.go() == [frame]
    host.cable.deliver(frame)
    assert host.received(0)[0] == frame
