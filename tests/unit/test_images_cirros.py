"""The parts of cirros.img: GRUB's block list, the modules' order, debugfs commands."""
import shutil
import struct

import pytest
from pyemu.images import ext4, grub
from pyemu.images.host import BuildError, run
from pyemu.images.modules import Modules
from pyemu.images.tree import Tree

FILE_SYSTEM_ID = "63697272-6f73-4000-8000-000000000000"

needs_e2fsprogs = pytest.mark.skipif(
    shutil.which("debugfs", path="/usr/sbin:/sbin:/usr/bin:/bin") is None,
    reason="e2fsprogs is not installed")


def test_block_list_covers_the_core_image_behind_its_first_sector():
    core = grub.with_block_list(bytes(512) + b"\xaa" * 1000)
    assert len(core) == 3 * 512
    assert struct.unpack("<QHH", core[500:512]) == (2, 2, 0x820)
    assert core[512:1512] == b"\xaa" * 1000


def test_core_image_must_leave_the_partition_alone():
    fits = 2047 * 512
    assert len(grub.with_block_list(bytes(fits))) == fits
    with pytest.raises(BuildError, match="2048 sectors"):
        grub.with_block_list(bytes(fits + 1))


@pytest.fixture
def kernel(tmp_path):
    """A kernel package: disk needs scsi and libata, libata needs scsi."""
    folder = tmp_path / "lib/modules/6.1/kernel"
    folder.mkdir(parents=True)
    (folder.parent / "modules.order").touch()
    (folder / "scsi-mod.ko").write_bytes(b"ELF\0depends=\0name=scsi_mod\0")
    (folder / "libata.ko").write_bytes(b"\x7fELF\0depends=scsi-mod\0not-alias=x\0")
    (folder / "disk.ko").write_bytes(
        b"ELF\0alias=pci:v1*\0alias=pci:v2*\0depends=libata,scsi-mod\0")
    return tmp_path


def test_modules_come_after_what_they_need(kernel):
    assert Modules(kernel).closure(["disk", "scsi_mod"]) == ["scsi_mod", "libata", "disk"]


def test_modprobe_finds_dependencies_and_aliases(kernel):
    tree = Tree()
    Modules(kernel).install(tree, ["disk"])
    files = {path: entry.data.decode() for path, entry in tree if entry.data}
    assert files["/lib/modules/6.1/modules.dep"] == (
        "kernel/scsi-mod.ko:\n"
        "kernel/libata.ko: kernel/scsi-mod.ko\n"
        "kernel/disk.ko: kernel/libata.ko kernel/scsi-mod.ko\n")
    assert files["/lib/modules/6.1/modules.alias"] == (
        "alias pci:v1* disk\nalias pci:v2* disk\n")


def test_a_module_the_kernel_lacks_is_named(kernel):
    with pytest.raises(BuildError, match="no module e1000"):
        Modules(kernel).closure(["e1000"])


def small_root():
    tree = Tree()
    tree.file("/bin/tool", b"\x7fELF" * 5000, 0o4755)
    tree.file("/etc/empty", b"", 0o440, uid=3, gid=4)
    tree.link("/sbin", "bin")
    tree.folder("/home/me", 0o700, uid=1000, gid=1000)
    tree.character_device("/dev/console", 5, 1, 0o600)
    return tree


@needs_e2fsprogs
def test_file_system_holds_the_tree_and_is_sound(tmp_path):
    image = tmp_path / "disk"
    image.write_bytes(bytes(4 << 20))
    ext4.write(image, 1 << 20, 3 << 20, small_root(), "label", FILE_SYSTEM_ID)
    (tmp_path / "partition").write_bytes(image.read_bytes()[1 << 20:])
    run("e2fsck", "-fn", tmp_path / "partition")

    def show(path):
        return run("debugfs", "-R", f"stat {path}", tmp_path / "partition")

    assert "Type: regular    Mode:  04755" in show("/bin/tool")
    assert "User:     3   Group:     4" in " ".join(show("/etc/empty").splitlines())
    assert 'Fast link dest: "bin"' in show("/sbin")
    assert "Device major/minor number: 05:01" in show("/dev/console")
    run("debugfs", "-R", f"dump /bin/tool {tmp_path / 'back'}", tmp_path / "partition")
    assert (tmp_path / "back").read_bytes() == b"\x7fELF" * 5000


@needs_e2fsprogs
def test_file_system_has_the_same_bytes_each_time(tmp_path):
    images = []
    for name in ("one", "other"):
        image = tmp_path / name
        image.write_bytes(bytes(4 << 20))
        ext4.write(image, 1 << 20, 3 << 20, small_root(), "label", FILE_SYSTEM_ID)
        images.append(image.read_bytes())
    assert images[0] == images[1]


@needs_e2fsprogs
def test_contents_that_do_not_fit_are_an_error(tmp_path):
    image = tmp_path / "disk"
    image.write_bytes(bytes(2 << 20))
    tree = Tree()
    tree.file("/big", b"x" * (2 << 20))
    with pytest.raises(BuildError, match="debugfs"):
        ext4.write(image, 1 << 20, 1 << 20, tree, "label", FILE_SYSTEM_ID)
