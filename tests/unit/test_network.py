"""Back ends of the network without a guest: frames go in and come out as a card would see them."""
import os
import socket
import struct
import threading
import time
from collections import deque
from functools import partial
from queue import Empty, Queue

import pytest
from pyemu.chardev.loop import IoLoop
from pyemu.config import (
    Config,
    DumpConfig,
    HostForward,
    NicConfig,
    SocketNetConfig,
    TapConfig,
    UserError,
    UserNetConfig,
)
from pyemu.net import cable as cable_module
from pyemu.net import slirp
from pyemu.net.registry import Netdevs
from pyemu.net.slirp import READABLE
from pyemu.runstate import RunState
from unit.nic_host import checksum

MAC, HOST = bytes.fromhex("525400123456"), bytes.fromhex("525500000002")
LOOPBACK = "127.0.0.1"
GUEST_IP, HOST_IP = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])
ARP, IPV4 = b"\x08\x06", b"\x08\x00"
SYN, RST, ACK = 2, 4, 16
TIMEOUT = 10


class Clock:
    now = staticmethod(time.monotonic_ns)


class Machine:
    """What a Runner does with posted functions, by hand."""

    def __init__(self):
        self.state = RunState.RUNNING
        self.on_state = []
        self.clock = Clock()
        self.posted = Queue()
        self.post = self.posted.put


class Card:
    def __init__(self, room=1 << 30):
        self.frames, self.room = deque(), room

    def receive(self, frames):
        while frames and self.room:
            self.frames.append(frames.popleft())
            self.room -= 1


class Net:
    """One back end with a card on it."""

    def __init__(self, netdev, dumps=()):
        self.machine, self.card = Machine(), Card()
        self.loop = IoLoop(on_crash=self.crash)
        self.crashes = []
        config = Config(netdevs=[netdev], nics=[NicConfig("-nic", netdev.id)], dumps=list(dumps))
        self.netdevs = Netdevs(config, self.loop, self.machine)
        self.peer = self.netdevs.peer(netdev.id)
        self.peer.connect(self.card)
        self.loop.start()
        self.netdevs.start()

    def crash(self, error):
        self.crashes.append(error)

    def close(self):
        self.netdevs.close()
        self.loop.stop()
        assert not self.crashes

    def send(self, *frames):
        self.peer.send(list(frames))

    def frame(self, wanted=lambda frame: True, timeout=TIMEOUT):
        """The next frame for the card that is wanted."""
        end = time.monotonic() + timeout
        while True:
            while self.card.frames:
                frame = self.card.frames.popleft()
                if wanted(frame):
                    return frame
            try:
                self.machine.posted.get(timeout=max(0.01, end - time.monotonic()))()
            except Empty:
                raise AssertionError("no frame came") from None


@pytest.fixture
def net():
    opened = []

    def start(netdev, dumps=()):
        opened.append(Net(netdev, dumps))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def wait(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- user ---

def ipv4(payload, protocol, sender=GUEST_IP, to=HOST_IP):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                         sender, to)
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return HOST + MAC + IPV4 + header + payload


def udp(data, port, source=1024, **addresses):
    return ipv4(struct.pack(">HHHH", source, port, 8 + len(data), 0) + data, 17, **addresses)


def tcp(port, source, flags, sequence=0):
    header = struct.pack(">HHIIBBHHH", source, port, sequence, 0, 0x50, flags, 65535, 0, 0)
    pseudo = GUEST_IP + HOST_IP + struct.pack(">HH", 6, len(header))
    return ipv4(header[:16] + struct.pack(">H", checksum(pseudo + header)) + header[18:], 6)


def arp(operation, target=HOST_IP, to=b"\xff" * 6):
    return to + MAC + ARP + struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + MAC + GUEST_IP + (
        bytes(6) + target)


def meet(stack):
    """Make the stack know the guest's address."""
    stack.send(arp(1))
    answer = stack.frame(lambda frame: frame[12:14] == ARP and frame[20:22] == b"\0\2")
    assert answer[28:32] == HOST_IP


