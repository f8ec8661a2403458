"""Sockets, interfaces of the host, and dumps of what passes."""
import socket
import struct
import threading
import time
from contextlib import suppress

import pytest
from pyemu.config import DumpConfig, SocketNetConfig, TapConfig, UserError
from pyemu.net import cable as cable_module
from unit.net_backend import LOOPBACK, TIMEOUT, Net


def wait(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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


def test_large_frames_that_wait_are_bounded_by_their_size(net):
    wire, other, _ = stream(net)
    wire.card.room, size, count = 0, 60_000, 400
    sender = threading.Thread(target=other.sendall, args=(framed(bytes(size)) * count,))
    with other:
        sender.start()
        wait(lambda: wire.peer._full)
        assert len(wire.peer._incoming) * size <= cable_module.SIZE_LIMIT + 2 * size
        wire.card.room = 1 << 30
        assert all(wire.frame() == bytes(size) for _ in range(count))
        sender.join()


def test_reading_goes_on_though_the_card_takes_all_while_it_is_found_full(net, monkeypatch):
    monkeypatch.setattr(cable_module, "LIMIT", 10)
    wire, other, _ = stream(net)
    announce = wire.peer._announce

    def take_first():
        wire.peer._nic.receive(wire.peer._incoming)
        announce()

    monkeypatch.setattr(wire.peer, "_announce", take_first)
    with other:
        other.sendall(b"".join(framed(b"%d" % n) for n in range(100)))
        assert [wire.frame() for _ in range(100)] == [b"%d" % n for n in range(100)]


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x8000_0000, 68 * 1024 + 1])
def test_a_length_that_no_frame_has_ends_the_stream(net, length):
    wire, other, port = stream(net)
    with other:
        other.sendall(framed(b"one") + framed(b"") + struct.pack(">I", length) + bytes(100))
        assert (wire.frame(), wire.frame()) == (b"one", b"")
        other.settimeout(TIMEOUT)
        with suppress(ConnectionResetError):
            assert other.recv(1) == b""
    with socket.create_connection((LOOPBACK, port)) as again:
        again.sendall(framed(b"two"))
        assert wire.frame() == b"two"


def test_nobody_to_connect_to():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=r"^-nic x: could not open .*: Connection refused$"):
        Net(SocketNetConfig("n", "-nic x", "connect", LOOPBACK, port))


def test_a_port_that_is_in_use():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=r"^-nic x: could not open .*: Address already in use$"):
            Net(SocketNetConfig("n", "-nic x", "listen", LOOPBACK, port))


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
