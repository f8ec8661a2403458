"""VNC: what clients see, what they may do, and who is let in."""
import struct
from contextlib import suppress

import numpy as np
import pytest
from pyemu.display.keysyms import STROKES
from pyemu.vnc import des, hextile
from pyemu.vnc.canvas import Canvas, rectangles
from pyemu.vnc.pixels import NATIVE, WITH_MAP, FormatError, PixelFormat

from .vnc_client import (
    DESKTOP_SIZE,
    EXTENDED_DESKTOP_SIZE,
    EXTENDED_KEYS,
    HEXTILE,
    POINTER_TYPE,
    RAW,
    ZLIB,
    Site,
)

FORMATS = {
    "native": NATIVE,
    "32 bit, big-endian": PixelFormat(32, 24, True, True, (255, 255, 255), (16, 8, 0)),
    "32 bit, red last": PixelFormat(32, 24, False, True, (255, 255, 255), (0, 8, 16)),
    "30 bit": PixelFormat(32, 30, False, True, (1023, 1023, 1023), (20, 10, 0)),
    "16 bit": PixelFormat(16, 16, False, True, (31, 63, 31), (11, 5, 0)),
    "15 bit, big-endian": PixelFormat(16, 15, True, True, (31, 31, 31), (10, 5, 0)),
    "8 bit": PixelFormat(8, 8, False, True, (7, 7, 3), (5, 2, 0)),
    "8 bit, map": WITH_MAP,
}


def some_picture(height=75, width=104):
    """Tiles of one colour, of two, of several, and noise; edges that cut tiles."""
    noise = np.random.default_rng(1).integers(0, 1 << 24, (height, width), np.uint32)
    picture = np.zeros((height, width), np.uint32)
    picture[:20] = 0x123456
    picture[20:40] = np.where(noise[20:40] & 1, 0xffffff, 0x0000aa)
    picture[40:60] = np.array((0, 0xff0000, 0x00ff00, 0xf0f0f0))[noise[40:60] % 97 % 4]
    picture[60:] = noise[60:]
    picture[50, 3:90] = 0xabcdef
    return picture


def expected(picture, pixel_format):
    """The client's pixels, one at a time."""
    def convert(pixel):
        return sum((pixel >> at & 0xff) * (maximum + 1) // 256 << shift for at, maximum, shift in
                   zip((16, 8, 0), pixel_format.maxima, pixel_format.shifts, strict=True))
    return np.vectorize(convert)(picture.astype(object))


@pytest.fixture
def site(clock):
    return Site(clock, name="hal")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("encoding", [RAW, HEXTILE, ZLIB])
def test_pixels_arrive(site, encoding, name):
    picture = some_picture()
    site.runner.show(picture)
    viewer = site.connect()
    assert viewer.greet() == "pyemu (hal)"
    viewer.set_format(FORMATS[name])
    viewer.set_encodings(encoding)
    viewer.refresh()
    assert np.array_equal(viewer.picture, expected(picture, FORMATS[name]))
    picture[3:30, 40:50] ^= 0x808080
    site.runner.show(picture)
    viewer.refresh(incremental=True)
    assert np.array_equal(viewer.picture, expected(picture, FORMATS[name]))
    assert viewer.rectangles == [(32, 0, 32, 32)]


def test_hextile_is_short():
    text = np.zeros((16, 720), np.uint32)
    text[3:12, ::9] = 0xaaaaaa
    assert len(hextile.encode(text)) < text.nbytes // 20
    noise = some_picture()[60:]
    assert len(hextile.encode(noise)) <= noise.nbytes + 7


def test_colour_map_is_given(site):
    viewer = site.connect()
    viewer.greet()
    viewer.set_format(WITH_MAP)
    viewer.refresh()
    assert len(viewer.colour_map) == 3 * 256
    assert viewer.colour_map[3 * 0xff:] == (0xffff,) * 3
    assert viewer.colour_map[3 * 0x07:][:3] == (0xffff, 0, 0)


@pytest.mark.parametrize("bits", [0, 7, 24, 64])
def test_no_such_pixels(bits):
    with pytest.raises(FormatError):
        PixelFormat.parse(struct.pack(">BBBBHHHBBB3x", bits, 8, 0, 1, 7, 7, 3, 0, 3, 6))


