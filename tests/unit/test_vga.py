"""The standard VGA: registers, palette, memory window, Bochs interface, text page."""
import pytest
from pyemu.machine.vga import Vga

MISC, SEQUENCER, GRAPHICS, CRTC, STATUS_1 = 0x02, 0x04, 0x0e, 0x14, 0x1a  # from 3C0h
TEXT = 0x18000  # B8000h, in the window
DISPLAY_OFF, RETRACE = 1, 8

# Mode 3 as VGA BIOSes set it
TEXT_MODE = {
    SEQUENCER: {1: 0x00, 2: 0x03, 4: 0x02},
    GRAPHICS: {5: 0x10, 6: 0x0e, 7: 0x0f, 8: 0xff},
    CRTC: dict(enumerate(bytes.fromhex(
        "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff"))),
}


@pytest.fixture
def vga(clock):
    return Vga(clock, bytearray(1 << 20))


@pytest.fixture
def text(vga):
    """In the 80 by 25 text mode, the page full of blanks."""
    vga.ports.write(MISC, 1, 0x67)
    put(vga, CRTC, 0x11, 0)
    for port, registers in TEXT_MODE.items():
        for index, value in registers.items():
            if (port, index) != (CRTC, 0x11):
                put(vga, port, index, value)
    put(vga, CRTC, 0x11, 0x8e)
    for cell in range(0, 0x8000, 2):
        vga.write(TEXT + cell, 2, 0x0720)
    return vga


def put(vga, port, index, value):
    vga.ports.write(port, 2, value << 8 | index)


def get(vga, port, index):
    vga.ports.write(port, 1, index)
    return vga.ports.read(port + 1, 1)


def dispi(vga, index, value):
    vga.dispi.ports.write(0, 2, index)
    vga.dispi.ports.write(1, 2, value)


def show(vga, row, text, attribute=7):
    for column, character in enumerate(text.encode("cp437")):
        vga.write(TEXT + row * 160 + column * 2, 2, attribute << 8 | character)


# Registers

def test_registers_have_only_their_bits(vga):
    for port, index, bits in ((SEQUENCER, 1, 0x3d), (SEQUENCER, 4, 0x0e), (GRAPHICS, 5, 0x7b),
                              (GRAPHICS, 6, 0x0f)):
        put(vga, port, index, 0xff)
        assert get(vga, port, index) == bits


def test_word_reads_show_index_and_data(vga):
    put(vga, GRAPHICS, 8, 0xa5)
    assert vga.ports.read(GRAPHICS, 2) == 0xa508


def test_misc_output_moves_the_crt_controller(vga):
    assert vga.mono_ports.read(5, 1) == 0 and vga.ports.read(CRTC + 1, 1) == 0xff
    vga.ports.write(MISC, 1, 0x01)
    put(vga, CRTC, 0x0c, 0x12)
    assert vga.mono_ports.read(5, 1) == 0xff and get(vga, CRTC, 0x0c) == 0x12


def test_crtc_write_protection_spares_one_bit(text):
    put(text, CRTC, 0, 0x11)
    put(text, CRTC, 7, 0x00)
    assert get(text, CRTC, 0) == 0x5f and get(text, CRTC, 7) == 0x0f


def test_attribute_flip_flop(text):
    text.ports.read(STATUS_1, 1)
    for value in (0x13, 0x08, 0x34):
        text.ports.write(0, 1, value)
    text.ports.read(STATUS_1, 1)
    text.ports.write(0, 1, 0x33)
    assert text.ports.read(1, 1) == 0x08
    text.ports.write(0, 1, 0xff)
    assert text.ports.read(1, 1) == 0x0f and text.ports.read(0, 1) == 0x33


def test_retrace_comes_seventy_times_a_second(text, clock):
    edges, before = 0, 0
    for _ in range(10_000):
        clock.advance(us=50)
        now = text.ports.read(STATUS_1, 1) & RETRACE
        edges += now > before
        before = now
    assert edges == 35  # in half a second


