"""Intel 8254x manual, 3.2 and 9.2: buffers, filters, checksum offload, VLAN tags, interrupts."""
import struct
import zlib
from itertools import pairwise

import pytest
from unit.nic_host import (
    COUNT,
    CTRL,
    ICR,
    ICS,
    IMS,
    ITR,
    MAC,
    RADV,
    RCTL,
    RDTR,
    RXCSUM,
    STATUS,
    Host,
    ethernet,
    ipv4,
    tcp,
    udp,
)

EN, SBP, UPE, MPE, LPE, BAM, VFE, BSEX, SECRC = (
    1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 15, 1 << 18, 1 << 25, 1 << 26)
BASE = EN | BAM | SECRC
DD, DONE, IXSM, VP, TCPCS, IPCS, PIF = 1, 3, 4, 8, 0x20, 0x40, 0x80
RXDMT0, RXO, RXT0, SRPD = 1 << 4, 1 << 6, 1 << 7, 1 << 16
BROADCAST = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")
OTHER = bytes.fromhex("525400999999")


@pytest.fixture
def host(clock):
    return Host(clock)


def test_a_frame_is_written_to_the_next_buffer(host):
    frames = [ethernet(bytes([n]) * 100) for n in range(3)]
    host.cable.deliver(*frames)
    for n, frame in enumerate(frames):
        data, status, errors, _ = host.received(n)
        assert (data, status, errors) == (frame, DONE | IXSM, 0)
    assert host.read(0x2810) == 3
    assert host.read(ICR) & RXT0


def test_a_batch_takes_one_access_to_the_ring(host):
    host.ram.reads = host.ram.writes = 0
    host.cable.deliver(*[ethernet(bytes(100))] * 10)
    assert host.ram.reads == 1 and host.ram.writes == 10 + 1


def test_a_flood_of_frames_for_others_leaves_the_guest_its_turn(host, clock):
    flood, ours = [ethernet(bytes(100), to=OTHER)] * 600, ethernet(bytes(100))
    host.cable.deliver(*flood, ours)
    host.cable.deliver()  # the back end has more
    assert len(host.cable.queue) == 601 - 256
    clock.advance(ms=1)
    assert len(host.cable.queue) == 601 - 2 * 256
    clock.advance(ms=1)
    assert not host.cable.queue
    assert host.received(0)[0] == ours


def test_frame_check_sequence_is_stored_unless_stripped(host):
    host.write(RCTL, EN | BAM)
    frame = ethernet(bytes(100))
    host.cable.deliver(frame)
    assert host.received(0)[0] == frame + struct.pack("<I", zlib.crc32(frame))


def test_short_frames_arrive_padded(host):
    host.cable.deliver(ethernet(b"x"))
    assert host.received(0)[0] == ethernet(b"x").ljust(60, b"\0")


def test_a_frame_of_nothing_arrives_as_zeros(host):
    host.cable.deliver(b"")
    assert host.read(0x2810) == 0  # nobody has that address
    host.write(RCTL, EN | UPE | SECRC)
    host.cable.deliver(b"")
    assert host.received(0)[0] == bytes(60)


def test_frames_wait_for_buffers(host):
    frames = [ethernet(bytes([n]) * 100) for n in range(COUNT + 5)]
    host.cable.deliver(*frames)
    assert len(host.cable.queue) == 6
    host.write(0x2818, 4)
    assert [host.received(n)[0] for n in (COUNT - 1, 0, 4 - 1)] == [
        frames[COUNT - 1], frames[COUNT], frames[COUNT + 3]]
    assert len(host.cable.queue) == 1


def test_a_frame_may_take_several_buffers(host):
    host.write(RCTL, BASE | 3 << 16)  # of 256 bytes
    frame = ethernet(bytes(n & 0xFF for n in range(600)))
    host.cable.deliver(frame)
    pieces = [host.received(n) for n in range(3)]
    assert b"".join(piece[0] for piece in pieces) == frame
    assert [piece[1] & DONE for piece in pieces] == [DD, DD, DONE]


