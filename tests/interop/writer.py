"""The guest of the tests that disturb its writing: a boot sector, writer.asm, in three ways."""
import subprocess
from pathlib import Path

DRIVERS = {"pio": ("writer_ata.asm",), "dma": ("writer_ata.asm", "-DDMA"),
           "virtio": ("writer_virtio.asm",)}
WAYS = tuple(DRIVERS)


def assemble_writer(way, path):
    """The boot sector that writes in this way, in the file `path`, which is returned."""
    folder = Path(__file__).parent
    driver, *flags = DRIVERS[way]
    subprocess.run(["nasm", "-I", f"{folder}/", f"-DDRIVER='{driver}'", *flags, "-o", path,
                    folder / "writer.asm"], check=True)
    return path


def interface(way):
    """What -drive calls the disk's place."""
    return "virtio" if way == "virtio" else "ide"
