"""User networking, and what happens between the threads of any back end."""
import os
import socket
import struct
import threading
from functools import partial
from pathlib import Path

import pytest
from pyemu.config import HostForward, UserError, UserNetConfig
from pyemu.net import slirp
from pyemu.net.slirp import READABLE
from pyemu.runstate import RunState
from unit.net_backend import LOOPBACK, TIMEOUT, Net
from unit.nic_host import checksum

MAC, HOST = bytes.fromhex("525400123456"), bytes.fromhex("525500000002")
GUEST_IP, HOST_IP = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])
ARP, IPV4 = b"\x08\x06", b"\x08\x00"
SYN, RST, ACK = 2, 4, 16


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
        own = {os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
        with open("/proc/self/net/tcp", encoding="ascii") as file:
            sockets = [line.split() for line in file]
        return [each[1] for each in sockets if each[3] == "0A" and f"socket:[{each[9]}]" in own]
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
