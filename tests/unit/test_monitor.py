"""The monitor: commands, their texts and complaints, a session."""
import queue
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyemu.clock import Clock
from pyemu.config import Config
from pyemu.monitor.monitor import COMMANDS, Monitor
from pyemu.trace import control, hooks
from unit.monitor_host import FakeChardevs, FakeRunner


@pytest.mark.parametrize(("line", "done"), [
    ("stop", "pause"), ("s", "pause"), ("cont", "resume"), ("c", "resume"),
    ("system_reset", "reset"), ("system_powerdown", "powerdown"), ("quit", "quit"), ("q", "quit"),
])
def test_steering(monitor, line, done):
    assert monitor.execute(line) == ""
    assert monitor.runner.log == [done]


@pytest.mark.parametrize(("state", "text"), [
    ("running", "VM status: running"), ("paused", "VM status: paused"),
    ("prelaunch", "VM status: paused (prelaunch)"), ("shutdown", "VM status: paused (shutdown)"),
])
def test_status(monitor, state, text):
    monitor.runner.state = state
    assert monitor.execute("info status") == text


@pytest.mark.parametrize(("line", "text"), [
    ("foo", "unknown command: 'foo'"),
    ("info foo", "unknown command: 'info foo'"),
    ("help foo", "unknown command: 'foo'"),
    ("stop 1", 'stop|s: extraneous characters at the end of line\n'
               'Try "help stop" for more information'),
    ("info status x", 'status: extraneous characters at the end of line\n'
                      'Try "help info status" for more information'),
    ("trace-event", 'trace-event: string expected\nTry "help trace-event" for more information'),
    ("trace-event load_file", "Expected 'on' or 'off'\n"
                              'Try "help trace-event" for more information'),
    ("trace-event load_file maybe", "Expected 'on' or 'off'\n"
                                    'Try "help trace-event" for more information'),
    ("trace-event nosuch on", 'unknown event "nosuch"'),
    ("info trace-events nosuch", 'unknown event "nosuch"'),
    ("info trace-events zz*", ""),
    ("info trace-events load_f*", "load_file : state 0"),
    ("info name", "box"),
    ("info version", "0.1.0"),
    ("info chardev", "serial0: filename=mux\nserial0-base: filename=stdio"),
    ("info block nosuch", "Device 'nosuch' not found"),
    ("help stop", "stop|s  -- stop emulation"),
    ("? cont", "cont|c  -- resume emulation"),
    ("help info status", "info status  -- show the current VM status (running|paused)"),
    ("help trace-event",
     "trace-event name on|off [vcpu] -- changes status of a specific trace event (vcpu: vCPU to "
     "set, default is all)"),
    ("sendkey", 'sendkey: string expected\nTry "help sendkey" for more information'),
    ("sendkey foo", "invalid parameter: foo"),
    ("sendkey ctrl-alt-foo", "invalid parameter: foo"),
    ("sendkey a 0", "invalid parameter: 0"),
    ("screendump", 'screendump: filename expected\nTry "help screendump" for more information'),
    ("screendump a -f", 'screendump: value expected for -f\n'
                        'Try "help screendump" for more information'),
    ("screendump a VGA 0 0", "screendump: extraneous characters at the end of line\n"
                             'Try "help screendump" for more information'),
    ("screendump a -f jpg", "Error: invalid parameter value: jpg"),
    ("screendump a nosuch", "Error: Device 'nosuch' not found"),
    ("screendump a VGA 1", "Error: 'VGA' has no head 1"),
    ("screendump /nosuch/a", "Error: failed to open file '/nosuch/a': No such file or directory"),
    ("mouse_move 1", 'mouse_move: string expected\nTry "help mouse_move" for more information'),
    ("mouse_move a b", "'a' is not a number"),
    ("mouse_button x", "invalid char 'x' in expression\n"
                       'Try "help mouse_button" for more information'),
    ("mouse_set 3", "Mouse at index '3' not found"),
    ("info mice", "* Mouse #2: QEMU PS/2 Mouse"),
    ("", ""), ("   ", ""),
    ('help "st\\op"', "unsupported escape code: '\\o'"),
    ('help "stop', "unterminated string"),
])
def test_texts_are_qemus(monitor, line, text):
    assert monitor.execute(line) == text


@pytest.fixture
def trace_file(tmp_path):
    yield tmp_path / "trace"
    control.close()


