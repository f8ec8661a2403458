"""cirros.img: a small distribution in the shape of CirrOS, the test image of clouds.

GRUB 2 in the boot sector, one ext4 partition, Debian's standard kernel with an initramfs that
loads the disk's drivers, a userland of busybox and sudo. User cirros, password gocubsgo.
"""
from pathlib import Path
from tempfile import TemporaryDirectory

from pyemu.images import cpio, ext4, grub
from pyemu.images.busybox import install_busybox
from pyemu.images.disk import FIRST_SECTOR, LINUX, SECTOR, Partition, master_boot_record
from pyemu.images.host import finished, run
from pyemu.images.modules import Modules
from pyemu.images.packages import Packages, only_file
from pyemu.images.tree import Tree

SIZE = 112 << 20  # bytes
DISK_SERIAL = 0x63697272
LABEL = "cirros-rootfs"
UUID = "63697272-6f73-4000-8000-726f6f746673"
ROOTFS = Path(__file__).parent / "rootfs" / "cirros"
INITRAMFS = Path(__file__).parent / "rootfs" / "cirros-initramfs"
KERNEL = "linux-image-amd64"
USER = 1000  # uid and gid of cirros

DISK_MODULES = ("ata_piix", "ahci", "virtio_pci", "virtio_blk", "sd_mod", "crc32c_generic", "ext4")
OTHER_MODULES = (
    "e1000", "e1000e", "8139cp", "8139too", "ne2k_pci", "pcnet32", "virtio_net",
    "ata_generic", "nvme", "virtio_scsi", "floppy", "sr_mod", "isofs",
    "vfat", "nls_cp437", "nls_ascii", "button", "evdev", "psmouse", "pcspkr",
    "uhci_hcd", "ohci_pci", "ehci_pci", "xhci_pci", "usbhid", "hid_generic", "usb_storage",
    "virtio_rng", "virtio_balloon", "virtio_console",
)

# sudo and the libraries it loads: package -> what of it.
LIBRARIES = "lib/x86_64-linux-gnu"
SUDO = {
    "libc6": ("lib64/*", f"{LIBRARIES}/ld-linux-x86-64.so.2", f"{LIBRARIES}/libc.so.6"),
    "libpam0g": (f"{LIBRARIES}/libpam.so.*",),
    "libpam-modules": (f"{LIBRARIES}/security/pam_permit.so",),
    "libaudit1": (f"{LIBRARIES}/libaudit.so.*",),
    "libcap-ng0": (f"{LIBRARIES}/libcap-ng.so.*",),
    "libselinux1": (f"{LIBRARIES}/libselinux.so.*",),
    "libpcre2-8-0": (f"usr/{LIBRARIES}/libpcre2-8.so.*",),
    "zlib1g": (f"{LIBRARIES}/libz.so.*",),
    "sudo": ("usr/libexec/sudo/libsudo_util.so*", "usr/libexec/sudo/sudoers.so"),
}


def build(path: Path, cache: Path) -> None:
    """Write the compressed qcow2 image to `path`."""
    packages = Packages(cache, "amd64")
    kernel = packages.folder(packages.newest(KERNEL))
    modules = Modules(kernel)
    tree = _root(packages, modules)
    tree.file("/boot/vmlinuz", only_file(kernel, "boot/vmlinuz-*").read_bytes())
    tree.file("/boot/initrd.img", _compressed(cpio.archive(_initramfs(packages, modules))))
    with TemporaryDirectory() as folder, finished(path) as image:
        raw = Path(folder, "disk")
        _write_disk(raw, tree)
        run("qemu-img", "convert", "-c", "-O", "qcow2", raw, image)


def _root(packages: Packages, modules: Modules) -> Tree:
    tree = Tree()
    install_busybox(tree, packages)
    tree.permit("/bin/busybox", 0o4755)
    modules.install(tree, DISK_MODULES + OTHER_MODULES)
    for package, patterns in SUDO.items():
        for pattern in patterns:
            tree.take(packages.folder(package), pattern)
    tree.file("/bin/sudo", (packages.folder("sudo") / "usr/bin/sudo").read_bytes(), 0o4755)
    tree.overlay(ROOTFS)
    tree.permit("/etc/shadow", 0o600)
    tree.permit("/etc/sudoers", 0o440)
    for folder in ("/dev", "/proc", "/sys", "/run", "/mnt", "/var/log", "/var/lib/sudo"):
        tree.folder(folder)
    tree.character_device("/dev/console", 5, 1, 0o600)
    tree.link("/var/run", "../run")
    tree.folder("/tmp", 0o1777)
    tree.folder("/root", 0o700)
    tree.folder("/home/cirros", 0o755, USER, USER)
    return tree


def _initramfs(packages: Packages, modules: Modules) -> Tree:
    tree = Tree()
    install_busybox(tree, packages)
    modules.install(tree, DISK_MODULES)
    tree.overlay(INITRAMFS)
    tree.character_device("/dev/console", 5, 1, 0o600)
    for folder in ("/proc", "/sys", "/root"):
        tree.folder(folder)
    return tree


def _compressed(data: bytes) -> bytes:
    """`data` as zstd packs it: GRUB's reads by BIOS cost more than the kernel's unpacking."""
    with TemporaryDirectory() as folder:
        source, packed = Path(folder, "data"), Path(folder, "packed")
        source.write_bytes(data)
        run("zstd", "-q", "-19", source, "-o", packed)
        return packed.read_bytes()


def _write_disk(image: Path, tree: Tree) -> None:
    partition = Partition(LINUX, FIRST_SECTOR, SIZE // SECTOR - FIRST_SECTOR)
    with image.open("wb") as disk:
        disk.write(master_boot_record(grub.boot_sector(), partition, DISK_SERIAL))
        disk.seek(grub.CORE_SECTOR * SECTOR)
        disk.write(grub.core_image())
        disk.truncate(SIZE)
    ext4.write(
        image, partition.start * SECTOR, partition.length * SECTOR, tree, label=LABEL, uuid=UUID)
