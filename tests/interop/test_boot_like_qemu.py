"""One boot of mini.img on both emulators: what guests ask of the chips, by the events both have.

SeaBIOS looks at its disks in turns of its own threads, and how often it waits depends on the time;
so accesses of detection are compared as a whole, and what comes in one order, in its order.
"""
import collections
import re

import pytest
from boot.console import IMAGES, PYEMU, Console

EVENTS = ["ide_exec_cmd", "ide_sector_read", "ide_ioport_write", "ide_ctrl_write", "pci_cfg_write",
          "pic_ioport_write"]
OPTIONS = ["-m", "128", "-nographic", "-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on"]
EOI = "addr 0x0 val 0x20"
PIC_WRITES = 38  # until Linux has set it up; then timer interrupts come when they come
# SeaBIOS sets up system management mode on QEMU's machine; on ours it is there already.
SMM = {"pci_cfg_write i440FX 00:00.0 @0x72 <- 0x4a", "pci_cfg_write i440FX 00:00.0 @0x72 <- 0xa",
       "pci_cfg_write PIIX4_PM 00:01.3 @0x58 <- 0x2000000"}


def boot(command, log):
    """{event: [line, ...]} of a boot to the login; pointers are left out."""
    with Console([*command, *OPTIONS, "-D", log]) as console:
        console.expect("mini login:", timeout=300)
        console.process.terminate()
        console.wait()
    lines = collections.defaultdict(list)
    for line in log.read_text().splitlines():
        lines[line.split()[0]].append(re.sub(r"0x[0-9a-f]{9,}|\(nil\)", "*", line))
    return lines


@pytest.fixture(scope="module")
def boots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boots")
    ours = boot([PYEMU, "-d", ",".join(f"trace:{event}" for event in EVENTS)], folder / "ours")
    traces = [word for event in EVENTS for word in ("-trace", event)]
    theirs = boot(["qemu-system-x86_64", "-accel", "tcg", *traces], folder / "theirs")
    return ours, theirs


def test_the_same_sectors_in_the_same_order(boots):
    ours, theirs = (lines["ide_sector_read"] for lines in boots)
    assert len(ours) > 30_000
    assert ours == theirs


@pytest.mark.parametrize("event", ["ide_exec_cmd", "ide_ioport_write", "ide_ctrl_write"])
def test_the_same_ide_accesses(boots, event):
    ours, theirs = (lines[event] for lines in boots)
    assert len(ours) > 300
    assert collections.Counter(ours) == collections.Counter(theirs)


def test_the_same_pci_configuration(boots):
    ours, theirs = (collections.Counter(lines["pci_cfg_write"]) for lines in boots)
    assert ours.total() > 250
    assert not ours - theirs
    assert set(theirs - ours) == SMM


def test_the_interrupt_controller_is_set_up_alike(boots):
    ours, theirs = (
        [line for line in lines["pic_ioport_write"] if EOI not in line][:PIC_WRITES]
        for lines in boots)
    assert len(ours) == PIC_WRITES
    assert ours == theirs
