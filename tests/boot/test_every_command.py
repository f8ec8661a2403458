"""Each command of both monitors used rightly and wrongly on a running machine, by real clients:
pexpect at the monitor's terminal, and at QMP a socket whose answers must be what the schema says.
"""
import json
import re
import socket
import time

import pexpect
import pytest
from pyemu.monitor.info import SUBCOMMANDS
from pyemu.monitor.monitor import COMMANDS
from pyemu.monitor.qmp.schema import SCHEMA

from .console import MONITOR, PYEMU

USAGE = '\nTry "help {}" for more information\n$'
EXTRANEOUS = "extraneous characters at the end of line"

HMP = {  # command: a right use, what it says; a wrong one, what that says
    "boot_set": ("boot_set cd", "^boot device list now set to cd", "boot_set z",
                 "^Invalid boot device 'z'"),
    "change": ("change vnc password secret", "^$", "change",
               "block device name expected"),
    "chardev-send-break": ("chardev-send-break com1", "^$", "chardev-send-break nosuch",
                           "^Error: Chardev 'nosuch' not found"),
    "commit": ("commit all", "^$", "commit nosuch", "^Device 'nosuch' not found"),
    "cont|c": ("cont", "^$", "cont x", EXTRANEOUS),
    "cpu": ("cpu 0", "^$", "cpu 1", "^invalid CPU index"),
    "eject": ("eject ide1-cd0", "^$", "eject nosuch", "^Error: Device 'nosuch' not found"),
    "expire_password": ("expire_password vnc never", "^$", "expire_password", "string expected"),
    "gdbserver": ("gdbserver unix:gdb,server=on", "^Waiting for gdb connection on device 'unix:gdb",
                  "gdbserver nosuch", "not open gdbserver on device 'nosuch'"),
    "gva2gpa": ("gva2gpa 0x1234", "^gpa: 0x1234", "gva2gpa", "^unexpected end of expression"),
    "help|?": ("help cont", r"^cont\|c  -- resume", "help x y", "^unknown command: 'x y'"),
    "hostfwd_add": ("hostfwd_add tcp:127.0.0.1:0-:22", "^$", "hostfwd_add nosuch tcp::0-:22",
                    "^unrecognized netdev id 'nosuch'"),
    "hostfwd_remove": ("hostfwd_remove tcp:127.0.0.1:1", "^host forwarding rule for .* not found",
                       "hostfwd_remove x", "^invalid format"),
    "i": ("i/b 0x21", r"^portb\[0x0021\] = 0x", "i", "^unexpected end of expression"),
    "info": ("info", "^info block", "info nosuch", "^unknown command: 'info nosuch'"),
    "log": ("log nochain", "^$", "log nosuch", "^Log items"),
    "logfile": ("logfile log", "^$", "logfile /nosuch/x",
                "^Error opening logfile /nosuch/x: No such file"),
    "memsave": ('memsave 0x7c00 16 "virtual"', "^$", "memsave 0 16", "string expected"),
    "mouse_button": ("mouse_button 1", "^$", "mouse_button x", "^invalid char 'x' in expression"),
    "mouse_move": ("mouse_move 1 -1", "^$", "mouse_move 1", "string expected"),
    "mouse_set": ("mouse_set 2", "^$", "mouse_set 9", "^Mouse at index '9' not found"),
    "nmi": ("nmi", "^$", "nmi x", EXTRANEOUS),
    "o": ("o/b 0x80 0x12", "^$", "o 5", "^unexpected end of expression"),
    "pmemsave": ('pmemsave 0x7c00 16 "physical"', "^$", 'pmemsave 0 16 "/nosuch/x"',
                 "^Error: Could not open '/nosuch/x': No such file"),
    "print|p": ("print 2*21", "^0x2a", "print 1/0", "^division by zero"),
    "screendump": ("screendump screen -f png", "^$", "screendump x -f gif",
                   "^Error: invalid parameter value: gif"),
    "sendkey": ("sendkey ctrl-alt-f1", "^$", "sendkey nosuch", "^invalid parameter: nosuch"),
    "set_link": ("set_link e1000.0 on", "^$", "set_link nosuch on",
                 "^Error: Device 'nosuch' not found"),
    "set_password": ("set_password vnc secret", "^$", "set_password", "string expected"),
    "stop|s": ("stop", "^$", "stop x", EXTRANEOUS),
    "sum": ("sum 0xf0000 16", r"^\d{5}", "sum 0 -1", "integer is for 32-bit values"),
    "system_powerdown": ("system_powerdown", "^$", "system_powerdown x", EXTRANEOUS),
    "system_reset": ("system_reset", "^$", "system_reset x", EXTRANEOUS),
    "trace-event": ("trace-event load_file off", "^$", "trace-event nosuch on",
                    '^unknown event "nosuch"'),
    "trace-file": ("trace-file", "^Trace file ", "trace-file nosuch",
                   '^unexpected argument "nosuch"'),
    "x": ("x/2xb 0xffff0", "^00000000000ffff0: 0xea 0x5b", "x", "^unexpected end of expression"),
    "xp": ("xp/i 0xffff0", "^0x000ffff0:  ea 5b", "xp/zz 0", "^invalid char in format: 'z'"),
    "quit|q": ("", "", "quit x", EXTRANEOUS),  # the right use is the end
}
INFO = {  # what each says
    "block": r"^ide1-cd0: \[not inserted\]", "blockstats": "^ide1-cd0: rd_bytes=",
    "chardev": r"compat_monitor0: filename=stdio", "cpus": r"^\* CPU #0: thread_id=",
    "history": "^0: '", "irq": r"^IRQ statistics for ioapic:\n", "kvm": "^kvm support: disabled",
    "lapic": "^dumping local APIC state for CPU 0 ", "mem": "^PG disabled",
    "memory_size_summary": "^base memory: 33554432", "mice": r"^\* Mouse #2: QEMU PS/2 Mouse",
    "mtree": "^address-space: memory", "name": "^box", "network": "^e1000.0: index=0,type=nic",
    "numa": "^0 nodes", "pci": "^  Bus  0, device   0, function 0:", "pic": "^ioapic0: ver=0x20",
    "qtree": "^bus: main-system-bus", "registers": r"^\nCPU#0\nEAX=", "roms": "mem=rom",
    "status": "^VM status: running", "tlb": "^PG disabled", "trace-events": "load_file : state 0",
    "usernet": r"Protocol\[State\]", "uuid": "^00000000-0000-", "version": r"^\d+\.\d+\.\d+",
    "vnc": "^",
}
OPTIONAL = {"block": "x", "lapic": "7", "mtree": "-x", "registers": "7", "trace-events": "nosuch",
            "vnc": "x"}
