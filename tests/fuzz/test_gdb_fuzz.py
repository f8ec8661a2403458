"""Whatever a debugger sends: no packet brings a fault, and the next one is answered."""
import random

from pyemu.gdbstub.packets import framed
from pyemu.gdbstub.stub import HANDLERS

from ..unit.gdb_client import Client

WORDS = [b"Cont;", b"Cont?", b"Supported", b"Xfer:features:read:target.xml:", b"Rcmd,", b"C",
         b"ThreadExtraInfo,1", b"qemu.PhyMemMode", b"qemu.PhyMemMode:", b"MustReplyEmpty", b",",
         b";", b":", b"=", b"0", b"1", b"4", b"1000", b"ffff", b"ffffffffffffffff", b"10000", b"-1",
         b"c", b"s", b"g", b"zz", b"}", b"}\x04", b"\x00", b"\xff", b"*", b"696e666f20737461747573"]
STARTS = [start.encode() for start in HANDLERS if start != "k"]


def packet(chance):
    start = chance.choice([*STARTS, b"x", b"\xfe", b"!"])
    data = start + b"".join(chance.choice(WORDS) for _ in range(chance.randrange(7)))
    data = data.replace(b"#", b"").replace(b"$", b"")
    whole = bytearray(framed(data))
    if chance.random() < 0.2:
        for _ in range(chance.randrange(1, 4)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
    if chance.random() < 0.1:
        whole += chance.choice([b"+", b"-", b"\x03", b"junk", b"$", b"$$", b"#00"])
    return bytes(whole)


def test_no_packet_brings_a_fault(messages):
    chance, gdb = random.Random(1), Client()
    for _ in range(messages):
        sent = gdb.send(packet(chance))
        assert set(sent[:1]) <= set(b"+-$")
    gdb.send(b"#00\x03")  # whatever has begun ends
    assert gdb.ask("?") == "T05thread:01;"
    assert gdb.runner.log.count("quit") == 0
