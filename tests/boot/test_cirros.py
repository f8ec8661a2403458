"""A session on cirros.img: SeaBIOS, GRUB, Linux from ext4 on a qcow2 image, a login, traced."""
import hashlib
import re
import subprocess
from types import SimpleNamespace

import pytest

from .console import IMAGES, PYEMU, Console, log_in

COMPLAINTS = (
    "lost interrupt", "nobody cared", "BIOS bug", "Firmware Bug", "ACPI BIOS", "ACPI Error",
    "ACPI Warning", "ACPI Exception", "spurious", "soft lockup", "hard resetting link",
    "Call Trace", "I/O error",
)
EVENTS = ("load_file", "tcg_gen_code", "guest_cpu_reset", "runstate_set")
PROMPT = "$ "


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """The running guest, logged in. Its other disks, raw images, are written for real."""
    folder = tmp_path_factory.mktemp("cirros")
    ext2, fat = folder / "ext2.img", folder / "fat.img"
    subprocess.run(["mke2fs", "-q", "-L", "second", ext2, "48M"], check=True)
    fat.write_bytes((IMAGES / "mini.img").read_bytes())
    (folder / "events").write_text("".join(f"{name}\n" for name in EVENTS))
    command = [PYEMU, "-m", "256", "-hda", IMAGES / "cirros.img", "-snapshot",
               "-drive", f"file={ext2},format=raw,index=1,snapshot=off",
               "-drive", f"file={fat},format=raw,index=2,snapshot=off",
               "-nographic", "-trace", "events=events"]
    with Console(command, cwd=folder) as console:
        log_in(console)
        yield SimpleNamespace(
            console=console, folder=folder, ext2=ext2, fat=fat,
            run=lambda command: console.run(command, PROMPT))


@pytest.fixture(scope="module")
def dmesg(boot):
    return boot.run("sudo dmesg")


def test_boot_loader_and_login_banner(boot):
    places = [boot.console.text.index(text) for text in (
        "SeaBIOS (version", "iPXE", "Booting from Hard Disk", "GRUB", "Linux version",
        "login as 'cirros' user. default password: 'gocubsgo'. use 'sudo' for root.",
        "cirros login:")]
    assert places == sorted(places)


def test_sudo(boot):
    assert boot.run("id -un") == "cirros\n"
    assert boot.run("sudo id -un") == "root\n"


def test_a_file_written_and_synced(boot):
    boot.run("seq 100000 > numbers; sync; sudo sh -c 'echo 3 > /proc/sys/vm/drop_caches'")
    expected = hashlib.sha256(b"".join(b"%d\n" % n for n in range(1, 100001))).hexdigest()
    assert boot.run("sha256sum numbers") == f"{expected}  numbers\n"


def test_nothing_to_complain_of(dmesg):
    assert [line for line in dmesg.splitlines()
            if any(complaint in line for complaint in COMPLAINTS)] == []


def test_acpi_tables(dmesg):
    assert "ACPI: Using ACPI (MADT) for SMP configuration information" in dmesg
    assert "ACPI: Using IOAPIC for interrupt routing" in dmesg
    assert "ACPI: PM: (supports S0 S5)" in dmesg


def test_hpet(boot, dmesg):
    assert "hpet0: at MMIO 0xfed00000, IRQs 2, 8, 0" in dmesg
    assert "hpet0: 3 comparators, 64-bit 100.000000 MHz counter" in dmesg
    available = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
    assert "hpet" in boot.run(f"cat {available}").split()


def test_the_apics_bring_the_interrupts(boot):
    lines = boot.run("cat /proc/interrupts").splitlines()
    counts = {words[0]: int(words[1]) for line in lines[1:] if (words := line.split())}
    chips = {words[0]: " ".join(words[2:4]) for line in lines[1:] if (words := line.split())}
    assert counts["0:"] and chips["0:"] == "IO-APIC 2-edge"
    assert counts["14:"] and chips["14:"] == "IO-APIC 14-edge"
    assert counts["4:"] and chips["4:"] == "IO-APIC 4-edge"
    assert counts["LOC:"] > 100
    assert counts["ERR:"] == counts["MIS:"] == counts["SPU:"] == 0


def test_clock(boot):
    source = boot.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    assert source in ("tsc\n", "acpi_pm\n")


def test_network_adapter(boot, dmesg):
    assert "Intel(R) PRO/1000 Network Connection" in dmesg
    assert re.search(r"eth0: <.*BROADCAST.*\n +link/ether 52:54:00:12:34:56", boot.run("ip link"))


@pytest.mark.parametrize(("label", "kind"), [("second", "ext2"), ("MINI", "vfat")])
def test_a_file_on_another_disk(boot, label, kind):
    """Which of the disks is sda is a matter of chance. `ended` looks for the file."""
    assert boot.run(f"sudo mount -t {kind} $(sudo findfs LABEL={label}) /mnt") == ""
    boot.run("seq 50000 | sudo tee /mnt/numbers > /dev/null")
    assert boot.run("sudo umount /mnt") == ""