def test_trace_event_switches_the_hook(monitor, trace_file):
    monitor.execute(f"trace-file set {trace_file}")
    monitor.execute("trace-event load_file on")
    assert monitor.execute("info trace-events load_file") == "load_file : state 1"
    assert hooks.hooks["load_file"].enabled
    monitor.execute("trace-event load_file off")
    assert not hooks.hooks["load_file"].enabled
    assert monitor.execute("trace-file off") == ""


def test_block(monitor):
    assert monitor.execute("info block") == monitor.execute("info block ide0-hd0") == (
        "ide0-hd0: a.img (qcow2, read-only)\n"
        "    Attached to:      IDE primary master\n"
        "    Cache mode:       writeback\n"
        "    Snapshot:         writes stay in memory")


def test_blockstats(monitor, monkeypatch):
    statistics = monitor.runner.machine.drives["ide0-hd0"].statistics
    statistics.add("rd", 512, 100, 130, failed=False)
    statistics.add("rd", 512, 200, 206, failed=True)
    statistics.add("wr", 1024, 300, 304, failed=False)
    statistics.add("flush", 0, 310, 312, failed=False)
    monkeypatch.setattr("pyemu.monitor.blockstats.monotonic_ns", lambda: 1000)
    assert monitor.execute("info blockstats") == (
        "ide0-hd0: rd_bytes=512 wr_bytes=1024 rd_operations=1 wr_operations=1 flush_operations=1 "
        "wr_total_time_ns=4 rd_total_time_ns=36 flush_total_time_ns=2 rd_merged=0 wr_merged=0 "
        "idle_time_ns=688")


def test_a_command_that_fails_leaves_the_monitor_alive(monitor):
    monitor.runner.machine.drives = {}
    assert monitor.execute("info block") == "KeyError: 'ide0-hd0'"


def test_help_lists_every_command_and_info_every_subject(monitor):
    text = monitor.execute("help")
    assert [line.split()[0] for line in text.splitlines()] == [c.names for c in COMMANDS]
    assert monitor.execute("info") == monitor.execute("help info")
    assert "info pic  -- show PIC state" in monitor.execute("info")


def test_registers_in_real_mode(monitor):
    assert monitor.execute("info registers") == """
CPU#0
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000
EIP=0000fff0 EFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 00000000 0000ffff 00009300
CS =f000 ffff0000 0000ffff 00009b00
SS =0000 00000000 0000ffff 00009300
DS =0000 00000000 0000ffff 00009300
FS =0000 00000000 0000ffff 00009300
GS =0000 00000000 0000ffff 00009300
LDT=0000 00000000 0000ffff 00008200
TR =0000 00000000 0000ffff 00008b00
GDT=     00000000 0000ffff
IDT=     00000000 0000ffff
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 
DR6=00000000ffff0ff0 DR7=0000000000000400
EFER=0000000000000000
FCW=037f FSW=3020 [ST=6] FTW=c0 MXCSR=00001f80
FPR0=0000000000000000 0000 FPR1=0000000000000000 0000
FPR2=0000000000000000 0000 FPR3=0000000000000000 0000
FPR4=0000000000000000 0000 FPR5=0000000000000000 0000
FPR6=8000000000000000 3fff FPR7=c90fdaa22168c235 4000
XMM00=0000000000000000 0000000000000abc XMM01=0000000000000001 0000000000000abc
XMM02=0000000000000002 0000000000000abc XMM03=0000000000000003 0000000000000abc
XMM04=0000000000000004 0000000000000abc XMM05=0000000000000005 0000000000000abc
XMM06=0000000000000006 0000000000000abc XMM07=0000000000000007 0000000000000abc"""  # noqa: W291 - the blank is QEMU's


def test_registers_in_long_mode(monitor):
    cpu = monitor.runner.cpu
    cpu.hflags = 3 | 1 << 7 | 1 << 14 | 1 << 15
    cpu.rip = 0xffffffff81000000
    cpu.r12 = 0xabc
    cpu.cs = 0x33, 0, 0xffffffff, 0xaffb00
    cpu.ds = 0x2b, 0, 0xffffffff, 0xcff300
    cpu.tr = 0x40, 0xfffffe0000003000, 0x4087, 0x8b00
    text = monitor.execute("info registers")
    assert "R12=0000000000000abc R13=" in text
    assert "\nRIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=3 " in text
    assert "\nCS =0033 0000000000000000 ffffffff 00affb00 DPL=3 CS64 [-RA]\n" in text
    assert "\nDS =002b 0000000000000000 ffffffff 00cff300 DPL=3 DS   [-WA]\n" in text
    assert "\nTR =0040 fffffe0000003000 00004087 00008b00 DPL=0 TSS64-busy\n" in text


