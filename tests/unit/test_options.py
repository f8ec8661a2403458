"""The command line: every option right and wrong, and the lines that say what is wrong."""
import os
import re
import subprocess
import sys
import types
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyemu import cli
from pyemu.config import MIB, FirmwareFileConfig, QmpConfig, UserError
from pyemu.cpu_features import CpuChanges
from pyemu.options import parse
from pyemu.options.keyvalue import split
from pyemu.options.request import Answer
from pyemu.options.table import GROUPS, NOT_SUPPORTED, OPTIONS
from pyemu.trace import control, hooks


def config(line):
    return parse(["-display", "none", *line.split()])


def complaint(line):
    with pytest.raises(UserError) as caught:
        config(line)
    return str(caught.value)


def test_an_empty_line_is_a_pc_with_qemus_defaults():
    plain = config("")
    assert (plain.ram_bytes, plain.cpu_model, plain.boot_order) == (128 * MIB, "qemu64", "cad")
    assert (plain.vga, len(plain.nics), plain.rtc_base) == ("std", 1, "utc")
    assert plain.serials == plain.monitors == plain.trace == []
    assert [(drive.name, drive.file) for drive in plain.drives] == [
        ("ide1-cd0", ""), ("floppy0", "")]


def test_one_dash_is_as_good_as_two():
    assert config("--m 64 --no-reboot") == config("-m 64 -no-reboot")


@pytest.mark.parametrize(("text", "size"), [
    ("64", 64 * MIB), ("1G", 1 << 30), ("1g", 1 << 30), ("1.5G", 3 << 29), ("4096K", 4 * MIB),
    ("size=256", 256 * MIB), ("0x40", 64 * MIB), ("2097153B", 2 * MIB + 8192),
])
def test_memory_sizes(text, size):
    assert config(f"-m {text}").ram_bytes == size


@pytest.mark.parametrize(("line", "drives"), [
    ("-hda a -hdd b", [("a", 0), ("b", 3)]),
    ("a", [("a", 0)]),
    ("-hda a -drive file=b", [("a", 0), ("b", 1)]),
    ("-drive file=a,index=2 -drive file=b", [("a", 2), ("b", 0)]),
    ("-drive file=a,bus=1,unit=1", [("a", 3)]),
    ("-drive file=a,,b,if=ide,media=disk", [("a,b", 0)]),
    ("-cdrom a -hda b", [("a", 2), ("b", 0)]),
    ("-fda a -drive file=b,if=floppy", [("a", 0), ("b", 1)]),
    ("-drive file=a,media=cdrom", [("a", 0)]),
])
def test_drives_find_their_places(line, drives):
    found = [(drive.file, drive.index) for drive in config(line).drives if drive.file]
    assert found == drives


def test_drive_keys():
    keys = "file=a,if=virtio,format=qcow2,snapshot=on,readonly=on,id=root"
    drive, *_ = config(f"-drive {keys}").drives
    assert (drive.format, drive.snapshot, drive.read_only) == ("qcow2", True, True)
    assert drive.name == "root"
    assert drive.source == f"-drive {keys}"
    assert config("-hdc a").drives[0].name == "ide1-hd0"


def test_how_a_drive_writes():
    drive, *_ = config("-drive file=a").drives
    assert (drive.cache, drive.discard, drive.werror, drive.rerror) == (
        "writeback", False, "enospc", "report")
    drive, *_ = config("-drive file=a,cache=unsafe,discard=unmap,werror=stop,rerror=ignore").drives
    assert (drive.cache, drive.discard, drive.werror, drive.rerror) == (
        "unsafe", True, "stop", "ignore")


def test_what_the_firmware_is_told(capsys):
    told = config("-boot dc,once=n,menu=on,splash-time=500,reboot-timeout=-1,strict=on "
                  "-fw_cfg opt/a,string=b -fw_cfg name=c,file=d "
                  "-uuid 01234567-89AB-cdef-0123-456789abcdef -parallel none")
    assert (told.boot_order, told.boot_once, told.boot_menu, told.boot_strict) == (
        "dc", "n", True, True)
    assert (told.boot_wait_ms, told.reboot_timeout_ms) == (500, None)
    assert told.fw_cfg_files == {
        "opt/a": FirmwareFileConfig("-fw_cfg opt/a,string=b", text="b"),
        "c": FirmwareFileConfig("-fw_cfg name=c,file=d", file="d")}
    assert told.uuid.hex() == "0123456789abcdef" * 2
    assert config("-boot reboot-timeout=2000").reboot_timeout_ms == 2000
    assert capsys.readouterr().err == (
        'pyemu: -fw_cfg name=c,file=d: warning: externally provided fw_cfg item names should be '
        'prefixed with "opt/"\n')


