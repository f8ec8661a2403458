"""Multiboot and PVH kernels: what is loaded where, and what they are told."""
import struct

import pytest
from pyemu.machine import direct_boot
from pyemu.machine.multiboot import Multiboot
from pyemu.machine.pvh_boot import PvhBoot

MIB = 1 << 20
EXECUTABLE = 5


def header(flags=0, *addresses):
    return struct.pack("<III", 0x1badb002, flags, -0x1badb002 - flags & 0xffffffff) + struct.pack(
        f"<{len(addresses)}I", *addresses)


def elf32(*segments, entry=0x100000, machine=3, notes=b""):
    """segments: physical address, data, size in memory. They are linked 3 GiB above it."""
    table = [(1, 0xc0000000 + physical & 0xffffffff, physical, data, size, EXECUTABLE)
             for physical, data, size in segments]
    if notes:
        table.append((4, 0, 0, notes, len(notes), 0))
    at = 52 + 32 * len(table)
    headers, body = b"", b""
    for kind, virtual, physical, data, size, flags in table:
        headers += struct.pack("<8I", kind, at + len(body), virtual, physical, len(data), size,
                               flags, 1)
        body += data
    return struct.pack("<7sx8xHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, machine, 1, entry, 52, 0, 0, 52,
                       32, len(table), 0, 0, 0) + headers + body


def elf64(*segments, notes=b"", segment_count=None):
    table = [(1, EXECUTABLE, physical, data, size) for physical, data, size in segments]
    table.append((4, 0, 0, notes, len(notes)))
    at = 64 + 56 * len(table)
    headers, body = b"", b""
    for kind, flags, physical, data, size in table:
        headers += struct.pack("<IIQQQQQQ", kind, flags, at + len(body), physical, physical,
                               len(data), size, 1)
        body += data
    return struct.pack("<7sx8xHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x100000, 64, 0, 0, 64,
                       56, segment_count or len(table), 0, 0, 0) + headers + body


