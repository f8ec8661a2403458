"""A driver of the 82540EM for the tests: rings in a fake memory, and what the cable carries."""
import struct
from collections import deque

from pyemu.machine.net.e1000 import E1000

MAC = bytes.fromhex("525400123456")
HOST = bytes.fromhex("525500000002")
ICR, ITR, ICS, IMS, IMC = 0xC0, 0xC4, 0xC8, 0xD0, 0xD8
CTRL, STATUS, RCTL, TCTL, RXCSUM = 0x00, 0x08, 0x100, 0x400, 0x5000
RDTR, RADV, TIDV, TADV = 0x2820, 0x282C, 0x3820, 0x382C
TX_RING, RX_RING, TX_DATA, RX_DATA = 0x1000, 0x4000, 0x1_0000, 0x10_0000
COUNT = 16  # descriptors of each ring
EOP, IFCS, RS, DEXT, VLE, IDE = 1, 2, 8, 0x20, 0x40, 0x80
IXSM, TXSM = 1, 2


class Ram:
    def __init__(self, size=4 << 20):
        self.data = bytearray(size)
        self.reads = self.writes = 0

    def read(self, address, length):
        self.reads += 1
        return bytes(self.data[address:address + length])

    def write(self, address, data):
        self.writes += 1
        self.data[address:address + len(data)] = data


class Cable:
    """Keeps what is sent; what the card has no room for waits in `queue`."""

    plugged = True
    takes_large = False

    def __init__(self):
        self.sent = []
        self.queue = deque()

    def connect(self, nic):
        self.nic = nic

    def send(self, frames):
        self.sent += frames

    def offer(self):
        if self.queue:
            self.nic.receive(self.queue)

    def deliver(self, *frames):
        self.queue.extend(frames)
        self.nic.receive(self.queue)


class Host:
    """The card with its driver; both rings are set up and running."""

    def __init__(self, clock):
        self.ram, self.cable = Ram(), Cable()
        self.nic = E1000(clock, self.ram, MAC, None, self.cable)
        self.set_up()

    def set_up(self):
        """What a driver does after a reset."""
        self.nic.config_write(4, 2, 7)
        for ring, base in ((0x3800, TX_RING), (0x2800, RX_RING)):
            self.write(ring, base)
            self.write(ring + 8, COUNT * 16)
        self.tail = 0
        self.at = TX_DATA
        self.write(TCTL, 2)
        for n in range(COUNT):
            struct.pack_into("<Q", self.ram.data, RX_RING + 16 * n, RX_DATA + n * 0x1_0000)
        self.write(0x2818, COUNT - 1)
        self.write(RCTL, 1 << 1 | 1 << 15 | 1 << 26)  # EN, BAM, SECRC

    def read(self, offset):
        return self.nic.read(offset, 4)

    def write(self, offset, value):
        self.nic.write(offset, 4, value)

    def put(self, low, command, status=0):
        """The next transmit descriptor as it is."""
        struct.pack_into("<QII", self.ram.data, TX_RING + 16 * self.tail, low, command, status)
        self.tail = (self.tail + 1) % COUNT

    def data(self, data, command, status=0, kind=0):
        """A descriptor for some bytes; `kind` 1: an extended one."""
        self.ram.data[self.at:self.at + len(data)] = data
        self.put(self.at, command << 24 | kind << 20 | len(data), status)
        self.at += len(data)

    def context(self, *, ip=(0, 0, 0), transport=(0, 0, 0), payload=0, tucmd=0, header=0, mss=0):
        raw = struct.pack("<BBHBBHIBBH", *ip, *transport,
                          (tucmd | DEXT) << 24 | payload, 0, header, mss)
        self.put(*struct.unpack("<QII", raw))

    def go(self):
        """Move the tail; return what has been sent since."""
        del self.cable.sent[:]
        self.write(0x3818, self.tail)
        return self.cable.sent

    def tx_status(self, n):
        return self.ram.data[TX_RING + 16 * n + 12]

    def received(self, n):
        """Data, status, errors and special field of receive descriptor n."""
        _, length, _, status, errors, special = struct.unpack_from(
            "<QHHBBH", self.ram.data, RX_RING + 16 * n)
        start = RX_DATA + n * 0x1_0000
        return bytes(self.ram.data[start:start + length]), status, errors, special


def ethernet(payload, to=MAC, kind=0x0800):
    return to + HOST + struct.pack(">H", kind) + payload


def checksum(data):
    """RFC 1071, word by word."""
    total = sum(struct.unpack(f">{len(data + bytes(len(data) % 2)) // 2}H",
                              data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(payload, protocol=6, ident=1, checksums=True, fragment=0):
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol,
                         0, 0x0A00_0202, 0x0A00_020F)
    if checksums:
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return header + payload


def tcp(data, sequence=0x1000, flags=0x18, checksums=True):
    header = struct.pack(">HHIIBBHHH", 80, 1024, sequence, 7, 0x50, flags, 1000, 0, 0)
    if checksums:
        pseudo = struct.pack(">IIHH", 0x0A00_0202, 0x0A00_020F, 6, 20 + len(data))
        header = header[:16] + struct.pack(">H", checksum(pseudo + header + data)) + header[18:]
    return header + data


def udp(data, checksums=True):
    header = struct.pack(">HHHH", 53, 1024, 8 + len(data), 0)
    if checksums:
        pseudo = struct.pack(">IIHH", 0x0A00_0202, 0x0A00_020F, 17, 8 + len(data))
        header = header[:6] + struct.pack(">H", checksum(pseudo + header + data))
    return header + data
