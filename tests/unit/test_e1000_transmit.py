"""Intel 8254x manual, 3.3-3.5: descriptors, checksum insertion, TCP segmentation, VLAN tags."""
import struct

import pytest
from unit.nic_host import (
    CTRL,
    DEXT,
    EOP,
    ICR,
    IDE,
    IFCS,
    IMS,
    IXSM,
    MAC,
    RS,
    TADV,
    TCTL,
    TIDV,
    TXSM,
    VLE,
    Host,
    checksum,
    ethernet,
    ipv4,
    tcp,
    udp,
)

TSE, TCP_CMD, IP_CMD = 4, 1, 2
IC = 4
TXDW, TXQE = 1, 2


@pytest.fixture
def host(clock):
    return Host(clock)


def test_a_legacy_descriptor_is_a_frame(host):
    frame = ethernet(bytes(range(100)))
    host.data(frame, EOP | IFCS | RS)
    assert host.go() == [frame]
    assert host.tx_status(0) & 1
    assert host.read(0x3810) == 1
    assert host.read(ICR) & (TXDW | TXQE) == TXDW | TXQE


def test_no_status_unless_reported(host):
    host.data(ethernet(bytes(60)), EOP)
    host.go()
    assert not host.tx_status(0) & 1 and not host.read(ICR) & TXDW


def test_parts_are_gathered_across_tail_writes(host):
    frame = ethernet(bytes(range(200)))
    host.data(frame[:14], 0)
    host.data(frame[14:100], 0)
    assert host.go() == []
    host.data(frame[100:], EOP)
    assert host.go() == [frame]


def test_the_ring_wraps(host):
    for n in range(40):
        frame = ethernet(bytes([n]) * 60)
        host.data(frame, EOP | RS)
        assert host.go() == [frame]


def test_a_batch_is_read_at_once_and_sent_at_once(host):
    for _ in range(10):
        host.data(ethernet(bytes(60)), EOP | RS)
    host.ram.reads = host.ram.writes = 0
    assert len(host.go()) == 10
    assert host.ram.reads == 1 + 10 and host.ram.writes == 1


def test_short_packets_are_padded(host):
    host.write(TCTL, 2 | 8)
    host.data(ethernet(b"x"), EOP)
    assert host.go() == [ethernet(b"x").ljust(60, b"\0")]


def test_nothing_is_sent_while_disabled(host):
    host.write(TCTL, 0)
    host.data(ethernet(bytes(60)), EOP)
    assert host.go() == []
    host.write(TCTL, 2)
    assert len(host.cable.sent) == 1


def test_nothing_is_sent_without_bus_mastering(host):
    host.nic.config_write(4, 2, 3)
    host.data(ethernet(bytes(60)), EOP)
    assert host.go() == []


def test_legacy_checksum_insertion(host):
    frame = ethernet(ipv4(tcp(b"data", checksums=False)))
    host.data(frame, EOP | IC, status=34 << 8)  # CSS
    struct.pack_into("<B", host.ram.data, 0x1000 + 10, 50)  # CSO
    (sent,) = host.go()
    assert checksum(sent[34:]) == 0 and sent[:50] == frame[:50]


def test_ip_and_tcp_checksums_by_a_context(host):
    segment = tcp(b"odd", checksums=False)
    pseudo = struct.pack(">IIHH", 0x0A00_0202, 0x0A00_020F, 6, len(segment))
    seeded = segment[:16] + struct.pack(">H", checksum(pseudo) ^ 0xFFFF) + segment[18:]
    host.context(ip=(14, 24, 33), transport=(34, 50, 0), tucmd=TCP_CMD | IP_CMD)
    host.data(ethernet(ipv4(seeded, checksums=False)), EOP | DEXT, (IXSM | TXSM) << 8, kind=1)
    assert host.go() == [ethernet(ipv4(tcp(b"odd")))]