def test_display_is_off_during_retrace_and_at_line_ends(text, clock):
    seen = set()
    for _ in range(2000):
        clock.advance(us=7)
        seen.add(text.ports.read(STATUS_1, 1))
    assert seen == {0, DISPLAY_OFF, DISPLAY_OFF | RETRACE}


def test_unprogrammed_registers_still_give_a_retrace(vga, clock):
    seen = set()
    for _ in range(1000):
        clock.advance(us=20)
        seen.add(vga.mono_ports.read(10, 1) & RETRACE)
    assert seen == {0, RETRACE}


# Palette

def test_palette_goes_on_to_the_next_colour(vga):
    vga.ports.write(8, 1, 254)
    for value in range(9):
        vga.ports.write(9, 1, value)
    assert vga.dac.palette[-6:] == bytes(range(6)) and vga.dac.palette[:3] == bytes((6, 7, 8))
    vga.ports.write(7, 1, 254)
    assert [vga.ports.read(9, 1) for _ in range(9)] == list(range(9))


def test_palette_state_and_width(vga):
    vga.ports.write(7, 1, 0)
    assert vga.ports.read(7, 1) == 3
    vga.ports.write(8, 1, 0)
    assert vga.ports.read(7, 1) == 0 and vga.ports.read(6, 1) == 0xff
    for _ in range(3):
        vga.ports.write(9, 1, 0xff)
    dispi(vga, 4, 0x21)
    for _ in range(3):
        vga.ports.write(9, 1, 0xff)
    assert vga.dac.palette[:6].hex() == "3f3f3fffffff"


# Memory window

def planar(vga):
    """All planes at A0000h, write mode 0."""
    for port, index, value in ((GRAPHICS, 5, 0), (GRAPHICS, 6, 5), (GRAPHICS, 8, 0xff),
                               (SEQUENCER, 2, 0x0f), (SEQUENCER, 4, 0x06)):
        put(vga, port, index, value)


def test_text_goes_to_planes_0_and_1(text):
    text.write(TEXT + 4, 2, 0x1f41)
    assert text.vram[8:12] == bytes((0x41, 0x1f, 0, 0))
    assert text.read(TEXT + 4, 1) == 0x41 and text.read(TEXT + 4, 4) == 0x0720_1f41


def test_two_cells_at_once_and_across_cells(text):
    text.write(TEXT + 4, 4, 0x2f42_1f41)
    assert text.vram[8:16] == bytes((0x41, 0x1f, 0, 0, 0x42, 0x2f, 0, 0))
    assert text.read(TEXT + 4, 2) == 0x1f41 and text.read(TEXT + 5, 4) == 0x20_2f42_1f
    text.write(TEXT + 5, 2, 0x4334)
    assert text.read(TEXT + 4, 4) == 0x2f43_3441


def test_odd_even_reaches_planes_2_and_3(text):
    put(text, SEQUENCER, 2, 0x0c)
    put(text, GRAPHICS, 4, 2)
    text.write(TEXT + 4, 4, 0x2f42_1f41)
    assert text.vram[8:16] == bytes((0x20, 0x07, 0x41, 0x1f, 0x20, 0x07, 0x42, 0x2f))
    assert text.read(TEXT + 4, 2) == 0x1f41 and text.read(TEXT + 4, 4) == 0x2f42_1f41


def test_nothing_answers_outside_the_mapped_part(text):
    text.write(0x10000, 1, 0x55)
    assert text.read(0x10000, 1) == 0xff and text.read(0x0, 4) == 0xffff_ffff
    assert text.read(0x1ffff, 2) == 0xffff
    text.write(0x1ffff, 2, 0)


def test_map_mask_chooses_planes(vga):
    planar(vga)
    put(vga, SEQUENCER, 2, 0x05)
    vga.write(3, 1, 0xaa)
    assert vga.vram[12:16] == bytes((0xaa, 0, 0xaa, 0))
    put(vga, GRAPHICS, 4, 2)
    assert vga.read(3, 1) == 0xaa


