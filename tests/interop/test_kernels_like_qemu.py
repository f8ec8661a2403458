"""Small kernels (tests/boot/kernels) by `-kernel` on both emulators: same output, same status."""
import hashlib
import shutil
import subprocess

import pytest
from boot.console import PYEMU, ROOT

SOURCES = ROOT / "tests/boot/kernels"
BUILT = ROOT / "build/kernels"
COMPILE = ["gcc", "-m32", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector",
           "-mno-sse", "-nostdlib", "-static", "-Wall", "-Werror", "-I", SOURCES,
           "-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments", "-T", SOURCES / "kernel.ld"]
OPTIONS = ["-nodefaults", "-display", "none", "-serial", "stdio",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
SECONDS = 120

KERNELS = {  # source, flags, what of the file is the kernel; options; exit status
    "multiboot ELF": ("report", [], "elf", ["-initrd", "one first,, module,two", "-append", "a b"],
                      43),
    "multiboot ELF without modules": ("report", [], "elf", [], 43),
    "multiboot by addresses": ("report", ["-DFLAT"], "flat", ["-initrd", "two,one x"], 43),
    "PVH": ("report", ["-DPVH"], "elf", ["-initrd", "one", "-append", "a  b"], 85),
    "PVH with memory above 4 GiB": ("report", ["-DPVH"], "elf", ["-m", "4G"], 85),
    "an Intel processor": ("report", [], "elf", ["-cpu", "kvm64", "-m", "96"], 43),
    "pc-testdev": ("testdev", [], "elf", ["-device", "pc-testdev"], 0x47),
}


def build(source, flags, form):
    """The kernel, built if it is not there as these sources and flags make it."""
    texts = b"".join(file.read_bytes() for file in sorted(SOURCES.iterdir()))
    digest = hashlib.sha256(texts + repr(flags).encode()).hexdigest()[:16]
    elf = BUILT / f"{source}-{digest}.elf"
    if not elf.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run([*COMPILE, *flags, SOURCES / f"{source}.c", "-o", elf], check=True)
    if form == "elf":
        return elf
    flat = elf.with_suffix(".flat")
    subprocess.run(["objcopy", "-O", "binary", elf, flat], check=True)
    return flat


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "one").write_bytes(bytes(range(256)) * 20)
    (folder / "two").write_bytes(b"2\0two")
    return folder


@pytest.mark.parametrize(("source", "flags", "form", "options", "status"), KERNELS.values(),
                         ids=KERNELS.keys())
def test_kernel(source, flags, form, options, status, folder):
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    shutil.copy(build(source, flags, form), folder / "kernel")
    ours, theirs = (
        subprocess.run([emulator, *OPTIONS, "-kernel", "kernel", *options], cwd=folder,
                       capture_output=True, text=True, timeout=SECONDS, check=False)
        for emulator in (PYEMU, "qemu-system-x86_64"))
    assert ours.stdout == theirs.stdout and len(ours.stdout) > 100
    assert (ours.returncode, ours.stderr) == (status, "") and theirs.returncode == status
