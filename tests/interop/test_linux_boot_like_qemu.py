"""The setup header that we hand to a kernel, beside QEMU's, for the kernels found on this host."""
import glob
import struct

import pytest
from pyemu.machine import direct_boot
from pyemu.machine import fw_cfg as key
from pyemu.machine.linux_boot import INITRD_ADDRESS

PORT = 0x510
KERNELS = glob.glob("/boot/vmlinuz-*") + glob.glob("images/out/vmlinuz*") + glob.glob(
    ".cache/images/*/unpacked/*/boot/vmlinuz-*")


@pytest.mark.parametrize("append", ["console=ttyS0 quiet", "vga=0x317", ""])
def test_setup_header(qtest, tmp_path, append):
    if not KERNELS:
        pytest.skip("no Linux kernel on this host")
    disk = tmp_path / "initrd"
    disk.write_bytes(bytes(100_000))
    oracle = qtest("-m", "128", "-kernel", KERNELS[0], "-initrd", str(disk), "-append", append)

    def fetch(item, length):
        oracle.outw(PORT, item)
        return bytes(oracle.inb(PORT + 1) for _ in range(length))

    def number(item):
        return struct.unpack("<I", fetch(item, 4))[0]

    ours = direct_boot.read(KERNELS[0], str(disk), append, 128 << 20)
    assert number(key.SETUP_SIZE) == len(ours.setup)
    theirs = bytearray(fetch(key.SETUP_DATA, 0x400))
    # QEMU leaves less room for the tables of the firmware.
    assert struct.unpack_from("<I", theirs, INITRD_ADDRESS)[0] == number(key.INITRD_ADDR)
    struct.pack_into("<I", theirs, INITRD_ADDRESS, ours.initrd_address)
    assert ours.setup[:0x400] == theirs
    assert number(key.KERNEL_ADDR) == 0x100000 and number(key.KERNEL_SIZE) == len(ours.kernel)
    assert fetch(key.KERNEL_DATA, 64) == ours.kernel[:64]
    assert fetch(key.CMDLINE_DATA, number(key.CMDLINE_SIZE)) == ours.command_line
