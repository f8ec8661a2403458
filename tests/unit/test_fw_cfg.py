"""fw_cfg as docs/specs/fw_cfg.txt of QEMU describes it, and what a PC puts in."""
import struct

import pytest
from pyemu.machine import fw_cfg as key
from pyemu.machine.firmware_config import FirmwareConfig
from pyemu.machine.fw_cfg import FwCfg

REQUEST, TARGET = 0x1000, 0x2000  # where the tests keep a DMA request and its data
ERROR, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16


class Memory:
    def __init__(self):
        self.bytes = bytearray(b"\xee" * 0x10000)

    def read(self, address, length):
        return bytes(self.bytes[address:address + length])

    def write(self, address, data):
        data = data[:max(0, len(self.bytes) - address)]
        self.bytes[address:address + len(data)] = data


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def device(memory):
    return FwCfg(memory)


def fetch(device, item, length):
    device.write(0, 2, item)
    return bytes(device.read(1, 1) for _ in range(length))


def listing(device):
    (count,) = struct.unpack(">I", fetch(device, key.FILE_DIR, 4))
    entries = [struct.unpack(">IHH56s", bytes(device.read(1, 1) for _ in range(64)))
               for _ in range(count)]
    return {name.rstrip(b"\0").decode(): (size, item) for size, item, _, name in entries}


def dma(device, memory, control, length=0, target=TARGET):
    """Start a transfer; returns the control word that the device leaves."""
    memory.write(REQUEST, struct.pack(">IIQ", control, length, target))
    device.dma.write(0, 4, 0)
    device.dma.write(4, 4, int.from_bytes(struct.pack("<I", REQUEST), "big"))
    return int.from_bytes(memory.read(REQUEST, 4), "big")


def test_signature_and_features(device):
    assert fetch(device, key.SIGNATURE, 6) == b"QEMU\0\0"
    assert fetch(device, key.ID, 4) == bytes((3, 0, 0, 0))


def test_reset_goes_back_to_the_signature(device):
    fetch(device, key.ID, 1)
    device.reset()
    assert device.read(1, 1) == ord("Q")


def test_integers_are_little_endian_and_strings_end_with_nul(device):
    device.add_i16(key.NB_CPUS, 0x102)
    device.add_i32(key.KERNEL_SIZE, 0x01020304)
    device.add_i64(key.RAM_SIZE, 0x0102030405060708)
    device.add_string(key.CMDLINE_DATA, "quiet")
    assert fetch(device, key.NB_CPUS, 2).hex() == "0201"
    assert fetch(device, key.KERNEL_SIZE, 4).hex() == "04030201"
    assert fetch(device, key.RAM_SIZE, 8).hex() == "0807060504030201"
    assert fetch(device, key.CMDLINE_DATA, 7) == b"quiet\0\0"


def test_unknown_keys_read_as_zeros(device):
    assert fetch(device, 0x7777, 4) == bytes(4)
    assert fetch(device, 0xffff, 4) == bytes(4)


def test_the_write_channel_bit_is_ignored(device):
    assert fetch(device, key.WRITE_CHANNEL | key.SIGNATURE, 4) == b"QEMU"


def test_data_port_ignores_writes(device):
    device.write(1, 1, 0)
    device.write(1, 2, key.ID)
    assert device.read(1, 1) == ord("Q")


def test_directory_is_sorted_by_name(device):
    for name in ("etc/e820", "bootorder", "genroms/x.bin"):
        device.add_file(name, name.encode())
    files = listing(device)
    assert list(files) == ["bootorder", "etc/e820", "genroms/x.bin"]
    for name, (size, item) in files.items():
        assert fetch(device, item, size) == name.encode()


def test_a_file_of_the_same_name_is_replaced(device):
    device.add_file("a", b"old")
    device.add_file("a", b"newer")
    assert listing(device) == {"a": (5, key.FILE_FIRST)}
    assert device.file_data("a") == b"newer"


def test_bad_files_are_refused(device):
    with pytest.raises(ValueError, match="longer than 55 bytes"):
        device.add_file("x" * 56, b"")
    for number in range(key.FILE_SLOTS):
        device.add_file(f"file{number}", b"")
    with pytest.raises(ValueError, match="no slot left for file 'more'"):
        device.add_file("more", b"")


def test_on_select_may_bring_the_file_up_to_date(device):
    device.add_file("tables", b"old", on_select=lambda: device.add_file("tables", b"new"))
    assert fetch(device, key.FILE_FIRST, 3) == b"new"


