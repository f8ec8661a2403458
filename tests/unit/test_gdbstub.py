"""The debugger's server: packets, what each is answered with, right and wrong."""
import xml.etree.ElementTree as xml

import pytest
from pyemu.gdbstub import registers
from pyemu.gdbstub.packets import LARGEST, PacketReader, escaped, framed
from pyemu.runstate import RunState

from .gdb_client import RAM, Client


@pytest.fixture
def gdb():
    return Client()


def read(data):
    return list(PacketReader().feed(data))


# Packets

def test_packets_are_found_wherever_the_stream_is_cut():
    data = b"+$g#67junk\x03$m0,4#fd-"
    expected = [b"+", b"$g", b"\x03", b"$m0,4", b"-"]
    reader = PacketReader()
    assert read(data) == expected
    assert [piece for byte in data for piece in reader.feed(bytes([byte]))] == expected


def test_binary_data_is_escaped_on_its_way():
    data = bytes(range(256))
    packet, = read(framed(escaped(data)))
    assert packet == b"$" + data


@pytest.mark.parametrize("data", [b"$g#00", b"$g#zz", b"$" + b"x" * (LARGEST + 1)])
def test_a_packet_that_is_broken_is_asked_for_again(gdb, data):
    assert gdb.send(data) == b"-"
    assert gdb.ask("?") == "T05thread:01;"


def test_an_answer_that_did_not_arrive_is_sent_again(gdb):
    gdb.ask("?")
    assert gdb.send(b"-") == framed(b"T05thread:01;")
    assert gdb.send(b"+") == b""


# Registers

def test_the_description_names_all_registers_of_the_g_packet(gdb):
    text, offset = "", 0
    while True:
        part = gdb.ask(f"qXfer:features:read:target.xml:{offset:x},ffb")
        text += part[1:]
        offset = len(text)
        if part[0] == "l":
            break
    root = xml.fromstring(text.split("\n", 2)[2])
    assert root.find("architecture").text == "i386:x86-64"
    sizes = {register.get("name"): int(register.get("bitsize")) for register in root.iter("reg")}
    assert list(sizes)[:18] == ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9",
                                "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"]
    assert {"st7", "fop", "xmm15", "mxcsr", "fs_base", "gs_base", "cr3", "efer"} < set(sizes)
    assert len(gdb.ask("g")) == sum(sizes.values()) // 4


def test_registers_one_by_one(gdb):
    assert gdb.ask("p1") == "0100000001000000"
    assert gdb.ask("P1=8877665544332211") == "OK"
    assert gdb.cpu.rbx == 0x1122334455667788
    names = [register.name for register in registers.REGISTERS]
    assert gdb.ask(f"P{names.index('xmm3'):x}={'0f' * 16}") == "OK"
    assert gdb.cpu.xmm[3] == int("0f" * 16, 16)
    assert gdb.ask(f"p{names.index('gs_base'):x}") == "3412000000000000"


def test_outside_of_64_bit_code_there_are_only_lower_halves(gdb):
    gdb.cpu.hflags = 0
    assert gdb.ask("p1") == "0100000000000000"
    assert gdb.ask("p9") == "0" * 16  # r9


def test_all_registers_at_once(gdb):
    everything = gdb.ask("g")
    assert gdb.ask("G" + "2a" * 8 + everything[16:]) == "OK"
    assert gdb.cpu.rax == int("2a" * 8, 16)
    assert gdb.ask("g")[16:] == everything[16:]


@pytest.mark.parametrize("packet", ["pfff", "p-1", "px", "p", "P1", "P1=12", "P1=zz", "Pfff=00",
                                    "P12=00000000",  # a segment is the guest's affair
                                    "Gx"])
def test_registers_wrongly_asked_for(gdb, packet):
    assert gdb.ask(packet) == "E22"


# Memory