FULL = {"trace-events": "x 0"}  # all arguments, of what takes more than one

PLAIN = (  # those that take nothing
    "stop", "cont", "system_reset", "system_powerdown", "inject-nmi", "query-version",
    "query-commands", "query-qmp-schema", "query-status", "query-name", "query-kvm",
    "query-target", "query-machines", "query-cpus-fast", "query-hotpluggable-cpus",
    "query-cpu-definitions", "query-current-machine", "query-uuid", "query-memory-size-summary",
    "query-chardev", "query-chardev-backends", "query-block", "query-pci", "query-mice",
    "query-vnc", "query-vnc-servers", "query-blockstats", "quit")
KEY = {"type": "qcode", "data": "a"}
QMP = {  # right arguments of each command; all take wrong ones the same way
    "qmp_capabilities": None,  # has been given, and is an error from then on
    "human-monitor-command": {"command-line": "info status"},
    "memsave": {"val": 0, "size": 16, "filename": "virtual"},
    "pmemsave": {"val": 0, "size": 16, "filename": "physical"},
    "chardev-send-break": {"id": "com1"},
    "eject": {"device": "ide1-cd0", "force": True},
    "blockdev-open-tray": {"device": "ide1-cd0"},
    "blockdev-close-tray": {"device": "ide1-cd0"},
    "blockdev-change-medium": {"device": "ide1-cd0", "filename": "disc.iso", "format": "raw"},
    "set_link": {"name": "e1000.0", "up": True},
    "send-key": {"keys": [KEY], "hold-time": 1},
    "input-send-event": {"events": [{"type": "key", "data": {"key": KEY, "down": False}}]},
    "screendump": {"filename": "screen"},
    "set_password": {"protocol": "vnc", "password": "secret"},
    "expire_password": {"protocol": "vnc", "time": "never"},
    "change-vnc-password": {"password": "secret"},
    "trace-event-get-state": {"name": "load_*"},
    "trace-event-set-state": {"name": "load_file", "enable": False},
    **{name: {} for name in PLAIN},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    (folder / "disc.iso").write_bytes(bytes(1 << 16))
    return folder


@pytest.fixture(scope="module")
def monitor(folder):
    """pexpect's session with the monitor of a machine that looks for something to boot."""
    child = pexpect.spawn(str(PYEMU), [
        "-display", "none", "-m", "32", "-name", "box", "-vnc", "unix:vnc,password=on",
        "-chardev", "null,id=com1", "-serial", "chardev:com1", "-monitor", "stdio",
        "-qmp", "unix:qmp,server=on,wait=off"], cwd=folder, timeout=60, encoding="utf-8")
    child.expect_exact(MONITOR)
    yield child
    child.close(force=True)


def ask(monitor, line):
    """What the monitor says to a line, up to the next prompt."""
    monitor.sendline(line)
    monitor.expect_exact("\r\n")  # the echo
    monitor.expect_exact(MONITOR)
    return re.sub("\r+\n", "\n", monitor.before)


def test_no_command_is_without_a_test():
    assert set(HMP) == {command.names for command in COMMANDS}
    assert set(INFO) == {command.names for command in SUBCOMMANDS}
    assert set(QMP) == set(SCHEMA.commands)


@pytest.mark.parametrize("names", [names for names in HMP if names != "quit|q"])
def test_command(monitor, folder, names):
    right, says, wrong, complains = HMP[names]
    text = ask(monitor, right)
    assert re.search(says, text), text
    text = ask(monitor, wrong)
    assert re.search(complains, text), text
    topic = ask(monitor, f"help {names.partition('|')[0]}")
    assert topic.startswith(f"{names} ") or names == "info"
    ask(monitor, "cont")


@pytest.mark.parametrize("name", INFO)
def test_info(monitor, name):
    text = ask(monitor, f"info {name}")
    assert re.search(INFO[name], text), text
    if name in OPTIONAL:
        assert ask(monitor, f"info {name} {OPTIONAL[name]}") != text
    assert re.search(f"{name}: {EXTRANEOUS}" + USAGE.format(f"info {name}"),
                     ask(monitor, f"info {name} {FULL.get(name, 'x')} y"))


class Qmp:
    """A client that checks what it gets against the schema."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw")
        assert "QMP" in json.loads(self.file.readline())

    def ask(self, command, arguments=None):
        message = {"execute": command} | ({} if arguments is None else {"arguments": arguments})
        self.file.write(json.dumps(message) + "\n")
        self.file.flush()
        while "event" in (answer := json.loads(self.file.readline())):
            SCHEMA.events[answer["event"]].check(answer.get("data", {}), "")
        if "return" in answer:
            SCHEMA.commands[command][1].check(answer["return"], "")
        return answer


@pytest.fixture(scope="module")
def qmp(monitor, folder):
    client = Qmp(folder / "qmp")
    assert client.ask("qmp_capabilities") == {"return": {}}
    yield client
    client.socket.close()


@pytest.mark.parametrize("name", [name for name in QMP if name != "quit"])
def test_qmp_command(qmp, name):
    if QMP[name] is None:
        assert qmp.ask(name)["error"]["class"] == "CommandNotFound"
        return
    assert "return" in qmp.ask(name, QMP[name] or None)
    assert qmp.ask(name, {**QMP[name], "nosuch": 1}) == {"error": {
        "class": "GenericError", "desc": "Parameter 'nosuch' is unexpected"}}
    qmp.ask("cont")


def test_files_have_been_written(folder):
    """By the commands above."""
    assert (folder / "screen").read_bytes().startswith(b"P6\n")
    assert (folder / "virtual").stat().st_size == (folder / "physical").stat().st_size == 16


def test_quit(monitor):
    _, _, wrong, complains = HMP["quit|q"]
    assert re.search(complains, ask(monitor, wrong))
    monitor.sendline("quit")
    monitor.expect(pexpect.EOF)
    monitor.wait()
    assert monitor.exitstatus == 0


def test_quit_by_qmp(tmp_path):
    with pexpect.spawn(str(PYEMU), ["-display", "none", "-nodefaults", "-qmp",
                                    "unix:qmp,server=on,wait=off"], cwd=tmp_path) as child:
        while not (tmp_path / "qmp").exists():
            time.sleep(0.05)
        client = Qmp(tmp_path / "qmp")
        client.ask("qmp_capabilities")
        assert "error" in client.ask("quit", {"nosuch": 1})
        assert client.ask("quit") == {"return": {}}
        child.expect(pexpect.EOF)
        assert child.wait() == 0