def test_a_frame_larger_than_the_ring_is_an_overrun(host):
    host.write(0x2808, 128)
    host.write(0x2818, 7)
    host.write(RCTL, BASE | LPE | 3 << 16)
    host.cable.deliver(ethernet(bytes(3000)), ethernet(bytes(100)))
    assert host.received(0)[0] == ethernet(bytes(100))
    assert host.read(ICR) & RXO and host.read(0x4010) == 1


@pytest.mark.parametrize("size, control, taken", [
    (1504, 0, 1), (1505, 0, 0), (1505, LPE, 1), (9000, LPE | BSEX | 1 << 16, 1), (1505, SBP, 1)])
def test_long_frames(host, size, control, taken):
    host.write(RCTL, BASE | control)
    host.cable.deliver(ethernet(bytes(size)))
    assert host.read(0x2810) == taken
    assert host.read(0x40AC) == (not taken)  # ROC


@pytest.mark.parametrize("to, control, taken, inexact", [
    (MAC, 0, True, False),
    (OTHER, 0, False, False),
    (OTHER, UPE, True, True),
    (BROADCAST, BAM, True, False),
    (BROADCAST, 0, False, False),
    (GROUP, BAM, False, False),
    (GROUP, MPE, True, True),
])
def test_address_filter(host, to, control, taken, inexact):
    host.write(RCTL, EN | SECRC | control)
    host.cable.deliver(ethernet(bytes(100), to=to))
    assert bool(host.received(0)[1] & DONE) == taken
    assert bool(host.received(0)[1] & PIF) == inexact
    assert host.read(0x40D0) == 1 and host.read(0x4074) == taken  # TPR, GPRC


def test_second_receive_address(host):
    host.cable.deliver(ethernet(bytes(100), to=OTHER))
    host.write(0x5408, int.from_bytes(OTHER[:4], "little"))
    host.write(0x540C, int.from_bytes(OTHER[4:], "little") | 1 << 31)
    host.cable.deliver(ethernet(bytes(100), to=OTHER))
    assert host.read(0x2810) == 1


@pytest.mark.parametrize("offset, shift", [(0, 4), (1, 3), (2, 2), (3, 0)])
def test_multicast_hash(host, offset, shift):
    to = bytes.fromhex("01005e123456")
    selected = (0x5634 >> shift) & 0xFFF
    host.write(RCTL, BASE | offset << 12)
    host.cable.deliver(ethernet(bytes(100), to=to))
    assert host.read(0x2810) == 0
    host.write(0x5200 + 4 * (selected >> 5), 1 << (selected & 31))
    host.cable.deliver(ethernet(bytes(100), to=to))
    assert host.read(0x2810) == 1


def tagged(payload, vlan, **options):
    return ethernet(struct.pack(">HH", vlan, 0x0800) + payload, kind=0x8100, **options)


def test_vlan_filter_and_stripping(host):
    host.write(RCTL, BASE | VFE)
    host.cable.deliver(tagged(bytes(100), 0x2005))
    assert host.read(0x2810) == 0
    host.write(0x5600, 1 << 5)
    host.cable.deliver(tagged(bytes(100), 0x2005))
    assert host.received(0)[0] == tagged(bytes(100), 0x2005)
    host.write(CTRL, host.read(CTRL) | 1 << 30)
    host.cable.deliver(tagged(bytes(100), 0x2005))
    data, status, _, special = host.received(1)
    assert (data, special) == (ethernet(bytes(100)), 0x2005) and status & VP


def damaged(packet, at):
    return packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1:]


@pytest.mark.parametrize("packet, status, errors", [
    (ipv4(tcp(b"some data")), IPCS | TCPCS, 0),
    (ipv4(udp(b"some data"), 17), IPCS | TCPCS, 0),
    (ipv4(udp(b"some data", checksums=False), 17), IPCS, 0),
    (ipv4(b"ping", 1), IPCS, 0),
    (ipv4(tcp(b"some data"), fragment=0x2000), IPCS, 0),
    (damaged(ipv4(tcp(b"some data")), 8), IPCS | TCPCS, 0x40),
    (damaged(ipv4(tcp(b"some data")), 45), IPCS | TCPCS, 0x20),
    (damaged(ipv4(tcp(b"some data")), 2), IPCS, 0x40),
    (b"\x60" + bytes(20), 0, 0),
])
@pytest.mark.parametrize("wrap", [ethernet, lambda packet: tagged(packet, 1)])
def test_checksums_are_looked_at(host, packet, status, errors, wrap):
    host.write(RXCSUM, 0x300)
    host.cable.deliver(wrap(packet))
    _, found, wrong, _ = host.received(0)
    assert (found & (TCPCS | IPCS | IXSM), wrong) == (status, errors)