def test_memory(gdb):
    assert gdb.ask("M100,3:abcdef") == "OK"
    assert gdb.ask("mff,5") == "00abcdef00"
    assert gdb.ask(f"m{RAM - 2:x},4") == "E14"
    assert gdb.ask(f"M{RAM:x},1:00") == "E14"


def test_physical_memory(gdb):
    assert gdb.ask("qqemu.PhyMemMode") == "0"
    assert gdb.ask("Qqemu.PhyMemMode:1") == "OK"
    assert gdb.ask("qqemu.PhyMemMode") == "1"
    assert gdb.ask(f"m{RAM - 2:x},4") == "0000ffff"


@pytest.mark.parametrize("packet", ["m", "m1", "m1,", "mx,1", "m1,2,3", "m0,1001", "M1,1",
                                    "M1,2:00", "M1,1:0", "M1,1:zz", "m11111111111111111,1",
                                    "Qqemu.PhyMemMode:x"])
def test_memory_wrongly_asked_for(gdb, packet):
    assert gdb.ask(packet) == "E22"


# Breakpoints and watchpoints

def test_breakpoints(gdb):
    assert [gdb.ask(f"Z{kind},1000,1") for kind in (0, 1)] == ["OK", "OK"]
    assert gdb.ask("Z0,ffffffffb8b4a350,1") == "OK"
    assert gdb.cpu.breakpoints == [0x1000, 0xffffffffb8b4a350]
    assert gdb.ask("z0,1000,1") == "OK"
    assert 0x1000 in gdb.cpu.breakpoints
    assert gdb.ask("z1,1000,1") == "OK"
    assert gdb.cpu.breakpoints == [0xffffffffb8b4a350]
    assert gdb.ask("z1,1000,1") == "E22"


def test_watchpoints(gdb):
    assert [gdb.ask(f"Z{kind},{kind}000,4") for kind in (2, 3, 4)] == ["OK"] * 3
    assert gdb.cpu.watchpoints == [(0x2000, 4, 2), (0x3000, 4, 1), (0x4000, 4, 3)]
    gdb.ask("c")
    gdb.cpu.watch_hit = 1
    gdb.runner.enter(RunState.DEBUG)
    assert gdb.run() == framed(b"T05thread:01;rwatch:3000;")
    assert gdb.ask("z3,3000,4") == "OK"
    assert gdb.ask("z3,3000,4") == "E22"
    assert len(gdb.cpu.watchpoints) == 2


@pytest.mark.parametrize(("packet", "answer"), [
    ("Z5,0,1", ""), ("z9,0,1", ""), ("Z0", "E22"), ("Z0,x,1", "E22"), ("Z2,10000,4", "E22"),
    ("Z2,ffe,4", "E22"),  # on two pages
    ("Z2,0,0", "E22"),
])
def test_points_wrongly_asked_for(gdb, packet, answer):
    assert gdb.ask(packet) == answer


# Going on and stopping

def test_connecting_stops_the_machine(gdb):
    gdb.runner.state = RunState.RUNNING
    gdb.front_end.opened()
    assert gdb.run() == b""
    assert gdb.runner.state is RunState.PAUSED


@pytest.mark.parametrize("packet", ["c", "C05", "vCont;c", "vCont;c:1", "vCont;C05:1;c"])
def test_going_on_until_a_breakpoint(gdb, packet):
    assert gdb.ask(packet) is None
    assert gdb.runner.log == ["resume"]
    gdb.runner.enter(RunState.DEBUG)
    assert gdb.run() == framed(b"T05thread:01;")


@pytest.mark.parametrize("packet", ["s", "S05", "vCont;s", "vCont;s:1;c"])
def test_a_step(gdb, packet):
    assert gdb.ask(packet) == "T05thread:01;"
    assert gdb.runner.log == ["step"]


def test_going_on_from_elsewhere(gdb):
    gdb.ask("c7c00")
    assert gdb.cpu.rip == 0x7c00