def discover(stack):
    """DHCP's answer, from its fixed part on."""
    request = struct.pack(">BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) + MAC + bytes(10 + 192)
    request += b"\x63\x82\x53\x63\x35\x01\x01\xff"
    stack.send(udp(request, 67, 68, sender=bytes(4), to=b"\xff" * 4))
    return stack.frame(lambda frame: frame[34:38] == b"\0\x43\0\x44")[42:]


def options(answer):
    found, at = {}, 240
    while answer[at] != 255:
        length = answer[at + 1]
        found[answer[at]] = answer[at + 2:at + 2 + length]
        at += 2 + length
    return found


def test_dhcp(net):
    answer = discover(net(UserNetConfig("n", "", hostname="box", bootfile="boot.ipxe",
                                        domain="example.org")))
    assert answer[16:20] == GUEST_IP
    assert answer[108:236].rstrip(b"\0") == b"boot.ipxe"
    found = options(answer)
    assert (found[3], found[6], found[12], found[15]) == (
        HOST_IP, bytes([10, 0, 2, 3]), b"box", b"example.org")


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets by UDP."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((LOOPBACK, 0))

    def run():
        while True:
            data, sender = server.recvfrom(2000)
            if data == b"end":
                return
            server.sendto(data.upper(), sender)

    thread = threading.Thread(target=run)
    thread.start()
    port = server.getsockname()[1]
    yield port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"end", (LOOPBACK, port))
    thread.join()
    server.close()


def test_udp_to_the_host(net, echo):
    stack = net(UserNetConfig("n", ""))
    meet(stack)
    stack.send(udp(b"hello", echo))
    answer = stack.frame(lambda frame: frame[12:14] == IPV4 and frame[23] == 17)
    assert answer[26:30] == HOST_IP and answer[42:] == b"HELLO"


def test_restrict(net, echo):
    stack = net(UserNetConfig("n", "", restrict=True))
    meet(stack)
    stack.send(udp(b"hello", echo))
    with pytest.raises(AssertionError, match="no frame"):
        stack.frame(lambda frame: b"HELLO" in frame, timeout=0.3)


def test_a_socket_is_not_taken_for_the_one_before_it(net):
    """The host gives the new one the number of the old, of which something was just seen."""
    stack = net(UserNetConfig("n", ""))
    meet(stack)
    (backend,) = stack.netdevs._backends
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        stack.send(tcp(port, 1000, SYN))
        opened = [server.accept()[0]]
        stack.frame(lambda frame: frame[23] == 6 and frame[47] == SYN | ACK)
        (number,) = filter(partial(is_connection, port), map(int, os.listdir("/proc/self/fd")))

        def replace():
            backend._note(number, READABLE)
            backend.transmit([tcp(port, 1000, RST, 1), tcp(port, 1001, SYN)])
            opened.append(server.accept()[0])
            opened[-1].sendall(b"data")

        stack.loop.call(replace)
        answer = stack.frame(lambda frame: frame[36:38] == (1001).to_bytes(2, "big"))
        for end in opened:
            end.close()
    assert answer[47] == SYN | ACK and answer[38:42] != bytes(4)  # it has a sequence number


def is_connection(port, fd):
    """Whether a descriptor of this process is connected to that port of loopback."""
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return copy.getpeername() == (LOOPBACK, port)
    except OSError:
        return False


def test_forwarded_port(net):
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    stack = net(UserNetConfig("n", "", forwards=[
        HostForward("tcp", False, LOOPBACK, port, "10.0.2.15", 22)]))
    meet(stack)
    with socket.create_connection((LOOPBACK, port)):
        syn = stack.frame(lambda frame: frame[12:14] == IPV4 and frame[23] == 6)
    assert syn[30:34] == GUEST_IP and syn[36:38] == b"\0\x16" and syn[47] & 2


def test_a_port_in_use_is_complained_of():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        rule = HostForward("tcp:the rule", False, LOOPBACK, port, "", 22)
        with pytest.raises(UserError, match=r"^-nic x: Could not set up .* rule 'tcp:the rule'$"):
            Net(UserNetConfig("n", "-nic x", forwards=[rule]))