def test_absurd_formats_are_cut():
    wild = PixelFormat.parse(struct.pack(">BBBBHHHBBB3x", 16, 99, 7, 1, 65535, 0, 3, 255, 9, 15))
    assert wild.encode(some_picture()).dtype == np.dtype(">u2")


def test_a_machine_without_a_display_is_black(clock):
    site = Site(clock, vga=None)
    viewer = site.connect()
    viewer.greet()
    viewer.refresh()
    assert viewer.picture.shape == (480, 640) and not viewer.picture.any()


def test_nothing_is_sent_unasked(site):
    viewer = site.connect()
    viewer.greet()
    viewer.refresh()
    site.runner.show(some_picture(480, 640))
    site.turn(50)
    with pytest.raises(BlockingIOError):
        viewer.socket.recv(1)


def test_rectangles():
    tiles = np.zeros((4, 5), bool)
    tiles[0:2, 1:3] = tiles[1, 4] = tiles[3, :] = True
    assert sorted(rectangles(tiles, 75, 60)) == [(0, 48, 75, 12), (16, 0, 32, 32), (64, 16, 11, 16)]
    assert rectangles(tiles, 16, 16) == []
    checkered = np.indices((60, 60)).sum(axis=0) % 2 == 0
    assert rectangles(checkered, 960, 960) == [(0, 0, 960, 960)]


def test_canvas_finds_what_has_changed():
    canvas, picture = Canvas(), np.zeros((70, 50), np.uint32)
    assert canvas.take(picture, np.ones(70, bool)).all()
    picture[(17, 69), (0, 49)] = 1
    tiles = canvas.take(picture, np.ones(70, bool))
    assert np.argwhere(tiles).tolist() == [[1, 0], [4, 3]]
    picture[0, 0] = 1
    assert not canvas.take(picture, np.zeros(70, bool)).any()


# Size

@pytest.mark.parametrize("ability", [DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE])
def test_the_guest_sets_another_mode(site, ability):
    site.runner.show(some_picture())
    viewer = site.connect()
    viewer.greet()
    viewer.set_encodings(ability, RAW)
    viewer.refresh()
    picture = some_picture(52, 200)
    site.runner.show(picture)
    viewer.refresh(incremental=True)
    assert viewer.news[-1] == (ability, 0, 0, 200, 52)
    assert np.array_equal(viewer.picture, picture)


def test_a_client_of_fixed_size_sees_a_part(site):
    site.runner.show(some_picture(64, 64))
    viewer = site.connect()
    viewer.greet()
    viewer.refresh()
    picture = some_picture(80, 40)
    site.runner.show(picture)
    viewer.refresh(incremental=True)
    assert np.array_equal(viewer.picture[:, :40], picture[:64])


def test_a_client_cannot_set_the_size(site):
    viewer = site.connect()
    viewer.greet()
    viewer.set_encodings(EXTENDED_DESKTOP_SIZE)
    viewer.refresh()
    viewer.send(struct.pack(">BxHHBxIHHHHI", 251, 800, 600, 1, 0, 0, 0, 800, 600, 0))
    viewer.take()
    assert viewer.news == [(EXTENDED_DESKTOP_SIZE, 0, 0, 640, 480),
                           (EXTENDED_DESKTOP_SIZE, 1, 3, 640, 480)]


# Keyboard and mouse

def typed(site, viewer, *symbols):
    for symbol in symbols:
        viewer.key(symbol, True)
        viewer.key(symbol, False)
    site.turn(200)
    return [f"{'+' if down else '-'}{key}" for key, down in site.runner.log]


def test_keys(site):
    viewer = site.connect()
    viewer.greet()
    assert typed(site, viewer, ord("a"), 0xff0d, 0xffc9, 0x12345) == [
        "+a", "-a", "+ret", "-ret", "+f12", "-f12"]


def test_shift_is_held_where_the_symbol_needs_it(site):
    viewer = site.connect()
    viewer.greet()
    assert typed(site, viewer, ord("!")) == ["+shift", "+1", "-1", "-shift"]
    site.runner.log.clear()
    viewer.key(0xffe2, True)
    assert typed(site, viewer, ord("A")) == ["+shift_r", "+a", "-a"]
    viewer.key(0xffe2, False)
    site.turn(20)
    site.runner.log.clear()
    site.runner.machine.keyboard.leds = 4  # Caps Lock
    assert typed(site, viewer, ord("A")) == ["+a", "-a"]


