"""What the bench runs in a guest of its own: mini.img's kernel, and an initramfs with programs.

OpenSSL and TinyCC with the headers and libraries of C are Debian's packages; the programs of
`guest/` are compiled statically and come with their sources. All is kept in build/bench.
"""
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pyemu.images import cpio, mini
from pyemu.images.packages import Packages, only_file

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "guest"
SOURCES, DISK = sorted(FOLDER.glob("*.c")), FOLDER / "disk.c"
OUT = ROOT / "build/bench"
CACHE = ROOT / ".cache/images"
PROGRAMS = "/opt"  # where the guest has those of `guest/`

LIBRARIES = "lib/x86_64-linux-gnu"
PACKAGES = {  # package: what of it
    "libc6": ("lib64/*", *(f"{LIBRARIES}/{file}" for file in (
        "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"))),
    "libssl3": (f"usr/{LIBRARIES}/lib*.so.3",),
    "openssl": ("etc/ssl/openssl.cnf",),
    "libc6-dev": ("usr/include/**/*.h", f"usr/{LIBRARIES}/crt?.o", f"usr/{LIBRARIES}/libc.so",
                  f"usr/{LIBRARIES}/libc_nonshared.a"),
    "linux-libc-dev": ("usr/include/linux/**/*.h", "usr/include/asm-generic/*.h",
                       "usr/include/x86_64-linux-gnu/asm/*.h"),
    "tcc": (f"usr/{LIBRARIES}/tcc/libtcc1.a", f"usr/{LIBRARIES}/tcc/include/*.h"),
}
TOOLS = {"openssl": "openssl", "tcc": "tcc"}  # program: its package; /usr/bin is /bin


def guest():
    """(kernel, initramfs), built when they are missing or older than what they are made from."""
    kernel, initramfs = OUT / "vmlinuz", OUT / "programs"
    made_from = [*SOURCES, Path(__file__), Path(mini.__file__)]
    if not initramfs.exists() or initramfs.stat().st_mtime < max(
            source.stat().st_mtime for source in made_from):
        packages = Packages(CACHE, "amd64")
        OUT.mkdir(parents=True, exist_ok=True)
        image = packages.folder(packages.newest(mini.KERNELS["amd64"]))
        kernel.write_bytes(only_file(image, "boot/vmlinuz-*").read_bytes())
        initramfs.write_bytes(cpio.archive(_tree(packages)))
    return kernel, initramfs


def _tree(packages):
    tree = mini.root(packages)
    for package, patterns in PACKAGES.items():
        for pattern in patterns:
            tree.take(packages.folder(package), pattern)
    for program, package in TOOLS.items():
        data = (packages.folder(package) / "usr/bin" / program).read_bytes()
        tree.file(f"/bin/{program}", data, 0o755)
    for source in SOURCES:
        tree.file(f"{PROGRAMS}/{source.name}", source.read_bytes())
        tree.file(f"{PROGRAMS}/{source.stem}", compiled(source), 0o755)
    return tree


def compiled(source):
    """The static program that a source of `guest/` makes."""
    with TemporaryDirectory() as folder:
        program = Path(folder, source.stem)
        subprocess.run(["gcc", "-O3", "-static", "-o", program, source], check=True)
        return program.read_bytes()