def test_features_of_the_cpu(capsys):
    """With a sign they have the last word; what the translator lacks is told and left out."""
    changes = config("-cpu max,-smap,smap=on,sse4_1=off,+sse4-1,+avx,-sse3,pcid,family=6,"
                     "vendor=GenuineIntel,model-id=A,check").cpu_changes
    assert changes == CpuChanges(on=frozenset({"sse4.1"}), off=frozenset({"smap", "pni"}),
                                 numbers={"family": 6}, vendor="GenuineIntel", model_id="A")
    assert capsys.readouterr().err.splitlines() == [
        "pyemu: warning: TCG doesn't support requested feature: CPUID.01H:ECX.pcid [bit 17]",
        "pyemu: warning: TCG doesn't support requested feature: CPUID.01H:ECX.avx [bit 28]"]
    assert config("-cpu qemu64,check=off,+avx").cpu_changes == CpuChanges()
    assert not capsys.readouterr().err


def test_snapshot_counts_for_drives_that_do_not_say():
    drives = config("-hda a -snapshot -drive file=b,snapshot=off").drives
    assert [drive.snapshot for drive in drives] == [True, False, False, False]
    assert not config("-hda a").drives[0].snapshot


def test_machine_options():
    full = config("-name guest=box -cpu Haswell -smp cpus=1,cores=1 -M pc,accel=kvm:tcg -accel tcg "
                  "-boot order=dc,menu=on -vga none -nic none -kernel k -initrd i -append quiet "
                  "-no-reboot -no-shutdown -S -trace a* -trace file=t -pidfile p")
    assert (full.name, full.cpu_model, full.boot_order, full.boot_menu) == (
        "box", "Haswell", "dc", True)
    assert (full.vga, full.nics, full.kernel, full.initrd, full.append) == (
        None, [], "k", "i", "quiet")
    assert full.no_reboot and full.no_shutdown and full.start_paused and full.hpet
    assert not config("-no-hpet").hpet and not config("-machine hpet=off").hpet
    assert full.trace == ["a*", "file=t"]
    assert full.pid_file == "p"


def test_clock_base():
    assert config("-rtc base=localtime").rtc_base == "localtime"
    assert config("-rtc base=2006-06-17T16:01:21").rtc_base == datetime(2006, 6, 17, 16, 1, 21)
    assert config("-rtc base=2006-06-17").rtc_base == datetime(2006, 6, 17)


def test_firmware_dirs_add_up(tmp_path):
    assert config(f"-L {tmp_path} -L /").firmware_dirs == [str(tmp_path), "/"]


def test_nodefaults_leaves_out_the_adapters():
    assert (config("-nodefaults").vga, config("-nodefaults").nics) == (None, [])
    assert config("-nodefaults -vga std").vga == "std"


@pytest.mark.parametrize(("line", "serials", "monitors", "kind_mux_signals"), [
    ("-nographic", ["serial0"], ["serial0"], ("stdio", True, False)),
    ("-nographic -serial null", ["serial0"], ["compat_monitor0"], ("null", False, True)),
    ("-nographic -serial none", [None], ["compat_monitor0"], ("stdio", False, True)),
    ("-nographic -monitor none", ["serial0"], [], ("stdio", False, True)),
    ("-serial mon:stdio", ["serial0"], ["serial0"], ("stdio", True, False)),
    ("-serial none -serial file:x", [None, "serial1"], [], ("file", False, True)),
    ("-monitor stdio", [], ["compat_monitor0"], ("stdio", False, True)),
    ("-chardev stdio,id=t,mux=on,signal=off -serial chardev:t -monitor chardev:t",
     ["t"], ["t"], ("stdio", True, False)),
])
def test_consoles(line, serials, monitors, kind_mux_signals):
    got = config(line)
    first = got.chardevs[0]
    assert (got.serials, got.monitors) == (serials, monitors)
    assert (first.kind, first.mux, first.signals) == kind_mux_signals