def test_all_of_ascii_can_be_typed():
    assert all(symbol in STROKES for symbol in range(0x20, 0x7f))


def test_extended_keys(site):
    viewer = site.connect()
    viewer.greet()
    viewer.set_encodings(EXTENDED_KEYS)
    viewer.refresh()
    assert viewer.news == [(EXTENDED_KEYS, 0, 0, 640, 480)]
    for number in (0x1e, 0x9d, 0xc8, 0x7777):
        viewer.extended_key(0, number, True)
    site.turn(100)
    assert site.runner.log == [("a", True), ("ctrl_r", True), ("up", True)]


def test_pointer(site):
    viewer = site.connect()
    viewer.greet()
    for event in ((0, 10, 10), (1, 13, 6), (3, 13, 6), (0, 13, 6), (8, 13, 6), (0, 13, 6),
                  (16, 13, 6)):
        viewer.pointer(*event)
    site.turn(20)
    assert site.runner.log == [(3, -4, 0), 1, 5, 4, 0, (0, 0, -1), (0, 0, 1)]


def test_relative_pointer(site):
    viewer = site.connect()
    viewer.greet()
    viewer.set_encodings(POINTER_TYPE)
    viewer.refresh()
    assert viewer.news == [(POINTER_TYPE, 0, 0, 640, 480)]
    viewer.pointer(0, 0x7fff + 5, 0x7fff - 3)
    site.turn(20)
    assert site.runner.log == [(5, -3, 0)]


def test_keys_keep_their_distance(clock):
    site = Site(clock, key_delay=1)
    viewer = site.connect()
    viewer.greet()
    assert typed(site, viewer, ord("a")) == ["+a"]


def test_keys_wait_until_the_guest_has_taken_those_before(site):
    viewer = site.connect()
    viewer.greet()
    events = site.runner.machine.keyboard.events
    events.append(0x1c)
    assert typed(site, viewer, ord("a")) == ["+a"]
    events.clear()
    viewer.refresh()
    assert typed(site, viewer) == ["+a", "-a"]


def test_who_types_faster_is_read_later(clock):
    site = Site(clock, key_delay=1)
    viewer = site.connect()
    viewer.greet()
    with suppress(BlockingIOError):
        for _ in range(20_000):
            viewer.key(ord("a"), True)
            site.turn()
    assert len(site.server.keys._waiting) <= 64 + 1024 // 8


def test_a_client_that_leaves_lets_go(site):
    viewer = site.connect()
    viewer.greet()
    viewer.key(0xffe3, True)
    viewer.pointer(4, 0, 0)
    site.turn(10)
    site.runner.log.clear()
    viewer.close()
    site.turn(20)
    assert site.runner.log == [("ctrl", False), 0]
    assert [event for event, _ in site.runner.events] == [
        "VNC_CONNECTED", "VNC_INITIALIZED", "VNC_DISCONNECTED"]


# Who is let in

def test_des_by_the_book():
    key, text = bytes.fromhex("133457799bbcdff1"), bytes.fromhex("0123456789abcdef")
    assert des.encrypt(key, text).hex() == "85e813540f0ab405"


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"])
def test_versions(site, version):
    viewer = site.connect()
    viewer.greet(version)
    viewer.refresh()
    assert viewer.picture.shape == (480, 640)


@pytest.mark.parametrize(("line", "answered"), [
    (b"RFB 003.006\n", b"\0\0\0\0"), (b"RFB 004.001\n", b"\0\0\0\0"), (b"GET / HTTP/1", b"")])
def test_other_versions_are_refused(site, line, answered):
    viewer = site.connect()
    viewer.read(12)
    viewer.send(line)
    assert viewer.read(len(answered)) == answered
    with pytest.raises(EOFError):
        viewer.read(1)


def test_password(clock):
    site = Site(clock, password=True)
    site.server.set_password("secret!!and more")
    site.connect().greet(password="secret!!")
    site.connect().greet(b"RFB 003.003\n", password="secret!!")
    with pytest.raises(PermissionError, match="Authentication failed"):
        site.connect().greet(password="secret!")
    with pytest.raises(EOFError):  # who has not asked for a reason is told none
        viewer = site.connect()
        viewer.read(12)
        viewer.send(b"RFB 003.007\n\2")
        viewer.read(2 + 16)
        viewer.send(bytes(16))
        assert viewer.read(4) == b"\0\0\0\1"
        viewer.read(1)


