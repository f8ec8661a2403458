"""qcow2 from images built here by hand: every kind of cluster, refusals, and damaged files."""
import random
import struct
import zlib

import pytest
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.open import open_image

BITS = 9  # the smallest clusters: 64 L2 entries, 32 KiB for each L2 table
SIZE = 1 << BITS
ZERO, COPIED, COMPRESSED = 1, 1 << 63, 1 << 62
REFTABLE, REFBLOCK, L1 = SIZE, 2 * SIZE, 3 * SIZE


def ignore(text):
    """Warnings are not what is tested here."""


def build(entries, version=3, l1_entries=2, backing="", extensions=b"", **fields):
    """An image whose first L2 table, cluster 4, is `entries`: {index: data or entry}."""
    clusters, table = [], [0] * (SIZE // 8)
    for index, entry in entries.items():
        if isinstance(entry, bytes):
            place = (5 + len(clusters)) * SIZE
            if len(entry) == SIZE:
                table[index] = place | COPIED
            else:
                table[index] = place | COMPRESSED
            clusters.append(entry.ljust(SIZE, b"\0"))
        else:
            table[index] = entry
    values = {
        "magic": b"QFI\xfb", "version": version, "backing_offset": 0, "backing_length": 0,
        "cluster_bits": BITS, "size": 64 * SIZE * l1_entries, "encryption": 0,
        "l1_size": l1_entries, "l1_offset": L1, "refcount_offset": REFTABLE,
        "refcount_clusters": 1, "snapshots": 0, "snapshots_offset": 0, "incompatible": 0,
        "compatible": 0, "autoclear": 0, "refcount_order": 4, "length": 112, "compression": 0}
    if backing:
        values.update(backing_offset=SIZE - len(backing), backing_length=len(backing))
    values.update(fields)
    header = struct.pack(">4sIQIIQIIQQIIQQQQIIB7x", *values.values())[:72 if version == 2 else 112]
    counts = struct.pack(f">{5 + len(clusters)}H", *[1] * (5 + len(clusters)))
    first = (header + extensions).ljust(SIZE - len(backing), b"\0") + backing.encode()
    return b"".join(part.ljust(SIZE, b"\0") for part in (
        first, struct.pack(">Q", REFBLOCK), counts,
        struct.pack(">2Q", 4 * SIZE | COPIED, 0), struct.pack(f">{SIZE // 8}Q", *table),
        *clusters))


@pytest.fixture
def opened(tmp_path):
    disks = []

    def open_bytes(image, **options):
        path = tmp_path / "disk.qcow2"
        while disks:
            disks.pop().close()
        path.write_bytes(image)
        disks.append(open_image(str(path), report=ignore, **options))
        return disks[-1]
    yield open_bytes
    for disk in disks:
        disk.close()


def deflate(data):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -12)
    return squeeze.compress(data) + squeeze.flush()


TEXT = b"the quick brown fox " * 25 + b"jumps over !"  # SIZE bytes
ALL = {0: b"a" * SIZE, 1: b"b" * SIZE, 3: ZERO, 4: deflate(TEXT), 5: b"c" * SIZE, 63: b"z" * SIZE}


def test_every_kind_of_cluster(opened):
    disk = opened(build(ALL))
    assert (disk.format, disk.size) == ("qcow2", 128 * SIZE)
    expected = (b"a" * SIZE + b"b" * SIZE + bytes(2 * SIZE) + TEXT + b"c" * SIZE
                + bytes(57 * SIZE) + b"z" * SIZE + bytes(64 * SIZE))
    assert disk.read(0, disk.size) == expected
    for offset, length in (0, 1), (SIZE - 1, 2), (2 * SIZE - 5, 3 * SIZE), (64 * SIZE - 1, 2):
        assert disk.read(offset, length) == expected[offset:offset + length]