def test_set_reset_and_bit_mask(vga):
    planar(vga)
    put(vga, GRAPHICS, 0, 0x03)
    put(vga, GRAPHICS, 1, 0x0f)
    put(vga, GRAPHICS, 8, 0x18)
    vga.read(0, 1)
    vga.write(0, 1, 0)
    assert vga.vram[:4] == bytes((0x18, 0x18, 0, 0))


@pytest.mark.parametrize(("function", "result"), [(0, 0x36), (1, 0x22), (2, 0x7e), (3, 0x5c)])
def test_rotate_and_functions(vga, function, result):
    planar(vga)
    vga.write(0, 1, 0x6a)
    vga.read(0, 1)  # latches
    put(vga, GRAPHICS, 3, function << 3 | 2)
    vga.write(0, 1, 0xd8)  # 0x36 after rotation
    assert vga.vram[:4] == bytes((result,)) * 4


def test_write_mode_1_copies_the_latches(vga):
    planar(vga)
    vga.vram[0:4] = b"abcd"
    put(vga, GRAPHICS, 5, 1)
    vga.read(0, 1)
    vga.write(5, 1, 0)
    assert vga.vram[20:24] == b"abcd"


def test_write_mode_2_paints_a_colour(vga):
    planar(vga)
    put(vga, GRAPHICS, 5, 2)
    put(vga, GRAPHICS, 8, 0xf0)
    vga.read(0, 1)
    vga.write(0, 1, 0x09)
    assert vga.vram[:4] == bytes((0xf0, 0, 0, 0xf0))


def test_write_mode_3_masks_with_the_data(vga):
    planar(vga)
    put(vga, GRAPHICS, 5, 3)
    put(vga, GRAPHICS, 0, 0x06)
    put(vga, GRAPHICS, 8, 0x3c)
    vga.read(0, 1)
    vga.write(0, 1, 0xf0)
    assert vga.vram[:4] == bytes((0, 0x30, 0x30, 0))


def test_read_mode_1_compares_colours(vga):
    planar(vga)
    vga.vram[0:4] = bytes((0xff, 0x0f, 0xff, 0x00))
    put(vga, GRAPHICS, 5, 8)
    put(vga, GRAPHICS, 2, 0x07)
    put(vga, GRAPHICS, 7, 0x0f)
    assert vga.read(0, 1) == 0x0f
    put(vga, GRAPHICS, 7, 0x0d)
    assert vga.read(0, 1) == 0xff


def test_chain_4_looks_linear(vga):
    planar(vga)
    put(vga, SEQUENCER, 4, 0x0e)
    vga.write(0x1234, 4, 0x04030201)
    assert vga.vram[0x1234:0x1238] == bytes((1, 2, 3, 4))
    put(vga, SEQUENCER, 2, 0x02)
    vga.write(0x1234, 2, 0xffff)
    assert vga.read(0x1234, 2) == 0xff01


# Bochs display interface

def test_a_mode_is_fitted_and_its_memory_cleared(vga):
    vga.vram[:4] = b"dirt"
    for index, value in ((1, 803), (2, 600), (3, 8), (4, 0x41)):
        dispi(vga, index, value)
    assert vga.dispi.registers[1] == 800 and vga.dispi.stride == 800
    assert vga.vram[:4] == bytes(4) and not vga.is_text
    dispi(vga, 6, 1600)
    dispi(vga, 8, 8)
    dispi(vga, 9, 2)
    assert (vga.dispi.stride, vga.dispi.start) == (1600, 3208)


def test_identity_size_and_capabilities(vga):
    assert [vga.dispi.read_register(index) for index in (0, 10, 11)] == [0xb0c5, 16, 0]
    dispi(vga, 4, 2)
    assert [vga.dispi.read_register(index) for index in (1, 2, 3)] == [16000, 12000, 32]
    dispi(vga, 0, 0xb0c2)
    dispi(vga, 0, 0x1234)
    assert vga.dispi.ports.read(1, 2) == 0xb0c2