def test_sockets():
    unix, tcp, other = config(
        "-serial unix:/tmp/s,server=on,wait=off -serial tcp:localhost:4444 "
        "-chardev socket,id=c,port=1,server=on -monitor chardev:c").chardevs
    assert (unix.kind, unix.path, unix.server, unix.wait) == ("unix", "/tmp/s", True, False)
    assert (tcp.kind, tcp.host, tcp.port, tcp.server) == ("tcp", "localhost", 4444, False)
    assert (other.kind, other.port, other.server, other.wait) == ("tcp", 1, True, True)
    assert not config("-serial unix:/tmp/s,server,nowait").chardevs[0].wait


@pytest.mark.parametrize(("line", "message"), [
    ("-foo", "-foo: invalid option"),
    ("-", "-: invalid option"),
    ("-usb", "-usb: this option of QEMU is not supported"),
    ("-m", "-m: requires an argument"),
    ("-m 0", "-m 0: the machine needs at least 1M of memory"),
    ("-m x", "-m x: Parameter 'size' expects a non-negative number below 2^64, "
             "with a suffix K, M, G, T, P or E if need be"),
    ("-m -1", "-m -1: Parameter 'size' expects a non-negative number below 2^64, "
              "with a suffix K, M, G, T, P or E if need be"),
    ("-m 64,slots=2", "-m 64,slots=2: Invalid parameter 'slots'"),
    ("-cpu foo", "-cpu foo: unable to find CPU model 'foo' (-cpu help lists them)"),
    ("-cpu qemu64,+foo", "-cpu qemu64,+foo: Property 'qemu64-x86_64-cpu.foo' not found"),
    ("-cpu qemu64,smap=maybe",
     "-cpu qemu64,smap=maybe: Parameter 'smap' expects 'on' or 'off'"),
    ("-cpu qemu64,vendor=me",
     "-cpu qemu64,vendor=me: Property '.vendor' doesn't take value 'me'"),
    ("-cpu qemu64,family=271", "-cpu qemu64,family=271: Property .family doesn't take value 271 "
     "(minimum: 0, maximum: 270)"),
    ("-cpu max,enforce,+avx", "-cpu max,enforce,+avx: TCG doesn't support requested features"),
    ("-cpu host", "-cpu host: CPU model 'host' requires KVM, which is not here"),
    ("-smp 2", "-smp 2: the machine has one CPU"),
    ("-smp cores=x", "-smp cores=x: Parameter 'cores' expects a number"),
    ("-M q35", "-M q35: unsupported machine type 'q35', only 'pc' is there"),
    ("-accel kvm", "-accel kvm: no kvm here: the CPU is emulated, which is called tcg"),
    ("-machine pc,accel=kvm",
     "-machine pc,accel=kvm: no kvm here: the CPU is emulated, which is called tcg"),
    ("-M pc,hpet=2", "-M pc,hpet=2: Parameter 'hpet' expects 'on' or 'off'"),
    ("-accel foo", "-accel foo: invalid accelerator foo"),
    ("-boot x", "-boot x: Invalid boot device 'x'"),
    ("-boot cc", "-boot cc: Boot device 'c' was given twice"),
    ("-boot abcd", "-boot abcd: Too many boot devices for PC"),
    ("-boot menu=maybe", "-boot menu=maybe: Parameter 'menu' expects 'on' or 'off'"),
    ("-boot once=x", "-boot once=x: Invalid boot device 'x'"),
    ("-boot splash=x", "-boot splash=x: Invalid parameter 'splash'"),
    ("-boot splash-time=70000", "-boot splash-time=70000: splash-time is invalid, "
     "it should be a value between 0 and 65535"),
    ("-fw_cfg name=opt/x", "-fw_cfg name=opt/x: name, plus exactly one of file and string, "
     "are needed"),
    (f"-fw_cfg opt/{'a' * 52},string=a", f"-fw_cfg opt/{'a' * 52},string=a: "
     "name too long (max. 55 char)"),
    ("-fw_cfg opt/x,string=a -fw_cfg opt/x,string=b",
     "-fw_cfg opt/x,string=b: duplicate fw_cfg file name: opt/x"),
    ("-fw_cfg opt/\udcff,string=a", "-fw_cfg opt/\udcff,string=a: "
     "name has other characters than ASCII's"),
    ("-uuid 1", "-uuid 1: failed to parse UUID string: wrong format"),
    ("-parallel stdio", "-parallel stdio: there is no parallel port"),
    ("-rtc clock=vm", "-rtc clock=vm: Invalid parameter 'clock'"),
    ("-vga cirrus",
     "-vga cirrus: vga type 'cirrus' is not supported, only std and none are"),
    ("-vga foo", "-vga foo: unknown vga type: foo"),
    ("-display gtk", "-display gtk: Parameter 'type' does not accept value 'gtk', "
     "only none, sdl, curses, vnc"),
    ("-display none,full-screen=on",
     "-display none,full-screen=on: Parameter 'full-screen' is unexpected"),
    ("-display sdl,gl=on", "-display sdl,gl=on: Parameter 'gl' is unexpected"),
    ("-display sdl,full-screen=1",
     "-display sdl,full-screen=1: Parameter 'full-screen' expects 'on' or 'off'"),
    ("-name guest=x,process=y", "-name guest=x,process=y: Invalid parameter 'process'"),
    ("-L /nosuch", "-L /nosuch: no such directory"),
    ("-initrd x", "-initrd only allowed with -kernel option"),
    ("-append x", "-append only allowed with -kernel option"),
    ("-drive format=raw", "-drive format=raw: Device needs media, but drive is empty"),
    ("-drive file=a,discard=maybe", "-drive file=a,discard=maybe: Invalid discard option"),
    ("-drive file=a,readonly=on", "-drive file=a,readonly=on: Block node is read-only"),
    ("-drive if=floppy,werror=stop",
     "-drive if=floppy,werror=stop: werror is not supported by this bus type"),
    ("-drive file=a,werror=x", "-drive file=a,werror=x: 'x' invalid write error action"),
    ("-drive file=a,rerror=enospc",
     "-drive file=a,rerror=enospc: 'enospc' invalid read error action"),
    ("-drive file=a,cache=never", "-drive file=a,cache=never: invalid cache option"),
    ("-drive file=a,if=scsi", "-drive file=a,if=scsi: bus type 'scsi' is not supported, only ide, "
                              "floppy, virtio, none are"),
    ("-drive if=virtio", "-drive if=virtio: Device needs media, but drive is empty"),
    ("-device virtio-blk-pci", "-device virtio-blk-pci: drive property not set"),
    ("-device virtio-blk-pci,drive=foo", "-device virtio-blk-pci,drive=foo: Property "
                                         "'virtio-blk-device.drive' can't find value 'foo'"),
    ("-drive if=none,id=a,file=x -device virtio-blk-pci,drive=a -device virtio-blk-pci,drive=a",
     "-device virtio-blk-pci,drive=a: Drive 'a' is already in use by another device"),
    ("-drive if=none,id=a -device virtio-blk-pci,drive=a",
     "-device virtio-blk-pci,drive=a: Device needs media, but drive is empty"),
    ("-drive file=a,if=zzz", "-drive file=a,if=zzz: unsupported bus type 'zzz'"),
    ("-drive file=a,format=vmdk",
     "-drive file=a,format=vmdk: Unknown driver 'vmdk', known are raw, qcow2"),
    ("-drive file=a,media=zz", "-drive file=a,media=zz: 'zz' invalid media"),
    ("-drive file=a,snapshot=x",
     "-drive file=a,snapshot=x: Parameter 'snapshot' expects 'on' or 'off'"),
    ("-drive file=a,index=4",
     "-drive file=a,index=4: there is no IDE drive 4: the machine has places 0 to 3"),
    ("-drive file=a,index=-1",
     "-drive file=a,index=-1: there is no IDE drive -1: the machine has places 0 to 3"),
    ("-drive file=a,bus=0,unit=2", "-drive file=a,bus=0,unit=2: unit 2 of bus 0 does not exist"),
    ("-drive file=a,bus=0,index=1",
     "-drive file=a,bus=0,index=1: index cannot be used with bus and unit"),
    ("-hda a b", "b: drive with bus=0, unit=0 (index=0) exists: -hda a"),
    ("-hda a -hdb b -hdc c -hdd d -drive file=e",
     "-drive file=e: there is no IDE drive 4: the machine has places 0 to 3"),
    ("-drive file=a,id=x -drive file=b,id=x",
     "-drive file=b,id=x: Duplicate ID 'x' for drive"),
    ("-serial foo", "-serial foo: 'foo' is not a valid char driver"),
    ("-serial udp", "-serial udp: character devices of kind 'udp' are not supported"),
    ("-serial file:", "-serial file:: 'file' is not a valid char driver"),
    ("-serial stdio -monitor stdio", "-monitor stdio: stdio is in use already: -serial stdio"),
    ("-serial null -serial null -serial null -serial null -serial null",
     "-serial null: there are only 4 serial ports"),
    ("-serial chardev:x", "-serial chardev:x: there is no chardev 'x'"),
    ("-serial tcp:4444", "-serial tcp:4444: expected tcp:HOST:PORT"),
    ("-serial tcp:host:x", "-serial tcp:host:x: 'x' is not a port number"),
    ("-serial tcp:a..b:1",
     "-serial tcp:a..b:1: address resolution failed for a..b: Name or service not known"),
    ("-serial chardev:a -chardev socket,id=a,port=1,host=\udcff",
     "-chardev socket,id=a,port=1,host=\udcff: address resolution failed for \udcff: "
     "Name or service not known"),
    ("-vnc a..b:1", "-vnc a..b:1: address resolution failed for a..b: Name or service not known"),
    ("-serial unix:s,wait=off", "-serial unix:s,wait=off: 'wait' is for servers only: "
                                "add server=on"),
    ("-chardev foo,id=a", "-chardev foo,id=a: 'foo' is not a valid char driver"),
    ("-chardev null", "-chardev null: Parameter 'id' is missing"),
    ("-chardev file,id=a", "-chardev file,id=a: chardev: file: no filename given"),
    ("-chardev null,id=a,path=x", "-chardev null,id=a,path=x: Invalid parameter 'path'"),
    ("-chardev null,id=a -chardev null,id=a",
     "-chardev null,id=a: Duplicate ID 'a' for chardev"),
    ("-chardev socket,id=a", "-chardev socket,id=a: chardev: socket: path or port is needed"),
    ("-chardev null,id=a", "-chardev null,id=a: nothing uses chardev 'a'"),
    ("-chardev null,id=a -serial chardev:a -monitor chardev:a",
     "-monitor chardev:a: chardev 'a' is in use: mux=on lets several share it"),
    ("-mon x,mode=control", "-mon x,mode=control: there is no chardev 'x'"),
    ("-serial unix:,server=on", "-serial unix:,server=on: expected unix:PATH"),
])
def test_what_is_wrong_is_said_in_one_line(line, message):
    assert complaint(line) == message