def pvh_note(entry, owner=b"Xen\0"):
    return (struct.pack("<III", 8, 3, 1) + b"another\0abc\0"
            + struct.pack("<III", len(owner), 4, 18) + owner + struct.pack("<I", entry))


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """boot(image, -initrd, -append, RAM), called in a folder with modules `a` and `b`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(b"A" * 5000)
    (tmp_path / "b").write_bytes(b"B")

    def read(image, initrd=None, append="", ram=128 * MIB):
        (tmp_path / "kernel").write_bytes(image)
        return direct_boot.read("kernel", initrd, append, ram)
    return read


def word(kernel, field):
    return struct.unpack_from("<I", kernel.information, field)[0]


def text(kernel, address):
    start = address - kernel.address
    return kernel.block[start:kernel.block.index(0, start)].decode()


def test_elf_is_loaded_at_its_physical_addresses(boot):
    kernel = boot(elf32((0x200000, header() + b"code", 16), (0x100000, b"low", 0x2000),
                        entry=0xc0200004))
    assert isinstance(kernel, Multiboot)
    assert (kernel.address, kernel.entry) == (0x100000, 0x200004)
    assert kernel.block[:3] == b"low" and not any(kernel.block[3:0x100000])
    assert kernel.block[0x100000:0x100010] == header() + b"code"


def test_flat_file_is_loaded_by_the_addresses_of_its_header(boot):
    image = b"skipped!" + header(0x10000, 0x100010, 0x100000, 0, 0x104000, 0x100030)
    image = bytes(32) + image + b"code"
    kernel = boot(image)
    assert (kernel.address, kernel.entry) == (0x100000, 0x100030)
    assert kernel.block[0x10:0x1c] == header(0x10000)
    assert kernel.block[0x30:0x34] == b"code" and len(kernel.block) == 0x5000


def test_information(boot):
    kernel = boot(elf32((0x100000, header(), 0x1234)), "a first,, x,b", "more words")
    assert word(kernel, 0) == 0x24f and word(kernel, 12) == 0x8000ffff
    assert text(kernel, word(kernel, 16)) == "kernel more words"
    assert text(kernel, word(kernel, 64)) == "qemu"
    assert (word(kernel, 20), word(kernel, 24)) == (2, 0x102000)
    modules = [struct.unpack_from("<IIII", kernel.block, 0x2000 + 16 * n) for n in range(2)]
    assert [module[:2] for module in modules] == [(0x103000, 0x104388), (0x105000, 0x105001)]
    assert [text(kernel, module[2]) for module in modules] == ["a first, x", "b"]
    assert kernel.block[0x3000:0x4388] == b"A" * 5000 and kernel.block[0x5000] == ord("B")


def test_header_must_begin_in_the_first_8_kib_at_a_word(boot):
    flat = header(0x10000, 0x100000, 0x100000, 0, 0, 0x100000)
    assert isinstance(boot(bytes(8188) + flat), Multiboot)
    for image in (bytes(8192) + flat, bytes(6) + flat, bytes(8) + header()[:8] + bytes(8)):
        with pytest.raises(ValueError, match="neither a Linux kernel nor"):
            boot(image)


@pytest.mark.parametrize(("image", "message"), [
    (header() + bytes(100), "neither an ELF file nor does its multiboot header tell addresses"),
    (header(0x10000), "the multiboot header is cut short"),
    (header(0x10000, 0x100000, 0x100004, 0, 0, 0), "invalid load_addr address"),
    (header(0x10000, 0x100004, 0x100000, 0, 0, 0), "invalid header_addr address"),
    (header(0x10000, 0x100000, 0x100000, 0xfffff, 0, 0), "invalid load_end_addr address"),
    (header(0x10000, 0x100000, 0x100000, 0, 0x100001, 0), "invalid bss_end_addr address"),
    (header(0x10000, 0x100000, 0x100000, 0x100100, 0, 0), "the file ends before load_end_addr"),
    (header(0x10000, 0x100000, 0x100000, 0, 0xffffffff, 0), "memory of the machine ends below"),
    (elf32((0x100000, header(), 64), machine=62), "Cannot load x86-64 image, give a 32bit one."),
    (elf32((0xfff00000, header(), 64)), "memory of the machine ends below"),
    (elf32((0x100000, header(), 64))[:80], "neither|not an ELF|cut short"),
    (elf32((0x100000, header() + bytes(40), 48)), "the ELF file is cut short"),
    (elf32(notes=header()), "the ELF file has nothing to load"),
])
def test_what_cannot_be_loaded(boot, image, message):
    with pytest.raises(ValueError, match=f"^could not load kernel 'kernel': .*{message}"):
        boot(image)


def test_modules_that_cannot_be_loaded(boot):
    image = elf32((0x100000, header(), 64))
    with pytest.raises(ValueError, match="could not load module 'none': No such file"):
        boot(image, "a,none x")
    with pytest.raises(ValueError, match="could not load module '': "):
        boot(image, "a, b")
    with pytest.raises(ValueError, match="kernel 'kernel' is too large for the memory"):
        boot(image, "a", ram=0x143000)


@pytest.mark.parametrize("make", [elf32, elf64])
def test_pvh_kernel(boot, make):
    kernel = boot(make((0x100000, b"code", 0x1000), (0x200000, b"data", 4),
                       notes=pvh_note(0x100020)), "a", "one two")
    assert isinstance(kernel, PvhBoot) and kernel.entry == 0x100020
    assert kernel.initrd == b"A" * 5000 and kernel.command_line == b"one two\0"
    assert kernel.initrd_address == 128 * MIB - 0x40000 - 0x2000
    written = {}

    class Memory:
        def write(self, address, data):
            written[address] = bytes(data)

    kernel.load(Memory())
    assert written[0x100000] == b"code" and written[0x100004] == bytes(0xffc)
    assert written[0x200000] == b"data"


@pytest.mark.parametrize(("image", "message"), [
    (elf64((0x100000, b"x", 1)), "Error loading uncompressed kernel without PVH ELF Note"),
    (elf64((0x100000, b"x", 1), notes=pvh_note(0, b"BSD\0")), "without PVH ELF Note"),
    (elf64((0x100000, b"x", 1), notes=b"\xff" * 12), "without PVH ELF Note"),
    (elf64((0x1_0000_0000, b"x", 1), notes=pvh_note(0)), "too large for the memory"),
    (elf64((0x100000, b"x", 1 << 60), notes=pvh_note(0)), "too large for the memory"),
    (elf64(notes=pvh_note(0)), "too large for the memory"),
    (elf64((0x100000, b"x", 1), segment_count=0xffff), "the ELF file is cut short"),
    (b"\x7fELF\2\2" + bytes(200), "not an ELF file for a PC"),
])
def test_what_is_no_pvh_kernel(boot, image, message):
    with pytest.raises(ValueError, match=message):
        boot(image)
    with pytest.raises(ValueError, match="is too large: 5000 bytes, there is room for 4096"):
        boot(elf64((0x100000, b"x", 0x3000), notes=pvh_note(1)), "a", ram=0x144000)
