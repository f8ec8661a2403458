"""cache=none: any offset and length, though the host takes whole aligned blocks only."""
import os
import random

import pytest
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.direct import MOST, DirectFile
from pyemu.machine.block.open import open_image


@pytest.fixture(params=[512, 4096])
def file(request, tmp_path):
    """An open file of random bytes, as on a disk with blocks of this size."""
    path = tmp_path / "a.raw"
    path.write_bytes(random.Random(1).randbytes(50_000))
    try:
        file = DirectFile.open(str(path))
    except BlockError as error:
        pytest.skip(str(error))
    file._block = request.param
    yield file, path
    file.close()


def test_random_accesses(file):
    file, path = file
    model, dice = bytearray(path.read_bytes()), random.Random(2)
    for _ in range(500):
        offset, length = dice.randrange(60_000), dice.choice((1, 8, 512, 4096, 20_000))
        if dice.random() < 0.5:
            data = dice.randbytes(length)
            file.write(offset, data)
            model.extend(bytes(max(0, offset + length - len(model))))
            model[offset:offset + length] = data
            assert file.length == len(model) == os.path.getsize(path)
        else:
            assert file.read(offset, length) == model[offset:offset + length].ljust(length, b"\0")
    assert path.read_bytes() == model


def test_more_than_the_buffer_takes(file):
    file, path = file
    data = random.Random(3).randbytes(2 * MOST + 1000)
    file.write(700, data)
    assert file.read(700, len(data)) == data == path.read_bytes()[700:]


def test_the_page_cache_is_not_used(file):
    file, _ = file
    assert os.O_DIRECT & file.FLAGS
    file.patient = False
    for access in lambda: file.read(0, 512), lambda: file.write(0, bytes(512)):
        with pytest.raises(BlockingIOError):
            access()


@pytest.mark.parametrize("cache, direct, no_flush, write_cache", [
    ("writeback", False, False, True), ("writethrough", False, False, False),
    ("none", True, False, True), ("directsync", True, False, False), ("unsafe", False, True, True)])
def test_what_a_cache_mode_means(tmp_path, cache, direct, no_flush, write_cache):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4096))
    image = open_image(str(path), "raw", cache=cache)
    assert isinstance(image.node, DirectFile) == direct
    assert (image.node.unsafe, image.write_cache) == (no_flush, write_cache)
    image.close()


def test_a_file_system_without_it(tmp_path, monkeypatch):
    """ramfs has none; anybody's open may say so."""
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4096))
    plain = os.open

    def refuse(path, flags, *rest):
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return plain(path, flags, *rest)
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(BlockError) as caught:
        open_image(str(path), "raw", cache="none")
    assert str(caught.value) == f"Could not open '{path}': filesystem does not support O_DIRECT"
