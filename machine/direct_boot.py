"""Direct boot (`-kernel -initrd -append`): which protocol a kernel is booted by.

A bzImage by that of Linux; what has a multiboot header by multiboot, also if it is an ELF file; any
other ELF file by PVH.
"""
from . import elf
from .kernel_image import KernelImage, read_file
from .linux_boot import LinuxBoot
from .multiboot import Multiboot
from .pvh_boot import PvhBoot


def read(kernel: str, initrd: str | None, command_line: str, ram_below_4g: int) -> KernelImage:
    """Load the files. Raises ValueError, in one line, for what cannot be booted."""
    image = read_file("kernel", kernel)
    protocol: type[LinuxBoot | Multiboot | PvhBoot] = LinuxBoot
    if not LinuxBoot.recognizes(image):
        if Multiboot.recognizes(image):
            protocol = Multiboot
        elif image.startswith(elf.MAGIC):
            protocol = PvhBoot
    return protocol.read(kernel, image, initrd, command_line, ram_below_4g)