@pytest.fixture
def rom(monitor):
    """The bytes that QEMU's dumps below were made from."""
    monitor.runner.ram[0xfff0 - 0x100:0xfff0 - 0xf0] = bytes.fromhex(
        "ea5be000f03036 2f32332f393900fc00".replace(" ", ""))
    return monitor


@pytest.mark.parametrize(("line", "text"), [
    ("xp/3xb 0xfef0", "000000000000fef0: 0xea 0x5b 0xe0"),
    ("xp /9xb 0xfef0", "000000000000fef0: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f\n"
                       "000000000000fef8: 0x32"),
    ("xp/5uw 0xfef0", "000000000000fef0:   14703594  792080624  959394610   16515129\n"
                      "000000000000ff00:          0"),
    ("xp/5ow 0xfef0", "000000000000fef0:   070055752 05715430360 07113631462   077000071\n"
                      "000000000000ff00:           0"),
    ("xp/9cb 0xfef0", r"000000000000fef0: '\xea' '[' '\xe0' '\x00' '\xf0' '0' '6' '/'" "\n"
                      "000000000000fef8: '2'"),
    ("xp/3xg 0xfef0", "000000000000fef0: 0x2f3630f000e05bea 0x00fc0039392f3332\n"
                      "000000000000ff00: 0x0000000000000000"),
    ("xp/3ub 0xfef0", "000000000000fef0: 234  91 224"),
    ("xp/2db 0xfef0", "000000000000fef0: 234  91"),
    ("x/2i 0xfef0", "0x0000fef0:  ea 5b e0 00 f0           ljmpw    $0xf000:$0xe05b\n"
                    "0x0000fef5:  30 36 2f 32              xorb     %dh, 0x322f"),
    ("x/1i 0xfff0000", "0x0fff0000:  Cannot access memory"),
    ("x/2xw 0x1000000000", "0000001000000000: Cannot access memory"),
    ("xp", 'unexpected end of expression\nTry "help xp" for more information'),
    ("xp/3zz 0", 'invalid char in format: \'z\'\nTry "help xp" for more information'),
    ("xp/9999999xb 0", 'at most 1048576 at a time\nTry "help xp" for more information'),
    ("xp/x3 0", 'invalid char in format: \'3\'\nTry "help xp" for more information'),
    ("xp foo", 'invalid char \'f\' in expression\nTry "help xp" for more information'),
])
def test_memory_dumps_look_like_qemus(rom, line, text):
    assert rom.execute(line) == text


def test_the_format_stays_until_changed(rom):
    rom.execute("xp/3xb 0xfef0")
    assert rom.execute("xp 0xfef0") == "000000000000fef0: 0xea"


def test_virtual_memory_crosses_pages_that_are_apart(monitor):
    monitor.runner.ram[0x3ffe:0x4000] = b"\x11\x22"
    assert monitor.execute("x/2xb 0x80000ffe") == "0000000080000ffe: 0x11 0x22"
    assert monitor.execute("x/4xb 0x80000ffe") == "0000000080000ffe: Cannot access memory"


def test_ports(monitor):
    assert monitor.execute("i/xb 0x64") == "portb[0x0064] = 0x5a"
    assert monitor.execute("i/h 0x64") == "portw[0x0064] = 0x005a"
    assert monitor.execute("o/b 0x70 0x1ff") == ""
    assert monitor.runner.log == ["in 0x64 1", "in 0x64 2", "out 0x70 1 0xff"]
    assert monitor.execute("o/b 0x70").startswith("unexpected end of expression")


@pytest.mark.parametrize(("line", "text"), [
    ("print 0x10*2", "0x20"), ("p /d -5", "-5"), ("print /c 65", "'A'"), ("p/o 8", "010"),
    ("p/u -1", str(2**64 - 1)), ("p $eip", "0xfff0"), ("p $pc", "0xfffffff0"),
    ("p $cs", "0xf000"), ("p $edx+1", "0x664"),
    ("print", 'unexpected end of expression\nTry "help print" for more information'),
    ("print 3/0", 'division by zero\nTry "help print" for more information'),
    ("print $foo", 'unknown register\nTry "help print" for more information'),
    ("print $translate", 'unknown register\nTry "help print" for more information'),
    ("print (1+2", '\')\' expected\nTry "help print" for more information'),
])
def test_print(monitor, line, text):
    assert monitor.execute(line) == text


