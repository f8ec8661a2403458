"""The plugins that come with the emulator, all at once on one boot."""
import re
import struct

from .console import IMAGES, PYEMU, Console, shell


def test_they_report_on_a_boot(tmp_path):
    names = ("strace", "coverage", "hotblocks", "irqlatency")
    files = {name: tmp_path / name for name in names}
    options = [word for name, file in files.items() for word in ("-plugin", f"{name},file={file}")]
    drive = f"file={IMAGES}/mini.img,format=raw,snapshot=on"
    with Console([PYEMU, "-nographic", "-drive", drive, *options]) as console:
        shell(console)
        console.run("cat /etc/hostname", "# ")
        console.send(b"\x01x")
        assert console.wait() == 0

    calls = files["strace"].read_text()
    assert re.search(r'^\[[0-9a-f]+\] open(at)?\((-100, )?"/etc/hostname", .*\) = \d+$',
                     calls, re.MULTILINE)
    assert re.search(r'^\[[0-9a-f]+\] execve\("/', calls, re.MULTILINE)

    head, _, blocks = files["coverage"].read_bytes().partition(b" bbs\n")
    count = int(head.rpartition(b": ")[2])
    assert len(blocks) == 8 * count > 8 * 10_000
    modules = head.count(b"guest-")
    assert all(size and module < modules for _, size, module in struct.iter_unpack("<IHH", blocks))
    assert b"guest-ffffffff00000000" in head

    total, _, times, *_ = files["hotblocks"].read_text().splitlines()
    assert int(total.split()[0]) > 10_000_000
    assert re.match(r"0xffffffff[0-9a-f]{8} +\d+ +\d+ +\d+\.\d %", times)

    vectors = files["irqlatency"].read_text().splitlines()[1:]
    assert len(vectors) >= 2  # the timer, the serial port
    assert any(int(row.split()[1]) > 10 for row in vectors)