def test_options_are_those_of_the_first_descriptor(host):
    frame = ethernet(ipv4(udp(b"data"), 17, checksums=False))
    host.context(ip=(14, 24, 33), transport=(34, 40, 0), tucmd=IP_CMD)
    host.data(frame[:20], DEXT, IXSM << 8, kind=1)
    host.data(frame[20:], EOP | DEXT, 0, kind=1)
    assert host.go() == [ethernet(ipv4(udp(b"data"), 17))]


def send_large(host, data, mss, ident=0xFFFF, tucmd=TCP_CMD | IP_CMD):
    """A large send as Linux hands it over: no lengths, the pseudo header without one."""
    head = tcp(b"", sequence=0xFFFF_FF00, flags=0x19, checksums=False)
    pseudo = struct.pack(">IIHH", 0x0A00_0202, 0x0A00_020F, 6, 0)
    head = head[:16] + struct.pack(">H", checksum(pseudo) ^ 0xFFFF) + head[18:]
    header = bytearray(ethernet(ipv4(head, ident=ident, checksums=False)))
    header[16:18] = bytes(2)
    host.context(ip=(14, 24, 33), transport=(34, 50, 0), payload=len(data), header=54, mss=mss,
                 tucmd=TSE | tucmd)
    host.data(bytes(header), DEXT | TSE, (IXSM | TXSM) << 8, kind=1)
    host.data(data, EOP | RS | DEXT | TSE, 0, kind=1)
    return host.go()