def test_without_a_password_set_nobody_is_let_in(clock):
    site = Site(clock, password=True)
    with pytest.raises(PermissionError):
        site.connect().greet(password="")


def test_an_expired_password(clock):
    site = Site(clock, password=True)
    site.server.set_password("x")
    site.server.set_expiry(1)
    with pytest.raises(PermissionError):
        site.connect().greet(password="x")
    site.server.set_expiry(None)
    site.connect().greet(password="x")


def test_no_way_around_the_password(clock):
    viewer = Site(clock, password=True).connect()
    viewer.read(12)
    viewer.send(b"RFB 003.008\n\1")
    assert viewer.read(2 + 4 + 4) == b"\1\2\0\0\0\1\0\0\0\x16"


# Several clients

def left(site, viewer):
    """Whether the server has let the client go."""
    site.turn(10)
    try:
        while viewer.socket.recv(65536):
            pass
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(("policy", "first", "second", "gone"), [
    ("allow-exclusive", True, True, "neither"), ("allow-exclusive", True, False, "first"),
    ("allow-exclusive", False, True, "second"), ("allow-exclusive", False, False, "first"),
    ("force-shared", True, False, "second"), ("ignore", False, False, "neither"),
])
def test_sharing(clock, policy, first, second, gone):
    site = Site(clock, share=policy)
    viewers = {"first": site.connect(), "second": site.connect()}
    viewers["first"].greet(shared=first)
    try:
        viewers["second"].greet(shared=second)
    except EOFError:
        assert gone == "second"
    assert [name for name in viewers if left(site, viewers[name])] == [
        name for name in viewers if name == gone]


def test_only_so_many_in_the_making(clock):
    site = Site(clock, connections=2)
    viewers = [site.connect() for _ in range(3)]
    assert [left(site, viewer) for viewer in viewers] == [True, False, False]


def test_two_see_the_same(site):
    site.runner.show(some_picture())
    one, other = site.connect(), site.connect()
    for viewer, encoding in ((one, RAW), (other, HEXTILE)):
        viewer.greet()
        viewer.set_encodings(encoding)
        viewer.refresh()
    picture = some_picture() ^ 0xffffff
    site.runner.show(picture)
    for viewer in (one, other):
        viewer.refresh(incremental=True)
        assert np.array_equal(viewer.picture, picture)


def test_one_that_stops_reading_holds_nobody_up(site):
    """At most one update waits for it."""
    slow, quick = site.connect(), site.connect()
    for viewer in (slow, quick):
        viewer.greet()
    for turn in range(30):
        site.runner.show(np.full((600, 800), turn, np.uint32))
        slow.request()
        quick.refresh()
    waiting = [len(client._outgoing) for client in site.server._clients]
    assert 0 < max(waiting) <= 640 * 480 * 4 + 1000
    assert (quick.picture == 29).all()
    slow.close()
    site.turn(10)
    assert len(site.server._clients) == 1


@pytest.mark.parametrize("message", [
    b"\x07", b"\xff\x01", b"\0\0\0\0" + bytes([24, 24, 0, 1, *12 * [0]]),
    b"\6\0\0\0\x7f\xff\xff\xff"])
def test_nonsense_ends_the_connection(site, message):
    viewer = site.connect()
    viewer.greet()
    viewer.send(message)
    assert left(site, viewer)


def test_a_long_text_is_skipped(site):
    viewer = site.connect()
    viewer.greet()
    viewer.send(struct.pack(">BxxxI", 6, 100_000))
    for _ in range(100):
        viewer.send(bytes(1000))
        site.turn(3)
    viewer.refresh()


def test_one_that_vanishes_within_a_message(site):
    viewer = site.connect()
    viewer.greet()
    viewer.send(b"\2\0\xff\xff\0\0\0\1")
    site.turn(3)
    viewer.close()
    site.turn(10)
    assert site.server._clients == []


def test_about(clock):
    site = Site(clock, host="127.0.0.1", port=0, last_port=0, password=True)
    about = site.server.about()
    assert about["id"] == "default" and about["auth"] == "vnc" and about["clients"] == []
    assert about["server"][0] | {"service": ""} == {
        "auth": "vnc", "host": "127.0.0.1", "service": "", "family": "ipv4", "websocket": False}
