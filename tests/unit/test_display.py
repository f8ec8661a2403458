"""The renderer: what is drawn again, blanking, panning; picture files. The modes themselves are
compared with QEMU's in tests/interop/test_screens_like_qemu.py."""
import resource
import struct
import zlib

import numpy as np
import pytest
from pyemu.display import image
from pyemu.display.renderer import Renderer
from pyemu.display.snapshot import CURSOR_FRAMES, FRAME, Snapshot
from pyemu.machine.vga import Vga

ATTRIBUTE, MISC, SEQUENCER, DAC_INDEX, DAC_DATA, GRAPHICS, CRTC = 0, 2, 4, 8, 9, 14, 0x14
WHITE, GREY = 0xffffff, 0xa8a8a8


class Screen:
    """A VGA with its renderer, in the BIOS's 80x25 text mode unless told."""

    def __init__(self, clock):
        self.clock = clock
        self.vga = Vga(clock, bytearray(1 << 20))
        self.renderer = Renderer(self.vga.vram)
        self.vga.ports.write(MISC, 1, 0x67)
        self.index(SEQUENCER, 0x03, 0x00, 0x03, 0x00, 0x02)
        self.index(GRAPHICS, 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff)
        self.index(CRTC, 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x20, 0x0e, 0, 0,
                   0, 0, 0x9c, 0x0e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff)
        for index, value in enumerate((*range(16), 0x0c, 0, 0x0f, 8, 0)):
            self.attribute(index, value)
        self.colour(0, 0, 0, 0)
        self.colour(7, 42, 42, 42)
        self.colour(15, 63, 63, 63)
        self.glyph("#", 0xff)

    def index(self, port, *values, first=0):
        for index, value in enumerate(values, first):
            self.vga.ports.write(port, 2, value << 8 | index)

    def attribute(self, index, value, shown=True):
        self.vga.ports.read(0x1a, 1)
        for byte in (index, value, 0x20 if shown else 0):
            self.vga.ports.write(ATTRIBUTE, 1, byte)
        self.vga.ports.read(0x1a, 1)

    def colour(self, index, *components):
        self.vga.ports.write(DAC_INDEX, 1, index)
        for component in components:
            self.vga.ports.write(DAC_DATA, 1, component)

    def glyph(self, character, byte):
        """All 16 lines of a character are that byte."""
        start = 4 * 32 * ord(character) + 2
        self.vga.vram[start:start + 64:4] = bytes([byte]) * 16

    def put(self, column, row, character, attribute=0x07):
        at = 4 * (row * 80 + column)
        self.vga.vram[at:at + 2] = bytes((ord(character), attribute))

    def update(self):
        return self.renderer.update(Snapshot.of(self.vga, self.clock.now()))

    @property
    def picture(self):
        return self.renderer.picture


@pytest.fixture
def screen(clock):
    return Screen(clock)


def test_a_character_is_its_glyph_in_its_colours(screen):
    screen.put(2, 1, "#", 0x0f)
    screen.update()
    assert screen.picture.shape == (400, 720)
    cell = screen.picture[16:32, 18:27]
    assert (cell[:, :8] == WHITE).all() and not cell[:, 8].any()
    assert np.count_nonzero(screen.picture) == 16 * 8


def test_only_rows_that_changed_are_drawn(screen):
    assert screen.update().all()
    assert not screen.update().any()
    screen.put(0, 3, "#")
    assert np.flatnonzero(screen.update()).tolist() == list(range(48, 64))


def test_a_new_font_or_palette_redraws(screen):
    screen.put(0, 0, "#")
    screen.update()
    screen.glyph("#", 0x80)
    assert screen.update().all()
    assert np.count_nonzero(screen.picture) == 16
    screen.colour(7, 63, 63, 63)
    assert screen.update().all()
    assert screen.picture[0, 0] == WHITE


def test_the_cursor_blinks(screen, clock):
    screen.put(0, 0, " ")
    screen.index(CRTC, 0x0d, 0x0e, first=10)
    screen.update()
    assert (screen.picture[13:15, :9] == GREY).all()
    assert np.count_nonzero(screen.picture) == 2 * 9
    clock.advance(FRAME * CURSOR_FRAMES)
    assert np.flatnonzero(screen.update()).tolist() == list(range(16))
    assert not screen.picture.any()