@pytest.mark.parametrize(("state", "signal"), [
    (RunState.PAUSED, b"02"), (RunState.SHUTDOWN, b"03"), (RunState.INTERNAL_ERROR, b"06")])
def test_why_it_has_stopped(gdb, state, signal):
    gdb.ask("c")
    gdb.runner.enter(state)
    assert gdb.run() == framed(b"T%bthread:01;" % signal)


@pytest.mark.parametrize("data", [b"\x03", framed(b"?")])
def test_ctrl_c_stops_and_so_does_any_packet(gdb, data):
    gdb.ask("c")
    assert gdb.send(data).endswith(framed(b"T02thread:01;"))
    assert gdb.send(b"\x03") == b""


def test_a_stop_that_nobody_waits_for_is_not_told(gdb):
    gdb.runner.enter(RunState.RUNNING)
    gdb.runner.enter(RunState.PAUSED)
    assert gdb.run() == b""


def test_a_machine_that_is_off_cannot_go_on(gdb):
    gdb.runner.resume = lambda: None
    gdb.runner.state = RunState.SHUTDOWN
    assert gdb.ask("c") == "T03thread:01;"


def test_detaching_leaves_nothing_behind(gdb):
    gdb.ask("Z0,1000,1")
    gdb.ask("Z2,2000,4")
    assert gdb.ask("D") == "OK"
    assert gdb.cpu.breakpoints == gdb.cpu.watchpoints == []
    assert gdb.runner.state is RunState.RUNNING


@pytest.mark.parametrize(("packet", "answer"), [("k", None), ("vKill;1", "OK")])
def test_kill(gdb, packet, answer, capsys):
    assert gdb.ask(packet) == answer
    assert gdb.runner.log == ["quit"]
    assert capsys.readouterr().err == "pyemu: terminated via GDBstub\n"


# Threads and queries

@pytest.mark.parametrize(("packet", "answer"), [
    ("qSupported:multiprocess+", "PacketSize=1000;qXfer:features:read+;vContSupported+"),
    ("?", "T05thread:01;"), ("qC", "QC01"), ("qAttached", "1"), ("qfThreadInfo", "m01"),
    ("qsThreadInfo", "l"), ("qThreadExtraInfo,1", b"CPU#0 [paused]".hex()),
    ("Hg0", "OK"), ("Hc-1", "OK"), ("Hg1", "OK"), ("Hg7", "E22"), ("Hx1", "E22"), ("H", "E22"),
    ("T1", "OK"), ("T7", "E22"), ("vCont?", "vCont;c;C;s;S"), ("vCont;x", "E22"),
    ("vMustReplyEmpty", ""), ("qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4"),
    ("qqemu.sstep", "0x7"), ("qqemu.Supported", "sstepbits;sstep;PhyMemMode"),
    ("qNoSuch", ""), ("QNoSuch:1", ""), ("x", ""), ("", ""), ("!", ""),
    ("qXfer:features:read:other.xml:0,ff", ""), ("qXfer:features:read:target.xml:zz", "E22"),
    ("qXfer:features:read:target.xml:ffff,10", "l"), ("qRcmd,zz", "E22"),
])
def test_answers(gdb, packet, answer):
    assert gdb.ask(packet) == answer


def test_monitor_commands(gdb):
    sent = gdb.send(framed(b"qRcmd," + b"info status".hex().encode()))
    assert sent == b"+" + framed(b"O" + b"VM status: paused\n".hex().encode()) + framed(b"OK")


def test_a_client_that_vanishes_takes_its_breakpoints_along():
    gdb = Client()
    assert gdb.ask("Z0,1000,1") == gdb.ask("Z2,2000,4") == "OK"
    assert gdb.ask("c") is None
    gdb.front_end.closed()
    gdb.run()
    assert gdb.cpu.breakpoints == gdb.cpu.watchpoints == []
    gdb.runner.pause()
    assert gdb.run() == b""  # nobody waits for a stop any more