def test_string_input_in_blocks(device):
    device.add_file("a", bytes(range(10)))
    device.select(key.FILE_FIRST)
    assert device.read_block(4) == bytes((0, 1, 2, 3))
    assert device.read_block(100) == bytes((4, 5, 6, 7, 8, 9))
    assert device.read_block(100) == bytes(100)


def test_dma_register_shows_its_signature(device):
    both = [device.dma.read(offset, 4).to_bytes(4, "little") for offset in (0, 4)]
    assert b"".join(both) == b"QEMU CFG"


def test_dma_reads_and_pads_with_zeros(device, memory):
    device.add_file("a", b"hello")
    assert dma(device, memory, key.FILE_FIRST << 16 | SELECT | READ, 8) == 0
    assert memory.read(TARGET, 9) == b"hello\0\0\0\xee"


def test_dma_skips_and_goes_on(device, memory):
    device.add_file("a", b"hello")
    dma(device, memory, key.FILE_FIRST << 16 | SELECT | SKIP, 3)
    dma(device, memory, READ, 2)
    assert memory.read(TARGET, 2) == b"lo"
    dma(device, memory, SELECT | key.SIGNATURE << 16)
    assert device.read(1, 1) == ord("Q")


def test_dma_writes_only_where_allowed(device, memory):
    seen = []
    device.add_file("fixed", bytes(4))
    device.add_file("open", bytes(4), writable=True, on_write=lambda *at: seen.append(at))
    memory.write(TARGET, b"abcd")
    fixed, writable = key.FILE_FIRST << 16, key.FILE_FIRST + 1 << 16
    assert dma(device, memory, fixed | SELECT | WRITE, 4) == ERROR
    assert dma(device, memory, writable | SELECT | WRITE, 5) == ERROR
    assert dma(device, memory, 0xffff << 16 | SELECT | WRITE, 1) == ERROR
    assert not seen
    assert dma(device, memory, writable | SELECT | SKIP, 1) == 0
    assert dma(device, memory, WRITE, 2) == 0
    assert device.file_data("open") == b"\0ab\0" and seen == [(1, 2)]


def test_absurd_dma_requests_end(device, memory):
    assert dma(device, memory, 0xffff << 16 | SELECT | READ, 0x2000_0000, target=0xfff0) == 0
    assert memory.read(0xfff0, 16) == bytes(16)
    device.dma.write(1, 1, 5)
    device.dma.write(2, 4, 5)


def test_state_carries_what_the_guest_wrote(device, memory):
    device.add_file("open", bytes(2), writable=True)
    memory.write(TARGET, b"hi")
    dma(device, memory, key.FILE_FIRST << 16 | SELECT | WRITE, 2)
    device.write(0, 2, key.SIGNATURE)
    device.read(1, 1)
    other = FwCfg(memory)
    other.add_file("open", bytes(2), writable=True)
    other.load(device.save())
    assert other.read(1, 1) == ord("E") and other.file_data("open") == b"hi"


def test_a_pc_describes_itself(device):
    FirmwareConfig(
        ram_below_4g=0xc000_0000, ram_above_4g=0x4000_0000, cpus=2, max_cpus=4,
        boot_order=["/rom@genroms/linuxboot_dma.bin"], boot_strict=True,
        files={"etc/table-loader": b"script"},
    ).install(device)
    e820 = struct.pack("<QQI", 0, 0xc000_0000, 1) + struct.pack("<QQI", 1 << 32, 0x4000_0000, 1)
    assert device.file_data("etc/e820") == e820
    assert device.file_data("bootorder") == b"/rom@genroms/linuxboot_dma.bin\nHALT\0"
    assert device.file_data("etc/system-states").hex() == "800000000080"
    assert device.file_data("etc/table-loader") == b"script"
    assert fetch(device, key.RAM_SIZE, 8) == (1 << 32).to_bytes(8, "little")
    assert fetch(device, key.NB_CPUS, 2) == b"\2\0" and fetch(device, key.MAX_CPUS, 2) == b"\4\0"
    assert fetch(device, key.IRQ0_OVERRIDE, 4) == b"\1\0\0\0"
    assert fetch(device, key.BOOT_MENU, 2) == b"\0\0", "SeaBIOS must not wait for a key"


def test_boot_menu_and_waits(device):
    FirmwareConfig(ram_below_4g=1 << 27, boot_menu=True, menu_wait_ms=3000,
                   reboot_timeout_ms=5000).install(device)
    assert fetch(device, key.BOOT_MENU, 2) == b"\1\0"
    assert device.file_data("etc/boot-menu-wait") == (3000).to_bytes(2, "little")
    assert device.file_data("etc/boot-fail-wait") == (5000).to_bytes(4, "little")