@pytest.mark.parametrize("base", ["foo", "2006-13-17", "2006-06-17 16:01", "20060617"])
def test_bad_dates(base):
    with pytest.raises(UserError, match="invalid datetime format"):
        parse(["-rtc", f"base={base}"])


def test_more_memory_than_the_host_has():
    assert "-m 1000T: cannot set up guest memory 'pc.ram'" in complaint("-m 1000T")


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_window_where_there_is_a_desktop(monkeypatch, variable):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert parse(["-display", "sdl"]).display == "sdl"
    monkeypatch.setenv(variable, ":7")
    assert parse(["disk.img"]).display == "sdl"
    assert parse(["disk.img", "-nographic"]).display == "none"
    assert parse(["disk.img", "-display", "none"]).display == "none"


def test_how_the_window_is():
    plain = config("")
    assert not plain.full_screen and plain.window_close
    assert config("-full-screen").full_screen
    ours = config("-display sdl,full-screen=on,window-close=off")
    assert ours.full_screen and not ours.window_close


def test_nobody_to_see_the_machine(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="add -nographic"):
        parse(["disk.img"])
    assert parse(["disk.img", "-monitor", "stdio"]).display == "none"


@pytest.mark.parametrize(("line", "first"), [
    ("-version", "pyemu emulator version 0.1.0"),
    ("-h", "usage: pyemu [options] [disk_image]"),
    ("-cpu help", "Available CPUs:"),
    ("-M help", "Supported machines are:"),
    ("-accel help", "Accelerators supported in pyemu:"),
    ("-L / -L help", "/"),
    ("-display help", "Available display backend types:"),
])
def test_questions_have_answers(line, first):
    with pytest.raises(Answer) as caught:
        parse(line.split())
    assert str(caught.value).splitlines()[0] == first