def test_ninth_dot_of_line_graphics(screen):
    screen.glyph("\xc4", 0xff)
    screen.put(0, 0, "\xc4")
    screen.update()
    assert (screen.picture[:16, :9] == GREY).all()


def test_panning_by_dots_and_lines(screen):
    screen.put(1, 1, "#")
    screen.attribute(0x13, 2)  # three dots
    screen.index(CRTC, 5, first=8)
    screen.update()
    assert (screen.picture[11:27, 6:14] == GREY).all()
    assert np.count_nonzero(screen.picture) == 16 * 8


@pytest.mark.parametrize("blank", ["palette", "sequencer"])
def test_blank_and_back(screen, blank):
    screen.put(0, 0, "#")
    screen.update()

    def switch(shown):
        if blank == "palette":
            screen.attribute(0, 0, shown)
        else:
            screen.index(SEQUENCER, 0 if shown else 0x20, first=1)

    switch(False)
    assert screen.update().all()
    assert screen.picture.shape == (400, 720) and not screen.picture.any()
    assert not screen.update().any()
    switch(True)
    assert screen.update().all()
    assert screen.picture.any()


def test_split_screen_starts_anew_at_address_0(screen):
    screen.index(GRAPHICS, 0, 0x05, first=5)
    screen.index(SEQUENCER, 0x01, first=1)
    screen.index(CRTC, 0x80, 0x00, first=12)
    screen.index(CRTC, 0x0f, first=7)
    screen.index(CRTC, 0x00, first=9)  # one line a row
    screen.index(CRTC, 0x1f, first=24)
    screen.vga.vram[0] = 0x80
    screen.vga.vram[4 * 0x8000] = 0x40
    screen.colour(1, 63, 63, 63)
    screen.update()
    first = 0x1f + 1
    assert screen.picture[0, 1] == WHITE and screen.picture[first, 0] == WHITE
    assert np.count_nonzero(screen.picture) == 2


def test_planes_wrap_at_256_kib(screen):
    screen.index(GRAPHICS, 0, 0x05, first=5)
    screen.index(SEQUENCER, 0x01, first=1)
    screen.index(CRTC, 0x00, first=9)
    screen.index(CRTC, 0xff, 0xff, first=12)
    screen.vga.vram[0] = 0x80
    screen.colour(1, 63, 63, 63)
    screen.update()
    assert screen.picture[0, 8] == WHITE


def test_bochs_mode_draws_changed_lines_only(screen):
    for index, value in ((1, 64), (2, 48), (3, 32), (4, 1)):
        screen.vga.dispi.write_register(index, value)
    assert screen.update().all()
    at = 64 * 4 * 5 + 8
    screen.vga.vram[at:at + 4] = b"\x03\x02\x01\xff"
    assert np.flatnonzero(screen.update()).tolist() == [5]
    assert screen.picture.shape == (48, 64)
    assert screen.picture[5, 2] == 0x010203


def test_any_registers_make_a_picture(screen):
    """Whatever the guest writes, nothing fails."""
    generator = np.random.default_rng(1)
    for _ in range(300):
        port = generator.choice((SEQUENCER, GRAPHICS, CRTC))
        index, value = generator.integers(25), generator.integers(256)
        screen.vga.ports.write(int(port), 2, int(value) << 8 | int(index))
        screen.attribute(int(generator.integers(0x15)), int(generator.integers(256)))
        screen.update()
        assert screen.picture.ndim == 2


# Files

def test_png_holds_the_pixels():
    picture = np.array([[0x010203, 0xff0000], [0x00ff00, 0x0000ff]], np.uint32)
    data = image.encode(picture, "png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (2, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(chunks[b"IDAT"]) == bytes.fromhex("00010203ff0000" "0000ff000000ff")


def test_ppm_holds_the_pixels():
    picture = np.array([[0x010203, 0xff0000]], np.uint32)
    assert image.encode(picture, "ppm") == b"P6\n2 1\n255\n\x01\x02\x03\xff\0\0"


def test_nothing_is_left_of_a_file_that_cannot_be_written_whole(tmp_path):
    picture, path = np.zeros((100, 100), np.uint32), tmp_path / "screen.ppm"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            image.save(picture, str(path), "ppm")
        assert not path.exists()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    image.save(picture, str(path), "ppm")
    assert path.read_bytes() == image.encode(picture, "ppm")
