"""pyemu-img beside qemu-img: the same commands, the same answers."""
import json
import random
import shutil
import subprocess
import sys

import pytest
from interop.qcow2_model import Work, check

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"),
                                reason="needs qemu-utils")
MIB = 1 << 20


def ours(*words, cwd):
    return subprocess.run([sys.executable, "-m", "pyemu.img.main", *map(str, words)], cwd=cwd,
                          capture_output=True, text=True)


def theirs(*words, cwd):
    return subprocess.run(["qemu-img", *map(str, words)], cwd=cwd, capture_output=True, text=True)


def same(*words, cwd, errors=True):
    """Assert that both say the same and end alike; return our output."""
    one, two = ours(*words, cwd=cwd), theirs(*words, cwd=cwd)
    assert (one.returncode, one.stdout) == (two.returncode, two.stdout), (one.stderr, two.stderr)
    if errors:
        assert one.stderr == two.stderr.replace("qemu-img", "pyemu-img")
    return one.stdout


def as_json(*words, cwd):
    one, two = (run(*words, "--output", "json", cwd=cwd) for run in (ours, theirs))
    assert one.returncode == two.returncode
    assert json.loads(one.stdout) == json.loads(two.stdout)


@pytest.fixture
def images(tmp_path):
    """An image with data, holes, zeros, compressed clusters, a backing file and a snapshot."""
    for words in (
            ("qemu-img", "create", "-f", "qcow2", "base.qcow2", "10M"),
            ("qemu-io", "-c", "write -P 1 5M 200k", "-c", "write -P 2 9M 1M", "base.qcow2"),
            ("qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "a.qcow2"),
            ("qemu-io", "-c", "write -P 3 64k 128k", "-c", "write -z 1M 64k", "a.qcow2"),
            ("qemu-img", "snapshot", "-c", "first", "a.qcow2"),
            ("qemu-io", "-c", "write -P 4 2M 100k", "a.qcow2"),
            ("qemu-img", "create", "-f", "qcow2", "-o", "preallocation=metadata", "p.qcow2", "4M"),
            ("qemu-io", "-c", "write -P 6 1M 200k", "p.qcow2"),
            ("qemu-img", "create", "-f", "raw", "r.raw", "1M"),
            ("qemu-io", "-f", "raw", "-c", "write -P 5 256k 64k", "r.raw"),
            ("qemu-img", "convert", "-c", "-O", "qcow2", "a.qcow2", "c.qcow2")):
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("words", [
    "info a.qcow2", "info base.qcow2", "info r.raw", "info --backing-chain a.qcow2",
    "map a.qcow2", "map base.qcow2", "map r.raw", "map c.qcow2", "map p.qcow2",
    "check a.qcow2", "check base.qcow2", "check c.qcow2", "check -f raw r.raw", "check -q a.qcow2",
    "snapshot -l a.qcow2", "snapshot base.qcow2", "compare a.qcow2 base.qcow2",
    "compare a.qcow2 a.qcow2", "compare a.qcow2 c.qcow2", "compare a.qcow2 r.raw",
    "compare -s a.qcow2 r.raw", "compare p.qcow2 base.qcow2", "compare -q a.qcow2 base.qcow2",
    "foo", "", "info", "info nosuch", "create x.qcow2", "create -f foo x 1M", "info -f foo a.qcow2",
    "create -f qcow2 -o foo=bar x 1M", "resize base.qcow2 1M",
    "snapshot -d nosuch a.qcow2", "snapshot -a nosuch a.qcow2", "snapshot -c x -a y a.qcow2",
    "create -f qcow2 -b nosuch -F raw y.qcow2", "create -f qcow2 -o cluster_size=5 y.qcow2 1M",
    "create -f qcow2 -o refcount_bits=3 y.qcow2 1M", "compare nosuch a.qcow2",
    "create -f qcow2 -o compat=0.10,lazy_refcounts=on y.qcow2 1M", "info -f qcow2 r.raw",
])
def test_the_same_answers(images, words):
    same(*words.split(), cwd=images)


@pytest.mark.parametrize("words", [
    "info a.qcow2", "info r.raw", "info --backing-chain a.qcow2", "map a.qcow2", "map r.raw",
    "map c.qcow2", "map p.qcow2", "map --start-offset 1M --max-length 3M a.qcow2", "check a.qcow2",
    "check c.qcow2"])
def test_the_same_json(images, words):
    as_json(*words.split(), cwd=images)


@pytest.mark.parametrize("options", [
    "", "compat=0.10", "cluster_size=512", "cluster_size=2M,refcount_bits=1", "refcount_bits=64",
    "lazy_refcounts=on", "preallocation=metadata", "preallocation=falloc", "preallocation=full",
    "compression_type=zstd", "cluster_size=4k,preallocation=metadata,compat=0.10"])
@pytest.mark.parametrize("size", ["0", "513", "3M", "5G"])
def test_create(tmp_path, options, size):
    if "allocation" in options and size == "5G":
        size = "70M"
    words = ["create", "-f", "qcow2", *(["-o", options] if options else []), "a.qcow2", size]
    said = theirs(*words, cwd=tmp_path)
    expected = json.loads(theirs("info", "--output", "json", "a.qcow2", cwd=tmp_path).stdout)
    (tmp_path / "a.qcow2").unlink()
    mine = ours(*words, cwd=tmp_path)
    assert (mine.stdout, mine.stderr) == (said.stdout, "")
    found = json.loads(theirs("info", "--output", "json", "a.qcow2", cwd=tmp_path).stdout)
    for answer in found, expected:
        del answer["actual-size"]
    assert found == expected
    check(tmp_path / "a.qcow2")


@pytest.mark.parametrize("words", [
    "-O raw", "-O qcow2", "-O qcow2 -c", "-O qcow2 -o cluster_size=512",
    "-O qcow2 -c -o cluster_size=4k", "-O qcow2 -o compat=0.10", "-O raw -S 0", "-O qcow2 -S 64k",
    "-O qcow2 -c -o compression_type=zstd", "-O qcow2 -B base.qcow2 -F qcow2", "-l first -O raw",
    "-O qcow2 -c -o cluster_size=2M"])
def test_convert(images, words):
    source = ["a.qcow2"] if "-l" in words else ["-f", "qcow2", "a.qcow2"]
    mine = ours("convert", *words.split(), *source, "mine", cwd=images)
    assert (mine.returncode, mine.stdout, mine.stderr) == (0, "", "")
    theirs("convert", *words.split(), *source, "theirs", cwd=images)
    assert theirs("compare", "mine", "theirs", cwd=images).returncode == 0
    if "qcow2" in words.split():
        check(images / "mine")
    assert (images / "mine").stat().st_blocks <= (images / "theirs").stat().st_blocks + 1024


def test_snapshots_made_and_applied_by_both(tmp_path, sequences):
    for seed in range(max(10, sequences // 10)):
        work = Work(tmp_path, seed)
        if work.refcount_bits == 1:
            done = ours("snapshot", "-c", "x", "a.qcow2", cwd=tmp_path)
            assert work.v3 and (done.returncode == 0 or "too narrow" in done.stderr)
            work.verify()
            continue
        states = {}
        for step in range(work.dice.randrange(3, 9)):
            run = work.dice.choice((ours, theirs))
            action = work.dice.choice(("write", "write", "create", "apply", "delete"))
            if action == "write" or (not states and action != "create"):
                work.dice.choice((work.ours, work.theirs))(8)
            elif action == "create" and len(states) < min(3, 2 ** work.refcount_bits - 3):
                done = run("snapshot", "-c", f"s{step}", "a.qcow2", cwd=tmp_path)
                assert done.returncode == 0, (seed, done.stderr)
                states[f"s{step}"] = bytes(work.model)
            elif states:
                name = work.dice.choice(sorted(states))
                letter = "-a" if action == "apply" else "-d"
                done = run("snapshot", letter, name, "a.qcow2", cwd=tmp_path)
                if done.returncode and work.refcount_bits == 2 and action == "apply":
                    continue  # a cluster that all have is counted once more meanwhile
                assert done.returncode == 0, (seed, done.stderr)
                if action == "apply":
                    work.model[:] = states[name]
                else:
                    del states[name]
            work.verify()
        for name in sorted(states):
            assert ours("snapshot", "-a", name, "a.qcow2", cwd=tmp_path).returncode == 0
            work.model[:] = states[name]
            work.verify()


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_resize(tmp_path, format):
    dice = random.Random(1)
    theirs("create", "-f", format, *(["-o", "cluster_size=512"] if format == "qcow2" else []),
           "a.img", "1M", cwd=tmp_path)
    model = bytearray(MIB)
    for _ in range(12):
        data = bytes([dice.randrange(1, 255)]) * 5000
        at = dice.randrange(len(model) - len(data)) // 512 * 512
        subprocess.run(["qemu-io", "-f", format, "-c", f"write -P {data[0]} {at} 5000", "a.img"],
                       cwd=tmp_path, check=True, capture_output=True)
        model[at:at + 5000] = data
        size = dice.randrange(20, 9000) * 512
        done = ours("resize", "-f", format, "--shrink", "a.img", size, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "Image resized.\n"), done.stderr
        model = model[:size].ljust(size, b"\0")
        if format == "qcow2":
            check(tmp_path / "a.img")
        theirs("convert", "-f", format, "-O", "raw", "a.img", "a.raw", cwd=tmp_path)
        assert (tmp_path / "a.raw").read_bytes() == model


def test_commit(images):
    before = theirs("convert", "-O", "raw", "a.qcow2", "before.raw", cwd=images)
    assert before.returncode == 0
    theirs("snapshot", "-d", "first", "a.qcow2", cwd=images)
    done = ours("commit", "a.qcow2", cwd=images)
    assert (done.returncode, done.stdout) == (0, "Image committed.\n"), done.stderr
    for name in "base.qcow2", "a.qcow2":
        check(images / name)
        assert theirs("compare", "before.raw", name, cwd=images).returncode == 0


def test_check_mends_what_a_crash_leaves(tmp_path):
    """Lazy reference counts and leaked clusters, as qemu-io leaves them when it is killed."""
    theirs("create", "-f", "qcow2", "-o", "lazy_refcounts=on", "a.qcow2", "4M", cwd=tmp_path)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 1M", "-c", "flush", "-c", "abort", "a.qcow2"],
                   cwd=tmp_path, capture_output=True)
    shutil.copy(tmp_path / "a.qcow2", tmp_path / "b.qcow2")
    assert "cleanly shut down: no" in same("info", "a.qcow2", cwd=tmp_path)
    assert ours("check", "a.qcow2", cwd=tmp_path).returncode == 2
    done = ours("check", "-r", "all", "a.qcow2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    check(tmp_path / "a.qcow2")
    done = ours("convert", "-O", "raw", "a.qcow2", "a.raw", cwd=tmp_path)
    assert (tmp_path / "a.raw").read_bytes() == (b"\7" * MIB).ljust(4 * MIB, b"\0")
    # Opening for writing mends it as well.
    assert ours("resize", "b.qcow2", "5M", cwd=tmp_path).returncode == 0
    check(tmp_path / "b.qcow2")


def test_progress(images):
    one, two = (run("convert", "-p", "-O", "raw", "a.qcow2", "x", cwd=images)
                for run in (ours, theirs))
    for done in one, two:  # each \r has become the end of a line
        assert done.stdout.startswith("    (0.00/100%)\n")
        assert done.stdout.endswith("    (100.00/100%)\n")
