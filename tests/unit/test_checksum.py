"""The Internet checksum in C beside RFC 1071 word by word."""
import random

import pytest
from pyemu.machine.net.checksum import examine, finish, total
from unit.nic_host import checksum, ethernet, ipv4, tcp, udp

TYPE_AT = 12


@pytest.mark.parametrize("length", [*range(70), 1460, 1461, 65_535])
def test_sums_of_any_length(length):
    data = random.Random(length).randbytes(length)
    assert finish(total(data)) in (checksum(data).to_bytes(2, "big"), b"\xff\xff")
    assert total(memoryview(data)) == total(bytearray(data)) == total(data)


def test_ones_sum_up_without_overflow():
    assert total(b"\xff" * (1 << 20)) == 0


@pytest.mark.parametrize("length", [0, 1, 2, 3, 1446])
@pytest.mark.parametrize("build", [tcp, udp])
def test_verdicts(build, length):
    protocol = {tcp: 6, udp: 17}[build]
    frame = ethernet(ipv4(build(random.Random(length).randbytes(length)), protocol))
    assert examine(frame, TYPE_AT) == (True, True)
    assert examine(frame + bytes(6), TYPE_AT) == (True, True)  # padding of Ethernet
    for at in range(TYPE_AT + 4, len(frame)):
        damaged = bytearray(frame)
        damaged[at] ^= 0x10
        assert examine(bytes(damaged), TYPE_AT) != (True, True)
        short = examine(frame[:at], TYPE_AT)
        assert short[1] is None, "the rest is not there"


def test_frames_of_any_kind_are_survived():
    noise = random.Random(1)
    for _ in range(20_000):
        frame = bytearray(noise.randbytes(noise.randrange(80)))
        frame[TYPE_AT:TYPE_AT + 3] = noise.choice((b"\x08\x00\x45", b"\x86\xdd\x60"))
        for offset in (TYPE_AT, noise.randrange(100)):
            assert set(examine(bytes(frame), offset)) <= {True, False, None}


@pytest.mark.parametrize("arguments", [(), (b"",), (b"", -1), ("text", 0), (b"", 1, 2)])
def test_arguments_are_checked(arguments):
    with pytest.raises((TypeError, OverflowError)):
        examine(*arguments)