def test_neighbours_are_read_in_one_piece(opened):
    disk = opened(build({i: bytes([i]) * SIZE for i in range(40)}))
    reads = []
    file = disk.node.file
    read = file.read
    file.read = lambda offset, length: (reads.append(length), read(offset, length))[1]
    disk.node.map.l2.get(4 * SIZE)
    reads.clear()
    disk.read(100, 30 * SIZE)
    assert reads == [30 * SIZE]


def test_version_2_has_no_zero_clusters(opened):
    assert opened(build({0: b"a" * SIZE}, version=2)).read(0, 2) == b"aa"
    with pytest.raises(OSError, match="version 2"):
        opened(build({0: ZERO}, version=2)).read(0, 1)


def test_a_snapshot_leaves_the_image_as_it_was(opened, tmp_path):
    image = build(ALL)
    disk = opened(image, snapshot=True)
    disk.write(SIZE, b"w" * SIZE)
    assert disk.read(SIZE - 1, SIZE + 2) == b"a" + b"w" * SIZE + b"\0"
    assert (tmp_path / "disk.qcow2").read_bytes() == image


def test_backing_files_shine_through_and_may_be_shorter(opened, tmp_path):
    (tmp_path / "base.img").write_bytes(b"B" * (2 * SIZE + 100))
    disk = opened(build({0: b"a" * SIZE, 1: ZERO}, backing="base.img"))
    # The raw file is padded to a sector, then ends.
    assert disk.read(0, 4 * SIZE) == b"a" * SIZE + bytes(SIZE) + (b"B" * 100).ljust(2 * SIZE, b"\0")
    (tmp_path / "middle.qcow2").write_bytes(build({2: b"m" * SIZE}, backing="base.img"))
    disk = opened(build({3: b"t" * SIZE}, backing="middle.qcow2"))
    assert disk.read(0, 4 * SIZE) == b"B" * 2 * SIZE + b"m" * SIZE + b"t" * SIZE


def test_an_image_that_backs_itself_is_refused(opened):
    with pytest.raises(BlockError, match="it is its own backing file"):
        opened(build({}, backing="disk.qcow2"))


def test_a_missing_backing_file_is_named(opened):
    with pytest.raises(BlockError, match=r"backing file 'gone': Could not open '.*/gone': No such"):
        opened(build({}, backing="gone"))


FEATURES = struct.pack(">II", 0x6803F857, 48) + struct.pack(">BB46s", 0, 5, b"time travel")


@pytest.mark.parametrize("fields, text", [
    ({"version": 4}, "Unsupported qcow2 version 4"),
    ({"cluster_bits": 8}, "Unsupported cluster size: 2^8"),
    ({"cluster_bits": 22}, "Unsupported cluster size: 2^22"),
    ({"encryption": 1}, "qcow2: encrypted images (AES) are not supported"),
    ({"incompatible": 4}, "Unsupported qcow2 feature(s): external data file"),
    ({"incompatible": 16}, "Unsupported qcow2 feature(s): extended L2 entries"),
    ({"incompatible": 32, "extensions": FEATURES}, "Unsupported qcow2 feature(s): time travel"),
    ({"incompatible": 64}, "Unsupported qcow2 feature(s): Unknown incompatible feature: 40"),
    ({"incompatible": 2}, "qcow2: Image is corrupt; cannot be opened read/write"),
    ({"incompatible": 8}, "qcow2: Compression type incompatible feature bit must not be set"),
    ({"compression": 1}, "qcow2: Compression type incompatible feature bit must be set"),
    ({"incompatible": 8, "compression": 9}, "qcow2: unknown compression type: 9"),
    ({"refcount_order": 7}, "Reference count entry width too large; may not exceed 64 bits"),
    ({"l1_offset": 3 * SIZE + 8}, "Active L1 table offset invalid"),
    ({"l1_size": 1}, "L1 table is too small"),
    ({"l1_size": 1 << 23}, "Active L1 table too large"),
    ({"size": 1 << 63}, "Image size too big"),
    ({"length": 64}, "qcow2 header too short"),
    ({"length": 4096}, "qcow2 header exceeds cluster size"),
    ({"backing_offset": 9999, "backing_length": 1}, "Invalid backing file offset"),
    ({"backing_offset": 300, "backing_length": 1024}, "Backing file name too long"),
    ({"extensions": struct.pack(">II", 7, 9999)}, "Header extension too large"),
    ({"size": 0}, "Could not open '{}': the image is empty"),
])
def test_refused_by_name(opened, tmp_path, fields, text):
    with pytest.raises(BlockError) as caught:
        opened(build({}, **fields))
    assert str(caught.value) == text.format(tmp_path / "disk.qcow2")