def test_stop_stops_time(boot):
    """All of it: Linux, which compares its clocks twice a second, sees none go astray."""
    monitor = boot.console.monitor
    complaints = boot.run("sudo dmesg | grep -c unstable")
    before = float(boot.run("cat /proc/uptime").split()[0])
    assert monitor("stop", "info status") == "VM status: paused\n"
    with pytest.raises(AssertionError, match="within 2 s"):
        boot.console.expect("never", timeout=2)
    assert monitor("cont", "info status") == "VM status: running\n"
    after = float(boot.run("cat /proc/uptime").split()[0])
    assert 0 <= after - before < 1.9
    boot.run("sleep 1")
    assert boot.run("sudo dmesg | grep -c unstable") == complaints


def test_info_block(boot):
    """In QEMU's layout; where a drive is plugged in is told in words, and `-snapshot` by name."""
    assert boot.console.monitor("info block") == f"""\
ide0-hd0: {IMAGES}/cirros.img (qcow2)
    Attached to:      IDE primary master
    Cache mode:       writeback
    Snapshot:         writes stay in memory

ide0-hd1: {boot.ext2} (raw)
    Attached to:      IDE primary slave
    Cache mode:       writeback

ide1-hd0: {boot.fat} (raw)
    Attached to:      IDE secondary master
    Cache mode:       writeback

floppy0: [not inserted]
    Attached to:      floppy drive A
    Removable device: not locked, tray closed
"""


def test_info_registers(boot):
    registers = boot.console.monitor("info registers")
    assert re.search(r"^RIP=[0-9a-f]{16} RFL=", registers, re.MULTILINE)
    assert "EFER=0000000000000d01" in registers  # NX, long mode, SYSCALL


def test_trace_event(boot):
    monitor = boot.console.monitor
    assert monitor("info trace-events load_f*") == "load_file : state 1\n"
    assert monitor("trace-event load_file off", "info trace-events load_f*") == (
        "load_file : state 0\n")
    assert monitor("trace-event load_file on", "trace-event tcg_gen_code off") == ""


def test_reboot(boot):
    boot.console.type("sudo reboot")
    boot.console.expect("reboot: Restarting system")
    boot.console.expect("SeaBIOS (version")
    log_in(boot.console)
    assert boot.run("ls numbers") == "numbers\n"  # the snapshot outlives a reset


@pytest.fixture(scope="module")
def ended(boot):
    """After the power button: the exit status and the decoded trace."""
    boot.console.monitor("system_powerdown")
    boot.console.expect("reboot: Power down")
    status = boot.console.wait()
    trace = boot.folder / f"trace-{boot.console.process.pid}"
    lines = subprocess.run([PYEMU.with_name("pyemu-simpletrace"), trace], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    return SimpleNamespace(status=status, records=[re.sub(r" -?[\d.]+ pid=\d+", "", line)
                                                   for line in lines])


def test_the_power_button_ends_the_process(ended):
    assert ended.status == 0


def test_the_other_disks_keep_the_file(boot, ended):
    subprocess.run(["e2fsck", "-fn", boot.ext2], check=True)
    for command in (["debugfs", "-R", "cat numbers", boot.ext2],
                    ["mtype", "-i", f"{boot.fat}@@1M", "::numbers"]):
        file = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        assert file == b"".join(b"%d\n" % n for n in range(1, 50001))


def test_load_file_in_qemus_order(ended):
    loads = [record.split() for record in ended.records if record.startswith("load_file")]
    assert [name for _, name, _ in loads] == [
        "name=bios-256k.bin", "name=bios-256k.bin", "name=kvmvapic.bin",
        "name=vgabios-stdvga.bin", "name=efi-e1000.rom"]
    assert all(path.startswith("path=/usr/") and path.endswith(name.removeprefix("name="))
               for _, name, path in loads)


def test_tcg_gen_code_from_the_first_instruction(ended):
    blocks = [record for record in ended.records if record.startswith("tcg_gen_code")]
    assert blocks[:3] == ["tcg_gen_code cs=0xffff0000 pc=0xfffffff0",
                          "tcg_gen_code cs=0xf0000 pc=0xfe05b",
                          "tcg_gen_code cs=0xf0000 pc=0xfe066"]
    assert len(blocks) > 50_000


def test_resets_and_run_states(ended):
    assert sum(record.startswith("guest_cpu_reset ") for record in ended.records) == 2
    states = [record for record in ended.records if record.startswith("runstate_set")]
    assert [re.findall(r"state_str=(\w+)", state) for state in states] == [
        ["prelaunch", "running"], ["running", "paused"], ["paused", "running"],
        ["running", "shutdown"]]
