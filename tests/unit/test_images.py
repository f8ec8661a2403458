"""The image builder's own formats and its answers to bad input. No image is built here."""
import stat
import struct

import pytest
from pyemu.images import cpio
from pyemu.images.__main__ import main
from pyemu.images.busybox import tool_names
from pyemu.images.disk import FAT16_LBA, LINUX, Partition, master_boot_record
from pyemu.images.host import BuildError, finished, installed, run
from pyemu.images.packages import Packages, only_file
from pyemu.images.tree import Tree


def members(data):
    """(name, fields, content) of each member of a newc archive, read back."""
    offset = 0
    while offset < len(data):
        assert data[offset:offset + 6] == b"070701"
        fields = [int(data[at:at + 8], 16) for at in range(offset + 6, offset + 110, 8)]
        name_end = offset + 110 + fields[11]
        begin = -(-name_end // 4) * 4
        yield data[offset + 110:name_end - 1].decode(), fields, data[begin:begin + fields[6]]
        offset = -(-(begin + fields[6]) // 4) * 4


def test_tree_has_folders_before_what_they_hold():
    tree = Tree()
    tree.file("/a/b/file", b"")
    tree.file("/a-", b"")
    assert [path for path, _ in tree] == ["/a", "/a/b", "/a/b/file", "/a-"]


def test_tree_keeps_the_mode_a_folder_was_given():
    tree = Tree()
    tree.folder("/tmp", 0o1777)
    tree.file("/tmp/x", b"")
    assert tree.entries["/tmp"].mode == stat.S_IFDIR | 0o1777


def test_overlay_takes_contents_and_the_executable_bit(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_bytes(b"#!")
    (tmp_path / "bin/tool").chmod(0o744)
    (tmp_path / "text").write_bytes(b"words")
    tree = Tree()
    tree.overlay(tmp_path)
    assert tree.entries["/bin/tool"].mode == stat.S_IFREG | 0o755
    assert tree.entries["/text"].mode == stat.S_IFREG | 0o644
    assert tree.entries["/text"].data == b"words"


def test_take_of_nothing_is_an_error(tmp_path):
    with pytest.raises(BuildError, match="no bin/x"):
        Tree().take(tmp_path, "bin/x")


def test_cpio_members_read_back_sorted_and_without_times():
    tree = Tree()
    tree.file("/init", b"hello", 0o755)
    tree.link("/bin", "usr/bin")
    tree.character_device("/dev/console", 5, 1, 0o600)
    found = list(members(cpio.archive(tree)))
    assert [name for name, _, _ in found] == ["bin", "dev", "dev/console", "init", "TRAILER!!!"]
    by_name = {name: (fields, content) for name, fields, content in found}
    assert by_name["bin"][1] == b"usr/bin"
    assert by_name["init"][0][1] == stat.S_IFREG | 0o755
    assert by_name["dev/console"][0][9:11] == [5, 1]
    assert all(fields[5] == 0 for _, fields, _ in found)


def test_cpio_is_the_same_whatever_the_order_of_making():
    one, other = Tree(), Tree()
    one.file("/a", b"1")
    one.file("/b", b"22")
    other.file("/b", b"22")
    other.file("/a", b"1")
    assert cpio.archive(one) == cpio.archive(other)


def test_master_boot_record_names_one_active_partition():
    sector = master_boot_record(b"\xfa", Partition(LINUX, 2048, 63 * 255), serial=0x11223344)
    assert len(sector) == 512
    assert sector[:2] == b"\xfa\0"
    assert sector[440:444] == b"\x44\x33\x22\x11"
    active, first, kind, last, start, length = struct.unpack("<B3sB3sII", sector[446:462])
    assert (active, kind, start, length) == (0x80, LINUX, 2048, 63 * 255)
    assert first == bytes((32, 33, 0))  # sector 2048 is 0/32/33
    assert last == bytes((32, 32, 1))
    assert sector[462:] == bytes(48) + b"\x55\xaa"


def test_partition_beyond_chs_ends_at_the_largest_address():
    sector = master_boot_record(b"", Partition(FAT16_LBA, 2048, 1 << 26), serial=0)
    assert sector[451:454] == bytes((254, 0xFF, 0xFF))


def test_boot_code_that_would_cover_the_table_is_refused():
    with pytest.raises(ValueError, match="441 bytes"):
        master_boot_record(bytes(441), Partition(LINUX, 1, 1), serial=0)


def test_busybox_tools_are_read_from_the_program():
    assert tool_names(b"ELF\0\0[\0[[\0acpid\0zcat\0\0more\0") == ["[", "[[", "acpid", "zcat"]


def test_a_failed_build_leaves_the_old_image(tmp_path):
    image = tmp_path / "x.img"
    image.write_bytes(b"old")
    with pytest.raises(BuildError), finished(image) as unfinished:
        unfinished.write_bytes(b"half")
        raise BuildError("no")
    assert image.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [image]


def test_a_missing_host_tool_is_named():
    with pytest.raises(BuildError, match="no-such-tool: not found"):
        run("no-such-tool")


def test_a_failing_host_tool_gives_its_last_line():
    with pytest.raises(BuildError, match=r"^sh: second$"):
        run("sh", "-c", "echo first >&2; echo second >&2; exit 3")


def test_a_missing_file_of_the_host_comes_with_its_package(tmp_path):
    with pytest.raises(BuildError, match=r"not found \(Debian package grub-pc-bin\)"):
        installed(tmp_path / "boot.img", "grub-pc-bin")


def test_only_file_wants_exactly_one(tmp_path):
    with pytest.raises(BuildError, match="0 files match"):
        only_file(tmp_path, "vmlinuz-*")


def test_a_package_apt_does_not_know_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pyemu.images.packages.run", lambda *words, cwd=None: "amd64\n")
    packages = Packages(tmp_path, "amd64")
    with pytest.raises(BuildError, match="apt names no file"):
        packages.folder("x")


def test_an_unusable_cache_folder_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert main(["mini", "--cache", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