def test_the_help_names_every_option_and_fits_the_screen():
    with pytest.raises(Answer) as caught:
        parse(["--help"])
    text = str(caught.value)
    assert max(map(len, text.splitlines())) <= 81
    for group in GROUPS.values():
        for option in group:
            assert f"-{option.names[-1]}" in text
    assert not OPTIONS.keys() & set(NOT_SUPPORTED.split())


@pytest.mark.parametrize(("text", "parts"), [
    ("a,b=c", ["a", "b=c"]), ("a,,b", ["a,b"]), ("a,,,b", ["a,", "b"]), ("", [""]),
    ("a,", ["a", ""]),
])
def test_commas(text, parts):
    assert split(text) == parts


def test_main_prints_one_line_and_returns_1(capsys):
    assert cli.main(["-hda"]) == 1
    assert capsys.readouterr().err == "pyemu: -hda: requires an argument\n"


def test_closed_standard_descriptors():
    code = ("import os; from pyemu import cli; status = cli.main(['-version']); "
            "os._exit(status + all(os.path.sameopenfile(n, os.open(os.devnull, os.O_RDWR)) "
            "for n in range(3)) * 40)")
    done = subprocess.run(["sh", "-c", f'exec {sys.executable} -c "$0" <&- >&- 2>&-', code],
                          timeout=20)
    assert done.returncode == 40