def test_corrupt_and_dirty_images_can_be_read(opened):
    assert opened(build(ALL, incompatible=3), snapshot=True).read(0, 1) == b"a"


@pytest.mark.parametrize("keep, what", [
    (60, "qcow2 header too short"), (80, "qcow2 header too short"),
    (3 * SIZE, "the L1 table"), (4 * SIZE, "the L2 table"), (9 * SIZE, "the cluster at 0x1200")])
def test_a_file_that_lost_its_end_is_refused(opened, keep, what):
    with pytest.raises(BlockError, match=what):
        opened(build(ALL)[:keep])


def test_a_leaked_cluster_at_the_end_is_no_loss(opened):
    assert opened(build({**ALL, 63: 0, 62: b"q" * SIZE, 61: b"w" * SIZE})).read(0, 1) == b"a"
    leaked = build({0: b"a" * SIZE, 1: b"b" * SIZE})
    table = 4 * SIZE + 8
    leaked = leaked[:table] + bytes(8) + leaked[table + 8:-SIZE]
    assert opened(leaked).read(0, 2 * SIZE) == b"a" * SIZE + bytes(SIZE)


@pytest.mark.parametrize("entry, text", [
    (6 * SIZE, "beyond the end"), (1 << 50, "beyond the end"), (COMPRESSED | 1 << 40, "beyond"),
    (COMPRESSED | 5 * SIZE, "compressed cluster")])
def test_bad_entries_fail_the_request_and_only_it(opened, entry, text):
    disk = opened(build({0: b"\xff" * SIZE, 9: entry}))
    with pytest.raises(OSError, match=text):
        disk.read(9 * SIZE, 1)
    assert disk.read(0, 1) == b"\xff"


def test_damaged_images_give_errors_or_data(tmp_path):
    """Flipped, overwritten and cut in thousands of ways, no image does more than that."""
    dice = random.Random(2)
    path = tmp_path / "damaged.qcow2"
    image = build({**ALL, 7: deflate(b"x" * SIZE)}, extensions=FEATURES)
    outcomes = {"data": 0, "refused": 0, "error": 0}
    hot = [*range(112), *range(SIZE, SIZE + 8), *range(L1, L1 + 16), *range(4 * SIZE, 5 * SIZE)]
    for _ in range(3000):
        damaged = bytearray(image)
        for _ in range(dice.choice((1, 1, 2, 8))):
            at = dice.choice(hot) if dice.random() < 0.9 else dice.randrange(len(image))
            flipped = damaged[at] ^ 1 << dice.randrange(8)
            damaged[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, flipped))
        if dice.random() < 0.1:
            del damaged[dice.randrange(len(damaged)):]
        try:
            path.write_bytes(damaged)
            disk = open_image(str(path), "qcow2", read_only=True, report=ignore)
        except BlockError as error:
            assert str(error) and "\n" not in str(error)
            outcomes["refused"] += 1
            continue
        kind = "data"
        for offset in range(0, min(disk.size, 16 * SIZE), SIZE):
            length = min(SIZE, disk.size - offset)
            try:
                assert len(disk.read(offset, length)) == length
            except OSError:
                kind = "error"
        outcomes[kind] += 1
        disk.close()
    assert all(outcomes.values())