@pytest.mark.parametrize("size, mss", [(3000, 1460), (2920, 1460), (100, 33), (5, 1460)])
def test_segmentation(host, size, mss):
    data = bytes(n * 7 & 0xFF for n in range(size))
    frames = send_large(host, data, mss)
    for number, frame in enumerate(frames):
        at = number * mss
        last = at + mss >= size
        assert frame == ethernet(ipv4(
            tcp(data[at:at + mss], (0xFFFF_FF00 + at) & 0xFFFF_FFFF, 0x19 if last else 0x10),
            ident=(0xFFFF + number) & 0xFFFF))
    assert len(frames) == -(-size // mss)
    assert host.read(0x40F8) == 1  # TSCTC


@pytest.mark.parametrize("mss, size", [(0, 100), (1460, 0)])
def test_senseless_segmentation_sends_nothing(host, mss, size):
    assert send_large(host, bytes(size), mss) == []
    assert host.read(0x40FC) == 1  # TSCTFC


def test_a_peer_that_takes_it_gets_a_large_send_whole(host):
    """The statistics are those of the wire all the same."""
    host.cable.takes_large = True
    data = bytes(range(256)) * 100
    assert send_large(host, data, 1460) == [
        ethernet(ipv4(tcp(data, 0xFFFF_FF00, 0x19), ident=0xFFFF))]
    segments = -(-len(data) // 1460)
    assert [host.read(n) for n in (0x40F8, 0x4080, 0x4088 + 8)] == [
        1, segments, len(data) + segments * (54 + 4)]


@pytest.mark.parametrize("tucmd", [0, TCP_CMD, IP_CMD, TCP_CMD | IP_CMD])
def test_segments_longer_than_ip_can_say(host, tucmd):
    """Nonsense, whose length field takes what fits."""
    (frame,) = send_large(host, bytes(65_535), 65_535, tucmd=tucmd)
    assert len(frame) == 54 + 65_535


def test_what_ip_cannot_carry_is_cut_for_any_peer(host):
    host.cable.takes_large = True
    assert len(send_large(host, bytes(65_500), 1460)) == -(-65_500 // 1460)


def test_tiny_segments_do_not_pile_up(host, clock):
    """One descriptor can be thousands of frames: those of the next wait for their turn."""
    for _ in range(3):
        send_large(host, bytes(4000), 1)
    before = len(host.cable.sent)
    for _ in range(4):
        host.context(ip=(14, 24, 33), transport=(34, 50, 0), header=54, mss=1,
                     tucmd=TSE | TCP_CMD | IP_CMD)
        host.data(bytes(4054), EOP | DEXT | TSE, 0, kind=1)
    assert before == 4000 and len(host.go()) == 8000
    clock.advance(ms=1)
    assert len(host.cable.sent) == 16000


def test_vlan_tag_is_inserted(host):
    host.write(CTRL, host.read(CTRL) | 1 << 30)
    frame = ethernet(bytes(60))
    host.data(frame, EOP | VLE, 0x2005 << 16)
    assert host.go() == [frame[:12] + b"\x81\x00\x20\x05" + frame[12:]]


def test_interrupt_delay_restarts_up_to_a_limit(host, clock):
    host.write(IMS, TXDW)
    host.write(TIDV, 100)
    host.write(TADV, 200)
    for _ in range(3):
        host.data(ethernet(bytes(60)), EOP | RS | IDE)
        host.go()
        clock.advance(us=80)
        assert host.nic.intx.level == (clock.now() >= 200 * 1024)
    assert host.read(ICR) & TXDW


def test_a_short_delay_is_none(host):
    """A timer of the host's would come later than it is long."""
    host.write(IMS, TXDW)
    host.write(TIDV, 8)
    host.data(ethernet(bytes(60)), EOP | RS | IDE)
    host.go()
    assert host.nic.intx.level and host.tx_status(0) == 1


def test_flush_ends_the_delay(host):
    host.write(IMS, TXDW)
    host.write(TIDV, 1000)
    host.data(ethernet(bytes(60)), EOP | RS | IDE)
    host.go()
    assert not host.nic.intx.level
    host.write(TIDV, 1000 | 1 << 31)
    assert host.nic.intx.level


def test_statistics(host):
    for frame in (ethernet(bytes(46)), ethernet(bytes(500), to=b"\xff" * 6),
                  ethernet(bytes(1500), to=b"\x01" + bytes(5))):
        host.data(frame, EOP)
    host.go()
    octets = 64 + 518 + 1518
    assert [host.read(n) for n in (0x40D8, 0x40E4, 0x40E8, 0x40EC)] == [1, 0, 1, 1]
    assert (host.read(0x4080), host.read(0x40F4), host.read(0x40F0)) == (3, 1, 1)
    assert (host.read(0x4090), host.read(0x4094), host.read(0x4090)) == (octets, 0, 0)
    assert host.read(0x4080) == 0


def test_oversized_frames_and_endless_packets_are_lost(host):
    for _ in range(5):
        host.data(bytes(60000), DEXT, kind=1)
        host.at = 0x1_0000
    host.data(bytes(10), DEXT | EOP, kind=1)
    assert host.go() == []
    host.data(ethernet(bytes(60)), EOP)
    assert len(host.go()) == 1


def test_a_long_ring_is_worked_off_in_steps(host, clock):
    host.write(0x3808, 4096 * 16)
    host.write(0x3800, 0x20_0000)
    frame = ethernet(bytes(60))
    host.ram.data[0x1_0000:0x1_0000 + len(frame)] = frame
    for n in range(1000):
        struct.pack_into("<QII", host.ram.data, 0x20_0000 + 16 * n, 0x1_0000,
                         EOP << 24 | len(frame), 0)
    host.write(0x3818, 1000)
    assert len(host.cable.sent) == 256
    clock.advance(us=100)
    assert len(host.cable.sent) == 1000


def test_loopback(host):
    host.nic.write(0x20, 4, 1 << 26 | 1 << 21 | 0x5140)  # BMCR: loopback
    frame = ethernet(bytes(60), to=MAC)
    host.data(frame, EOP)
    assert host.go() == []
    assert host.received(0)[0] == frame


def test_state_in_the_midst_of_a_packet(host, clock):
    frame = ethernet(ipv4(tcp(b"data"), checksums=False))
    host.context(ip=(14, 24, 33), transport=(34, 50, 0), tucmd=TCP_CMD | IP_CMD)
    host.data(frame[:20], DEXT, IXSM << 8, kind=1)
    host.go()
    state = host.nic.save()
    host.nic.reset()
    host.nic.load(state)
    host.data(frame[20:], EOP | DEXT, 0, kind=1)
    assert host.go() == [ethernet(ipv4(tcp(b"data")))]