def test_packet_checksum_from_pcss(host):
    host.write(RXCSUM, 14)
    host.cable.deliver(ethernet(ipv4(tcp(b"some data, of odd length")) + b"\1\2"))
    frame = host.received(0)[0]
    stored = struct.unpack_from("<H", host.ram.data, 0x4000 + 10)[0]
    total = sum(struct.unpack(f"<{len(frame[14:]) // 2}H", frame[14:]))
    assert stored == total % 0xFFFF


def test_nothing_is_heard_while_disabled_or_negotiating(host, clock):
    host.write(RCTL, BAM)
    host.cable.deliver(ethernet(bytes(100)))
    host.write(RCTL, BASE)
    assert host.read(0x2810) == 0 and not host.cable.queue
    host.nic.write(0x20, 4, 1 << 26 | 1 << 21 | 0x1340)  # restart autonegotiation
    assert not host.read(STATUS) & 2
    host.cable.deliver(ethernet(bytes(100)))
    clock.advance(ms=500)
    assert host.read(STATUS) & 2 and host.read(ICR) & 4  # LSC
    assert host.read(0x2810) == 0


def test_few_descriptors_left(host):
    host.cable.deliver(*[ethernet(bytes(100))] * 6)
    assert not host.read(ICR) & RXDMT0
    host.cable.deliver(ethernet(bytes(100)))
    assert host.read(ICR) & RXDMT0


def test_small_packet(host):
    host.write(0x2C00, 100)
    host.cable.deliver(ethernet(bytes(100)))
    assert not host.read(ICR) & SRPD
    host.cable.deliver(ethernet(bytes(80)))
    assert host.read(ICR) & SRPD


def test_receive_timer_restarts_up_to_a_limit(host, clock):
    host.write(IMS, RXT0)
    host.write(RDTR, 100)
    host.write(RADV, 250)
    for _ in range(4):
        host.cable.deliver(ethernet(bytes(100)))
        clock.advance(us=80)
        assert host.nic.intx.level == (clock.now() >= 250 * 1024)
    host.read(ICR)
    host.cable.deliver(ethernet(bytes(100)))
    assert not host.nic.intx.level
    host.write(RDTR, 100 | 1 << 31)
    assert host.nic.intx.level


def test_interrupts_are_throttled(host, clock):
    host.write(IMS, 0xFFFF)
    host.write(ITR, 1000)  # 256 us
    rises = []
    for _ in range(100):
        host.cable.deliver(ethernet(bytes(100)))
        if host.nic.intx.level:
            rises.append(clock.now())
            host.read(ICR)
            host.write(0x2818, (host.read(0x2810) - 1) % COUNT)
        clock.advance(us=16)
    assert [b - a for a, b in pairwise(rises)] == [256_000] * (len(rises) - 1)
    assert len(rises) == 7


def test_throttled_interrupt_comes_without_further_events(host, clock):
    host.write(IMS, 0xFFFF)
    host.write(ITR, 1000)
    host.write(ICS, 4)
    host.read(ICR)
    host.write(ICS, 4)
    assert not host.nic.intx.level
    clock.advance(us=256)
    assert host.nic.intx.level


def test_statistics(host):
    host.cable.deliver(ethernet(bytes(46)), ethernet(bytes(500), to=BROADCAST),
                       ethernet(bytes(1500)), ethernet(bytes(50), to=OTHER))
    assert [host.read(n) for n in (0x405C, 0x4068, 0x406C, 0x4070)] == [1, 0, 1, 1]
    assert (host.read(0x4074), host.read(0x4078), host.read(0x40D0)) == (3, 1, 4)
    good = 64 + 518 + 1518
    assert (host.read(0x4088), host.read(0x40C0)) == (good, good + 68)
    assert (host.read(0x408C), host.read(0x4088)) == (0, 0)