def test_banks_beyond_the_memory_wrap_and_do_no_harm(vga):
    for index, value in ((1, 640), (2, 480), (3, 8), (4, 0xc1), (5, 0x1f)):
        dispi(vga, index, value)
    vga.write(0, 1, 0x77)
    assert vga.vram[0xf0000] == 0x77
    dispi(vga, 3, 4)
    vga.write(0, 1, 0x77)
    assert vga.read(0, 1) == 0xff
    dispi(vga, 4, 0)
    assert vga.is_text


def test_odd_registers_and_sizes_of_the_ports(vga):
    dispi(vga, 0xffff, 1)
    vga.dispi.ports.write(1, 1, 1)
    assert vga.dispi.ports.read(1, 2) == 0 and vga.dispi.ports.read(1, 1) == 0xff


# Text page

def test_text_screen(text):
    show(text, 0, "Hello, Wörld", attribute=0x1e)
    show(text, 24, "░▒▓ end")
    screen = text.text_screen()
    assert len(screen) == 25 and {len(row) for row in screen} == {80}
    assert screen[0].rstrip() == "Hello, Wörld" and screen[24].rstrip() == "░▒▓ end"
    assert text.text_attributes()[0][:13] == bytes((0x1e,)) * 12 + b"\x07"


def test_text_screen_follows_the_start_address(text):
    show(text, 1, "second")
    put(text, CRTC, 0x0d, 80)
    assert text.text_screen()[0].rstrip() == "second"


def test_text_screen_splits_at_the_line_compare(text):
    show(text, 0, "status")
    show(text, 10, "scrolled")
    put(text, CRTC, 0x0c, 800 >> 8)
    put(text, CRTC, 0x0d, 800 & 0xff)
    put(text, CRTC, 7, 0)  # protected but for this bit: line compare is now below 256 + 512
    put(text, CRTC, 0x09, 0x0f)
    put(text, CRTC, 0x18, 15)
    screen = text.text_screen()
    assert screen[0].rstrip() == "scrolled" and screen[1].rstrip() == "status"


def test_text_page_wraps_round_the_memory(text):
    show(text, 0, "wrapped")
    put(text, CRTC, 0x0c, 0xff)
    put(text, CRTC, 0x0d, 0xfe)
    assert text.text_screen()[0][2:9] == "wrapped"


def test_control_characters_have_glyphs(text):
    for column, character in enumerate(b"\x00\x01\x0a\x1b\x7f\xff"):
        text.write(TEXT + 2 * column, 1, character)
    assert text.text_screen()[0][:6] == " ☺◙←⌂\xa0"


def test_cursor(text):
    put(text, CRTC, 0x0e, 0)
    put(text, CRTC, 0x0f, 85)
    cursor = text.cursor()
    assert (cursor.column, cursor.row, cursor.top, cursor.bottom) == (5, 1, 13, 14)
    put(text, CRTC, 0x0a, 0x2d)
    assert text.cursor() is None
    put(text, CRTC, 0x0a, 0x0d)
    put(text, CRTC, 0x0e, 0x20)
    assert text.cursor() is None


def test_no_text_page_in_graphics_modes(text):
    put(text, GRAPHICS, 6, 5)
    assert (text.text_screen(), text.text_attributes(), text.cursor()) == ([], [], None)


def test_text_page_of_nonsense_registers(vga):
    assert len(vga.text_screen()) == 1
    vga.ports.write(MISC, 1, 1)
    for index in range(25):
        put(vga, CRTC, index, 0xff)
    assert len(vga.text_screen()) == len(vga.text_attributes())


def test_state_and_reset(text, clock):
    show(text, 0, "kept")
    other = Vga(clock, text.vram)
    other.load(text.save())
    assert other.text_screen()[0].rstrip() == "kept"
    assert other.ports.read(CRTC + 1, 1) == text.ports.read(CRTC + 1, 1)
    other.reset()
    assert get(other, SEQUENCER, 2) == 0 and other.mono_ports.read(5, 1) == 0
