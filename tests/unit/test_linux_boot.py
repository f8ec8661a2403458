"""Direct boot: the setup header as Documentation/arch/x86/boot.rst wants it filled in."""
import struct

import pytest
from pyemu.machine import direct_boot
from pyemu.machine import fw_cfg as key
from pyemu.machine.fw_cfg import FwCfg

MIB = 1 << 20


def bzimage(version=0x20f, flags=0x01, extra=0x00, sectors=4, payload=b"kernel" * 1000,
            initrd_max=0x7fffffff, command_line_max=2047):
    image = bytearray((sectors or 4) * 512 + 512)
    struct.pack_into("<B", image, 0x1f1, sectors)
    struct.pack_into("<H4xH", image, 0x1f8, 0, 0xaa55)
    struct.pack_into("<4sH", image, 0x202, b"HdrS", version)
    image[0x211] = flags
    struct.pack_into("<I", image, 0x22c, initrd_max)
    struct.pack_into("<HI", image, 0x236, extra, command_line_max)
    return bytes(image) + payload


@pytest.fixture
def boot(tmp_path):
    """boot(image, initrd, command line, RAM) of files with this contents."""
    def read(image, initrd=None, append="", ram=128 * MIB):
        kernel, disk = tmp_path / "vmlinuz", tmp_path / "initrd"
        kernel.write_bytes(image)
        disk.write_bytes(initrd or b"")
        return direct_boot.read(str(kernel), str(disk) if initrd else None, append, ram)
    return read


def field(linux, offset, size):
    return int.from_bytes(linux.setup[offset:offset + size], "little")


def test_header_is_filled_in(boot):
    linux = boot(bzimage(), b"x" * 5000, "console=ttyS0")
    assert field(linux, 0x210, 1) == 0xb0 and field(linux, 0x211, 1) == 0x81
    assert field(linux, 0x224, 2) == 0xfe00 and field(linux, 0x228, 4) == 0x20000
    assert field(linux, 0x218, 4) == linux.initrd_address and field(linux, 0x21c, 4) == 5000
    assert linux.command_line == b"console=ttyS0\0"


def test_kernels_older_than_protocol_2_02(boot):
    """Setup and command line lie together at 90000h; zImages themselves below that."""
    ancient = boot(bzimage(version=0x201), append="quiet")
    assert (ancient.setup_address, ancient.kernel_address) == (0x90000, 0x100000)
    assert ancient.command_line_address == 0x99ff0 and field(ancient, 0x228, 4) == 0
    assert field(ancient, 0x20, 2) == 0xa33f and field(ancient, 0x22, 2) == 0x9ff0
    assert field(ancient, 0x224, 2) == 0x9ff0 - 0x200 and field(ancient, 0x211, 1) == 0x81
    small = boot(bzimage(version=0x200, flags=0))
    assert (small.setup_address, small.kernel_address) == (0x90000, 0x10000)
    assert field(small, 0x210, 1) == 0xb0 and field(small, 0x224, 2) == 0

    headerless = bytearray(bzimage())
    headerless[0x202:0x206] = bytes(4)
    first = boot(bytes(headerless))
    assert (first.setup_address, first.kernel_address) == (0x90000, 0x10000)
    assert field(first, 0x210, 1) == 0 and field(first, 0x22, 2) == 0x9ff0
    with pytest.raises(ValueError, match="too old to load a RAM disk"):
        boot(bytes(headerless), b"disk")


@pytest.mark.parametrize(("sectors", "size"), [(0, 5 * 512), (1, 1024), (39, 40 * 512)])
def test_setup_and_kernel_are_parted(boot, sectors, size):
    linux = boot(bzimage(sectors=sectors))
    assert len(linux.setup) == size and linux.kernel == b"kernel" * 1000


@pytest.mark.parametrize(("image", "top"), [
    (bzimage(), 0x8000_0000), (bzimage(extra=2), 0xbffc_0000),
    (bzimage(version=0x202), 0x3800_0000), (bzimage(version=0x200), 0x3800_0000),
    (bzimage(initrd_max=0x0fff_ffff), 0x1000_0000),
])
def test_initrd_lies_below_its_maximum(boot, image, top):
    linux = boot(image, b"x" * 0x1001, ram=3 << 30)
    assert linux.initrd_address == top - 0x2000


def test_initrd_leaves_room_for_the_tables_of_the_firmware(boot):
    linux = boot(bzimage(), b"x" * MIB)
    assert linux.initrd_address + MIB == 128 * MIB - 0x40000


def test_mem_option_limits_the_initrd(boot):
    for append in ("mem=64M", "quiet mem=0x4000000", "mem=1G mem=65536k"):
        assert boot(bzimage(), b"x" * MIB, append).initrd_address == 63 * MIB
    assert boot(bzimage(), b"x" * MIB, "maxmem=64M").initrd_address > 64 * MIB


@pytest.mark.parametrize(("append", "mode"), [
    ("vga=0x317", 0x317), ("vga=791 quiet", 791), ("vga=ask", 0xfffd), ("vga=normal", 0xffff),
    ("novga=5", 0), ("vga=nonsense", 0),
])
def test_vga_option(boot, append, mode):
    assert field(boot(bzimage(), append=append), 0x1fa, 2) == mode


def test_parts_go_to_fw_cfg(boot):
    device = FwCfg(memory=None)
    boot(bzimage(), b"disk", "quiet").install(device)

    def item(number):
        device.select(number)
        return device.read_block(8)

    assert item(key.SETUP_ADDR)[:4] == struct.pack("<I", 0x10000)
    assert item(key.SETUP_SIZE)[:4] == struct.pack("<I", 5 * 512)
    assert item(key.KERNEL_ADDR)[:4] == struct.pack("<I", MIB)
    assert item(key.KERNEL_SIZE)[:4] == struct.pack("<I", 6000)
    assert item(key.KERNEL_DATA) == b"kernelke"
    assert item(key.INITRD_SIZE)[:4] == struct.pack("<I", 4) and item(key.INITRD_DATA) == b"disk"
    assert item(key.CMDLINE_DATA) == b"quiet\0"


@pytest.mark.parametrize(("image", "message"), [
    (b"", "neither a Linux kernel nor a multiboot or ELF one"),
    (b"\x7fELF" + bytes(5000), "not an ELF file for a PC"),
    (bzimage()[:0x210], "neither a Linux kernel nor"),
    (bytes(5000), "neither a Linux kernel nor"),
    (bzimage(flags=0, payload=bytes(0x90000)), "too large for the memory"),
    (bzimage(payload=bytes(8 * MIB)), "too large for the memory"),
])
def test_what_is_no_kernel(boot, image, message):
    with pytest.raises(ValueError, match=message):
        boot(image, ram=8 * MIB)


def test_what_does_not_fit(boot):
    with pytest.raises(ValueError, match=r"initrd '.*' is too large: 7340032 bytes, there is room"):
        boot(bzimage(), bytes(7 * MIB), ram=8 * MIB)
    with pytest.raises(ValueError, match="-append: 300 bytes, the kernel takes 255"):
        boot(bzimage(version=0x205), append="x" * 300)
    with pytest.raises(ValueError, match="too large for the memory"):
        boot(bzimage(), append="mem=1")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"could not load kernel '.*': No such file"):
        direct_boot.read(str(tmp_path / "none"), None, "", MIB)
    (tmp_path / "vmlinuz").write_bytes(bzimage())
    with pytest.raises(ValueError, match=r"could not load initrd '.*': Is a directory"):
        direct_boot.read(str(tmp_path / "vmlinuz"), str(tmp_path), "", 64 * MIB)