def test_pmemsave(monitor, tmp_path):
    monitor.runner.ram[16:20] = b"pyem"
    assert monitor.execute(f"pmemsave 0x10 4 {tmp_path}/out") == ""
    assert (tmp_path / "out").read_bytes() == b"pyem"
    assert monitor.execute('pmemsave 0 4 "/nosuch/out"') == (
        "Error: Could not open '/nosuch/out': No such file or directory")


def test_screendump_writes_the_picture(monitor, tmp_path):
    for name, words, magic in (("a", "", b"P6\n640 480\n255\n"), ("b", "-f png", b"\x89PNG"),
                               ("c", "VGA 0 -f ppm", b"P6\n")):
        assert monitor.execute(f"screendump {tmp_path / name} {words}") == ""
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_screendump_needs_a_display_adapter(monitor, tmp_path):
    monitor.runner.machine.vga = None
    assert monitor.execute(f"screendump {tmp_path / 'a'}") == \
        "Error: There is no console to take a screendump from"


def test_mouse_moves_and_clicks(monitor):
    for line in ("mouse_move 3 -4", "mouse_move 0x10 0 -1", "mouse_button 5", "mouse_button 2",
                 "mouse_set 2"):
        assert monitor.execute(line) == ""
    assert monitor.runner.log == [("move", 3, -4), ("move", 16, 0, -1), ("buttons", 1 | 2),
                                  ("buttons", 4)]


def test_sendkey_presses_holds_and_releases(monitor, clock):
    monitor.execute("sendkey ctrl-alt-delete")
    monitor.execute("sendkey 0x1e 10")
    log = monitor.runner.log
    clock.advance(ms=99)
    assert log == [("ctrl", True), ("alt", True), ("delete", True)]
    clock.advance(ms=1)
    assert log[3:] == [("delete", False), ("alt", False), ("ctrl", False)]
    clock.advance(ms=110)
    assert log[6:] == [(0x1e, True), (0x1e, False)]


@given(st.lists(st.sampled_from(
    ["x", "xp", "i", "o", "print", "info", "help", "sendkey", "trace-event", "block", "registers",
     "chardev", "/4xb", "/c", "/i", "/999999999", "/", "$rip", "$", "0x", "(", "-", "--", "'", '"',
     "a-b", "\\", "99999999999999999999999"]) | st.text(max_size=4), max_size=5).map(" ".join))
def test_whatever_is_typed_has_an_answer(line):
    runner = FakeRunner(Clock())
    monitor = Monitor(runner, Config(), FakeChardevs(), "m")
    assert not re.match(r"\w+Error: ", monitor.execute(line))


# A session

class Session:
    """The monitor's thread, fed as a character device feeds it."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.chardevs = monitor.chardevs
        self.input = queue.SimpleQueue()
        self.chardevs.front.read = lambda limit: (
            b"" if self.input.empty() else self.input.get())
        monitor.start()

    def type(self, data):
        self.input.put(data)
        self.chardevs.post(self.chardevs.front.on_readable)


def test_a_session(monitor):
    session = Session(monitor)
    session.chardevs.post(session.chardevs.front.on_open)
    session.chardevs.post(lambda: session.chardevs.front.on_focus(True))
    session.type(b"info status\r\n")
    session.type(b"foo\rquit\rinfo status\r")
    monitor._thread.join(5)
    assert not monitor._thread.is_alive()
    assert session.chardevs.output.decode() == (
        "pyemu 0.1.0 monitor - type 'help' for more information\r\n"
        "(qemu) info status\r\nVM status: running\r\n"
        "(qemu) foo\r\nunknown command: 'foo'\r\n"
        "(qemu) quit\r\n")
    assert monitor.runner.log == ["quit"]


def test_coming_back_shows_the_unfinished_line(monitor):
    front, chardevs = monitor.chardevs.front, monitor.chardevs
    front.on_focus(True)
    list(monitor.editor.feed(b"info" + b"\x1b[D"))
    front.on_focus(False)
    chardevs.output = b""
    front.on_focus(True)
    assert chardevs.output == b"(qemu) info\x1b[1D"