def test_tftp(net, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    stack = net(UserNetConfig("n", "", tftp=str(tmp_path)))
    meet(stack)
    stack.send(udp(b"\0\1file\0octet\0", 69))
    assert stack.frame(lambda frame: frame[23] == 17)[42:] == b"\0\3\0\1content"
    stack.send(udp(b"\0\1../secret\0octet\0", 69, 1025))
    assert stack.frame(lambda frame: frame[23] == 17)[42:44] == b"\0\5"


def test_nothing_listens_unasked(net):
    def listening():
        with open("/proc/self/net/tcp", encoding="ascii") as file:
            return sorted(line.split()[1] for line in file if line.split()[3] == "0A")
    before = listening()
    discover(net(UserNetConfig("n", "")))
    assert listening() == before


def test_bad_frames_do_no_harm(net):
    stack = net(UserNetConfig("n", ""))
    stack.send(b"", b"x", bytes(14), bytes(60), os.urandom(1500), HOST + MAC + IPV4 + b"\xff" * 40)
    meet(stack)


def test_without_the_library_its_package_is_named(monkeypatch):
    monkeypatch.setattr(slirp, "LIBRARY", "libslirp.so.nowhere")
    with pytest.raises(UserError, match="install the Debian package libslirp0"):
        Net(UserNetConfig("n", "-nic user"))


# --- between the threads ---

def test_frames_wait_while_the_machine_is_paused(net):
    stack = net(UserNetConfig("n", ""))
    stack.machine.state = RunState.PAUSED
    stack.send(arp(1))
    stack.machine.posted.get(timeout=TIMEOUT)()
    assert not stack.card.frames
    stack.machine.state = RunState.RUNNING
    for notify in stack.machine.on_state:
        notify(RunState.RUNNING)
    assert stack.card.frames


def test_frames_wait_for_the_card(net):
    stack = net(UserNetConfig("n", ""))
    stack.card.room = 0
    stack.send(arp(1))
    stack.machine.posted.get(timeout=TIMEOUT)()
    assert not stack.card.frames
    stack.card.room = 1
    stack.peer.offer()
    assert stack.card.frames


# --- socket ---

def stream(net, mode="listen"):
    """The back end, and the other side of its wire."""
    if mode == "listen":
        with socket.create_server((LOOPBACK, 0)) as probe:
            port = probe.getsockname()[1]
        wire = net(SocketNetConfig("n", "", "listen", LOOPBACK, port))
        return wire, socket.create_connection((LOOPBACK, port)), port
    with socket.create_server((LOOPBACK, 0)) as server:
        wire = net(SocketNetConfig("n", "", "connect", LOOPBACK, server.getsockname()[1]))
        return wire, server.accept()[0], 0


def framed(data):
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize("mode", ["listen", "connect"])
def test_frames_in_a_stream(net, mode):
    wire, other, _ = stream(net, mode)
    with other:
        other.sendall(framed(b"one") + framed(b"two")[:5])
        assert wire.frame() == b"one"
        other.sendall(framed(b"two")[5:])
        assert wire.frame() == b"two"
        wire.send(b"a" * 60, b"b" * 1500)
        other.settimeout(TIMEOUT)
        assert other.recv(4 + 60 + 4 + 1500, socket.MSG_WAITALL) == (
            framed(b"a" * 60) + framed(b"b" * 1500))


def test_another_client_after_the_first(net):
    wire, other, port = stream(net)
    other.sendall(framed(b"one") + framed(b"half")[:6])
    assert wire.frame() == b"one"
    other.close()
    with socket.create_connection((LOOPBACK, port)) as again:
        again.sendall(framed(b"two"))
        assert wire.frame() == b"two"


def test_a_stream_of_something_else_is_left(net):
    _, other, _ = stream(net)
    with other:
        other.sendall(b"GET / HTTP/1.0\r\n")
        other.settimeout(TIMEOUT)
        assert other.recv(1) == b""


def test_a_slow_reader_loses_frames_but_no_half_ones(net):
    wire, other, _ = stream(net)
    frame = b"x" * 1500
    for _ in range(100):
        wire.send(*[frame] * 100)
        time.sleep(0.001)
    with other, other.makefile("rb") as reader:
        other.settimeout(1)
        count = 0
        try:
            while head := reader.read(4):
                assert head == struct.pack(">I", 1500) and reader.read(1500) == frame
                count += 1
        except TimeoutError:
            pass
    assert 100 <= count <= 10000


def test_a_card_without_room_stops_the_reading(net, monkeypatch):
    monkeypatch.setattr(cable_module, "LIMIT", 10)
    wire, other, _ = stream(net)
    wire.card.room = 0
    with other:
        other.sendall(b"".join(framed(b"%d" % n) for n in range(100)))
        wait(lambda: wire.peer._full)
        wire.card.room = 1 << 30
        wire.peer.offer()
        assert [wire.frame() for _ in range(100)] == [b"%d" % n for n in range(100)]


def test_nobody_to_connect_to():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=r"^-nic x: could not open .*: Connection refused$"):
        Net(SocketNetConfig("n", "-nic x", "connect", LOOPBACK, port))


