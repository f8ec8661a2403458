"""Images made by qemu-img and qemu-io must read here as they read there."""
import random
import shutil
import subprocess

import pytest
from pyemu.machine.block.open import open_image

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")

MIB = 1 << 20
SIZE = 9 * MIB + 1024  # not whole clusters


def ignore(text):
    """Warnings are not what is tested here."""


@pytest.fixture
def img(tmp_path):
    def run(*arguments):
        subprocess.run(["qemu-img", *map(str, arguments)], cwd=tmp_path, check=True,
                       stdout=subprocess.DEVNULL)
    return run


@pytest.fixture
def io(tmp_path):
    def run(name, *commands, format="qcow2"):
        words = [word for command in commands for word in ("-c", command)]
        subprocess.run(["qemu-io", "-f", format, *words, name], cwd=tmp_path, check=True,
                       stdout=subprocess.DEVNULL)
    return run


def check(tmp_path, name, size=SIZE):
    """Read all of it in random pieces; compare with qemu-img's conversion to raw."""
    subprocess.run(["qemu-img", "convert", "-O", "raw", name, "expected.raw"], cwd=tmp_path,
                   check=True)
    expected = (tmp_path / "expected.raw").read_bytes()
    disk = open_image(str(tmp_path / name), report=ignore, snapshot=True)
    assert disk.size == size == len(expected)
    assert disk.read(0, size) == expected
    dice = random.Random(3)
    for _ in range(200):
        offset = dice.randrange(size)
        length = min(size - offset, dice.choice((1, 512, 4096, 70_000, MIB)))
        assert disk.read(offset, length) == expected[offset:offset + length]
    disk.close()
    return expected


PATTERNS = ("write -P 1 0 64k", "write -P 2 100k 3000", "write -P 3 1M 2M", "write -z 1536k 64k",
            "write -z -u 2M 128k", "write -P 4 8M 1M", "discard 8448k 64k", "write -P 5 9M 1k")


@pytest.mark.parametrize("options", [
    "compat=0.10", "compat=1.1", "compat=1.1,lazy_refcounts=on", "cluster_size=512",
    "cluster_size=4k,refcount_bits=1", "cluster_size=2M", "preallocation=metadata",
    "preallocation=falloc", "refcount_bits=64"])
def test_layouts(tmp_path, img, io, options):
    img("create", "-f", "qcow2", "-o", options, "a.qcow2", SIZE)
    io("a.qcow2", *PATTERNS)
    check(tmp_path, "a.qcow2")


@pytest.fixture
def mixed(tmp_path):
    """Text, noise, holes and repeats: data that compresses in parts."""
    dice = random.Random(4)
    parts = [dice.choice((dice.randbytes(70_000), b"words and words " * 5000, bytes(100_000)))
             for _ in range(120)]
    (tmp_path / "mixed.raw").write_bytes(b"".join(parts)[:SIZE].ljust(SIZE, b"\0"))
    return "mixed.raw"


@pytest.mark.parametrize("options", [
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=2M", "compression_type=zstd"])
def test_compressed(tmp_path, img, mixed, options):
    if "zstd" in options:
        pytest.importorskip("zstandard")
    img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, mixed, "c.qcow2")
    assert check(tmp_path, "c.qcow2") == (tmp_path / mixed).read_bytes()


def test_compressed_and_written_again(tmp_path, img, io, mixed):
    img("convert", "-c", "-f", "raw", "-O", "qcow2", mixed, "c.qcow2")
    io("c.qcow2", *PATTERNS)
    check(tmp_path, "c.qcow2")


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_backing_chain_in_another_folder(tmp_path, img, io, mixed, base_format):
    (tmp_path / "images").mkdir()
    img("convert", "-f", "raw", "-O", base_format, mixed, "images/base")
    img("resize", "-f", base_format, "--shrink", "images/base", 5 * MIB + 512)
    for depth, (name, below) in enumerate([("1", "base"), ("2", "1"), ("3", "2")]):
        img("create", "-f", "qcow2", "-b", below, "-F", "qcow2" if depth else base_format,
            f"images/{name}", SIZE)
        io(f"images/{name}", f"write -P {depth + 1} {depth * 300}k 200k",
           f"write -z {depth * 2 + 1}M 100k")
    check(tmp_path, "images/3")


def test_an_internal_snapshot_is_not_in_the_way(tmp_path, img, io):
    img("create", "-f", "qcow2", "a.qcow2", SIZE)
    io("a.qcow2", *PATTERNS)
    img("snapshot", "-c", "before", "a.qcow2")
    io("a.qcow2", "write -P 9 0 1M")
    assert check(tmp_path, "a.qcow2")[0] == 9


def test_a_cut_download_is_refused(tmp_path, img, mixed):
    img("convert", "-c", "-f", "raw", "-O", "qcow2", mixed, "c.qcow2")
    path = tmp_path / "c.qcow2"
    whole = path.read_bytes()
    for part in 0.3, 0.9:
        path.write_bytes(whole[:int(len(whole) * part)])
        with pytest.raises(OSError, match="truncated"):
            open_image(str(path), report=ignore)


@pytest.mark.parametrize("options", ["extended_l2=on", "data_file=data.raw"])
def test_features_not_read_are_refused(tmp_path, options):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "a.qcow2", "1M"],
                   cwd=tmp_path, check=True)
    with pytest.raises(OSError, match=r"extended L2|external data"):
        open_image(str(tmp_path / "a.qcow2"), report=ignore)


def test_what_we_write_to_raw_qemu_reads(tmp_path, io):
    (tmp_path / "a.img").write_bytes(bytes(MIB))
    disk = open_image(str(tmp_path / "a.img"), "raw")
    disk.write(4096, b"\x5a" * 8192)
    disk.flush()
    disk.close()
    io("a.img", "read -P 0x5a 4k 8k", "read -P 0 0 4k", "read -P 0 12k 1012k", format="raw")