def test_a_closed_pipe_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", "import sys; from pyemu import cli; "
                           "sys.exit(cli.main(['-help']))"], stdout=writer,
                          stderr=subprocess.PIPE, timeout=20)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_version_and_help_import_nothing_heavy():
    code = ("import sys; from pyemu import cli; cli.main(['-version']); "
            "print(sorted({'unicorn', 'numpy', 'capstone', 'asyncio', 'datetime', 'ctypes'} "
            "& set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout.splitlines()[-1] == "[]"


WORDS = [f"-{name}" for name in OPTIONS] + [
    "file=a", "a", "", ",", "=", "on", "help", "-1", "0x", "1M", "mon:stdio", "chardev:", "tcp:",
    "unix:x,server", "stdio,id=a", "socket,id=b,port=", "null,id=c,mux=maybe", "base=", "order=",
    "file=a,index=0x", "file=a,unit=1", "size=", "file=a,if=", "cpus=", "accel=", "\0", "\udcff",
]


@given(st.lists(st.sampled_from(WORDS) | st.text("abcd=,:-019MGx", max_size=12), max_size=6))
def test_whatever_is_typed_gives_a_config_or_one_line(words):
    try:
        parse(words)
    except UserError as error:
        assert "\n" not in str(error)
    except Answer:
        pass


@pytest.fixture
def launch(monkeypatch):
    """A stand-in for `pyemu.launch`, whose `run` the test sets."""
    module = types.ModuleType("pyemu.launch")
    monkeypatch.setitem(sys.modules, "pyemu.launch", module)
    return module


def test_the_machines_status_is_the_exit_status(launch):
    launch.run = lambda config: 7 if config.cpu_model == "486" else 0
    assert cli.main(["-nographic", "-cpu", "486"]) == 7


def test_an_unforeseen_error_is_one_line_too(launch, capsys, monkeypatch):
    def run(config):
        return 1 // 0
    launch.run = run
    monkeypatch.delenv("PYEMU_DEBUG", raising=False)
    assert cli.main(["-nographic"]) == 1
    assert capsys.readouterr().err == (
        "pyemu: internal error: ZeroDivisionError: integer division or modulo by zero "
        "(PYEMU_DEBUG=1 shows where)\n")
    monkeypatch.setenv("PYEMU_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["-nographic"])


def test_trace_help_lists_the_events(capsys):
    assert cli.main(["-nographic", "-trace", "help"]) == 0
    assert "load_file" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("option", "line"), [
    ("foo=1", "pyemu: -trace foo=1: Invalid parameter 'foo'\n"),
    ("events=/nosuch", "pyemu:/nosuch: No such file or directory\n"),
    ("file=/nosuch/t", "pyemu: could not open trace file '/nosuch/t': "
                       "No such file or directory\n"),
])
def test_wrong_trace_options(launch, capsys, option, line):
    launch.run = lambda config: 0
    assert cli.main(["-nographic", "-trace", option]) == 1
    assert capsys.readouterr().err == line


def test_the_trace_is_open_while_the_machine_runs(launch, tmp_path):
    path = tmp_path / "trace"
    launch.run = lambda config: 0 if control.file.on and hooks.hooks["load_file"] else 9
    assert cli.main(["-nographic", "-trace", f"load_file,file={path}"]) == 0
    assert not control.file.on
    assert path.stat().st_size > 1000  # the names of the events
    hooks.hooks["load_file"].enabled = False


def test_the_pid_file_is_there_while_the_machine_runs(launch, tmp_path):
    path = tmp_path / "pid"
    launch.run = lambda config: int(path.read_text()) - os.getpid()
    assert cli.main(["-nographic", "-pidfile", str(path)]) == 0
    assert not path.exists()


def test_a_pid_file_that_cannot_be(launch, capsys):
    launch.run = lambda config: 0
    assert cli.main(["-nographic", "-pidfile", "/nosuch/pid"]) == 1
    assert capsys.readouterr().err == (
        "pyemu: cannot create PID file: /nosuch/pid: No such file or directory\n")


# QMP

def test_qmp_monitors():
    config = parse(["-display", "none", "-qmp", "unix:/tmp/q,server=on,wait=off",
                    "-qmp-pretty", "tcp:localhost:4444,server", "-monitor", "null",
                    "-chardev", "null,id=c", "-mon", "chardev=c,mode=control,pretty=on",
                    "-chardev", "null,id=h", "-mon", "h", "-qmp", "none"])
    assert config.qmp == [QmpConfig("compat_monitor0"), QmpConfig("compat_monitor1", pretty=True),
                          QmpConfig("c", pretty=True)]
    assert config.monitors == ["compat_monitor2", "h"]


@pytest.mark.parametrize(("words", "text"), [
    (["-qmp", "foo"], "-qmp foo: 'foo' is not a valid char driver"),
    (["-qmp", "chardev:x"], "-qmp chardev:x: there is no chardev 'x'"),
    (["-mon", "mode=control"], "-mon mode=control: Parameter 'chardev' is missing"),
    (["-mon", "c,mode=foo"],
     "-mon c,mode=foo: unknown monitor mode 'foo', only readline and control are there"),
    (["-mon", "c,pretty=on"], "-mon c,pretty=on: 'pretty' is for mode=control only"),
])
def test_qmp_monitors_wrongly_written(words, text):
    with pytest.raises(UserError, match=re.escape(text)):
        parse(["-display", "none", "-chardev", "null,id=c", *words])


# gdb

def test_gdb_listens_where_it_was_asked_to():
    here, = parse(["-display", "none", "-s"]).chardevs
    assert (here.kind, here.host, here.port, here.server, here.wait) == (
        "tcp", "localhost", 1234, True, False)
    there, = parse(["-display", "none", "-gdb", "tcp:127.0.0.1:7"]).chardevs
    assert (there.host, there.port, there.server, there.wait) == ("127.0.0.1", 7, True, False)
    config = parse(["-display", "none", "-gdb", "unix:/tmp/g,server=on,wait=off"])
    assert (config.gdb, config.chardevs[0].path) == ("gdb", "/tmp/g")
    assert parse(["-display", "none", "-serial", "null", "-gdb", "none"]).gdb is None


@pytest.mark.parametrize(("words", "text"), [
    (["-gdb", "foo"], "-gdb foo: 'foo' is not a valid char driver"),
    (["-gdb", "tcp::x"], "-gdb tcp::x: 'x' is not a port number"),
    (["-s", "-gdb", "null"], "-gdb null: there is a server for gdb already"),
    (["-gdb", "chardev:x"], "-gdb chardev:x: there is no chardev 'x'"),
])
def test_gdb_wrongly_written(words, text):
    with pytest.raises(UserError, match=re.escape(text)):
        parse(["-display", "none", *words])