def test_multicast(net):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    ends = [net(SocketNetConfig("n", "", "mcast", "239.1.2.3", port, LOOPBACK)) for _ in range(3)]
    time.sleep(0.1)
    ends[0].send(b"hello")
    assert ends[1].frame() == ends[2].frame() == b"hello"
    with pytest.raises(AssertionError, match="no frame"):
        ends[0].frame(timeout=0.2)


def test_datagrams_between_two_machines(net):
    ports = []
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            ports.append(probe.getsockname()[1])
    ends = [net(SocketNetConfig("n", "", "udp", LOOPBACK, there, LOOPBACK, here))
            for here, there in (ports, reversed(ports))]
    for sender, receiver in (ends, reversed(ends)):
        sender.send(b"a" * 60, b"b" * 9000)
        assert (receiver.frame(), receiver.frame()) == (b"a" * 60, b"b" * 9000)


def test_a_stream_between_two_machines(net):
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    ends = [net(SocketNetConfig("n", "", mode, LOOPBACK, port)) for mode in ("listen", "connect")]
    ends[1].send(b"first")
    assert ends[0].frame() == b"first"
    ends[0].send(b"second")
    assert ends[1].frame() == b"second"


# --- tap ---

def test_tap_by_descriptor(net):
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, kernels:
        wire = net(TapConfig("n", "", fd=ours.fileno()))
        kernels.send(b"in")
        assert wire.frame() == b"in"
        wire.send(b"out", b"more")
        kernels.settimeout(TIMEOUT)
        assert (kernels.recv(100), kernels.recv(100)) == (b"out", b"more")


def test_tap_descriptor_that_is_not_open():
    with pytest.raises(UserError, match="Bad file descriptor"):
        Net(TapConfig("n", "-nic tap", fd=9999))


# --- dump ---

@pytest.mark.parametrize("queue, maxlen, expected", [
    ("all", 100, [(b"to the host", 11), (b"to the guest", 12)]),
    ("rx", 100, [(b"to the host", 11)]),
    ("tx", 6, [(b"to the", 12)]),
])
def test_dump(net, tmp_path, queue, maxlen, expected):
    path = tmp_path / "net.pcap"
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, other:
        wire = net(TapConfig("n", "", fd=ours.fileno()),
                   [DumpConfig("d", "n", str(path), "", maxlen=maxlen, queue=queue)])
        wire.send(b"to the host")
        assert other.recv(100) == b"to the host"
        other.send(b"to the guest")
        wire.frame()
        wire.netdevs._dumps[0].close()
    data = path.read_bytes()
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, maxlen, 1)
    found, at = [], 24
    while at < len(data):
        seconds, micros, kept, length = struct.unpack_from("<IIII", data, at)
        assert abs(seconds + micros / 1e6 - time.time()) < 60
        found.append((data[at + 16:at + 16 + kept], length))
        at += 16 + kept
    assert found == expected


def test_a_dump_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match=r"filter-dump: can't open .*: No such file or directory"):
        Net(TapConfig("n", "", fd=0),
            [DumpConfig("d", "n", str(tmp_path / "no/file"), "-object filter-dump")])
