"""mini.img: the smallest real Linux. SYSLINUX on FAT, a Debian kernel, busybox in an initramfs.

mini32.img is the same with Debian's i386 kernel and busybox.
"""
from pathlib import Path
from tempfile import TemporaryDirectory

from pyemu.images import cpio
from pyemu.images.busybox import install_busybox
from pyemu.images.disk import (
    FAT16_LBA,
    FIRST_SECTOR,
    HEADS,
    SECTOR,
    SECTORS_PER_TRACK,
    Partition,
    master_boot_record,
)
from pyemu.images.host import finished, installed, run
from pyemu.images.packages import Packages, only_file
from pyemu.images.tree import Tree

SIZE = 48 << 20  # bytes
DISK_SERIAL = 0x6D696E69
VOLUME_SERIAL = "6d696e69"
VOLUME_LABEL = "MINI"
ROOTFS = Path(__file__).parent / "rootfs" / "mini"
MBR_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")

SYSLINUX_CFG = """\
DEFAULT linux
PROMPT 0
LABEL linux
    LINUX vmlinuz
    INITRD initrd
    APPEND console=tty0 console=ttyS0
"""

KERNELS = {"amd64": "linux-image-cloud-amd64", "i386": "linux-image-686"}


def build(path: Path, cache: Path, architecture: str) -> None:
    """Write the raw disk image to `path`. architecture: one that KERNELS names."""
    packages = Packages(cache, architecture)
    kernel = packages.folder(packages.newest(KERNELS[architecture]))
    files = {
        "syslinux.cfg": SYSLINUX_CFG.encode(),
        "vmlinuz": only_file(kernel, "boot/vmlinuz-*").read_bytes(),
        "initrd": cpio.archive(root(packages)),
    }
    with finished(path) as image:
        _write_disk(image, files)


def root(packages: Packages) -> Tree:
    tree = Tree()
    install_busybox(tree, packages)
    tree.overlay(ROOTFS)
    tree.link("/init", "bin/busybox")
    tree.character_device("/dev/console", 5, 1, 0o600)
    for folder in ("/proc", "/sys", "/run", "/mnt"):
        tree.folder(folder)
    tree.folder("/tmp", 0o1777)
    tree.folder("/root", 0o700)
    return tree


def _write_disk(image: Path, files: dict[str, bytes]) -> None:
    partition = Partition(FAT16_LBA, FIRST_SECTOR, SIZE // SECTOR - FIRST_SECTOR)
    code = installed(MBR_CODE, "syslinux-common")
    with image.open("wb") as disk:
        disk.write(master_boot_record(code, partition, DISK_SERIAL))
        disk.truncate(SIZE)
    offset = partition.start * SECTOR
    file_system = f"{image}@@{offset}"
    run("mformat", "-i", file_system, "-T", partition.length, "-H", partition.start,
        "-h", HEADS, "-s", SECTORS_PER_TRACK, "-N", VOLUME_SERIAL, "-v", VOLUME_LABEL, "::")
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            source = Path(folder, name)
            source.write_bytes(data)
            run("mcopy", "-i", file_system, source, f"::{name}")
    run("syslinux", "--offset", offset, "--install", image)
