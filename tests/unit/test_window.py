"""The window: what it does with keys and the mouse, and SDL on its driver without a screen."""
from types import SimpleNamespace

import pytest
from pyemu.config import Config
from pyemu.display import sdl
from pyemu.display.input import Input
from pyemu.display.scancodes import NAMES
from pyemu.display.window import Controls
from pyemu.machine.keymap import KEYS
from pyemu.machine.vga import Vga
from pyemu.runstate import RunState

SCANCODE_A = 4


class FakeRunner:
    """What is posted is done at once, and noted. It ends after as many turns."""

    def __init__(self, clock, turns=0):
        self.log = []
        self.state = RunState.RUNNING
        self.clock = clock
        self.turns = turns
        self.each_turn = lambda turn: None
        self.machine = SimpleNamespace(
            vga=Vga(clock, bytearray(1 << 18)),
            keyboard=SimpleNamespace(key=lambda key, down: self.log.append((key, down))),
            mouse=SimpleNamespace(move=lambda *by: self.log.append(by),
                                  button=lambda held: self.log.append(held)))

    def post(self, function):
        function()

    def status(self):
        return self.state.text

    def quit(self, status=0, cause=""):
        self.log.append(cause)
        self.turns = 0

    def wait(self, timeout):
        self.turns -= 1
        self.each_turn(self.turns)
        return self.turns < 0


class FakeToolkit:
    def __init__(self):
        self.log = []

    def set_grab(self, on):
        self.log.append(("grab", on))

    def set_full_screen(self, on):
        self.log.append(("full", on))

    def restore_size(self):
        self.log.append("size")

    def save_screenshot(self):
        self.log.append("shot")


@pytest.fixture
def runner(clock):
    return FakeRunner(clock)


@pytest.fixture
def controls(runner):
    return Controls(Input(runner), FakeToolkit())


def press(controls, *names):
    """Keys go down one after the other, and up in reverse."""
    for name in names:
        controls.key(name, True)
    for name in reversed(names):
        controls.key(name, False)


def test_every_scan_code_is_a_key():
    assert set(NAMES.values()) <= set(KEYS)
    for code, name in ((4, "a"), (29, "z"), (30, "1"), (39, "0"), (40, "ret"), (50, "backslash"),
                       (69, "f12"), (82, "up"), (100, "less"), (101, "compose"), (231, "meta_r")):
        assert NAMES[code] == name


def test_keys_go_to_the_guest(controls, runner):
    press(controls, "shift", "a")
    controls.key("a", False)  # it was not down
    assert runner.log == [("shift", True), ("a", True), ("a", False), ("shift", False)]


def test_a_held_key_repeats(controls, runner):
    controls.key("a", True)
    controls.key("a", True, repeated=True)
    assert runner.log == [("a", True)] * 2
    assert controls.key("b", True, repeated=True) == "ignored"


@pytest.mark.parametrize(("key", "effect"), [
    ("g", [("grab", True)]), ("f", [("full", True), ("grab", True)]), ("u", ["size"]),
    ("s", ["shot"]),
])
def test_hot_keys_are_not_the_guests(controls, runner, key, effect):
    press(controls, "ctrl", "alt", key)
    assert controls.toolkit.log == effect
    assert key not in [name for name, down in runner.log]
    press(controls, key)
    press(controls, "ctrl", "alt", "shift", key)
    assert controls.toolkit.log == effect
    assert runner.log.count((key, True)) == 2


def test_a_click_takes_the_mouse_and_the_hot_key_gives_it_back(controls, runner):
    controls.motion(3, 4)
    controls.wheel(1)
    controls.button("right", True)
    controls.button("left", True)
    controls.button("left", False)
    assert runner.log == [] and controls.grabbed
    controls.motion(3, 4)
    controls.button("left", True)
    controls.button("right", True)
    controls.wheel(-1)
    assert runner.log == [(3, 4, 0), 1, 3, (0, 0, -1)]
    press(controls, "ctrl", "alt", "g")
    assert controls.toolkit.log == [("grab", True), ("grab", False)]


def test_nothing_stays_down_when_the_window_loses_the_keyboard(controls, runner):
    controls.toggle_grab()
    controls.key("ctrl", True)
    controls.key("x", True)
    controls.button("middle", True)
    runner.log.clear()
    controls.focus_lost()
    assert runner.log == [("x", False), ("ctrl", False), 0]
    assert not controls.grabbed


def test_a_paused_machine_feels_only_releases(controls, runner):
    controls.key("a", True)
    runner.state = RunState.PAUSED
    controls.key("a", False)
    press(controls, "b")
    assert runner.log == [("a", True), ("a", False), ("b", False)]


def test_title(controls):
    assert controls.title("", "running") == "pyemu"
    assert controls.title("hal", "paused") == "pyemu (hal) [Paused]"
    controls.toggle_grab()
    assert controls.title("hal", "running") == "pyemu (hal) - Press Ctrl-Alt-G to exit grab"


# SDL

@pytest.fixture
def window(runner, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_RENDER_DRIVER", "software")
    try:
        window = sdl.SdlWindow(runner, Config(name="hal"))
    except sdl.SdlError as error:
        pytest.skip(str(error))
    yield window
    window.close()


def key_event(window, kind, code):
    event = window.sdl.SDL_Event()
    event.type = kind
    event.key.keysym.scancode = code
    window.sdl.SDL_PushEvent(event)


def test_sdl_keys_and_title(window, runner):
    def act(turn):
        if turn == 3:
            key_event(window, window.sdl.SDL_KEYDOWN, SCANCODE_A)
            key_event(window, window.sdl.SDL_KEYUP, SCANCODE_A)
            key_event(window, window.sdl.SDL_KEYDOWN, 511)

    runner.turns, runner.each_turn = 5, act
    window.run()
    assert runner.log == [("a", True), ("a", False)]
    assert window.sdl.SDL_GetWindowTitle(window._window) == b"pyemu (hal)"


@pytest.mark.parametrize("closes", [True, False])
def test_sdl_close_button(window, runner, closes):
    def act(turn):
        if turn == 3:
            event = window.sdl.SDL_Event()
            event.type = window.sdl.SDL_QUIT
            window.sdl.SDL_PushEvent(event)

    window.config.window_close = closes
    runner.turns, runner.each_turn = 5, act
    window.run()
    assert runner.log == ["host-ui"] * closes


def test_sdl_window_follows_the_guests_mode(window, runner):
    registers = runner.machine.vga.registers
    registers.attribute_index = 0x20
    for index, value in ((1, 320), (2, 200), (3, 8), (4, 1)):
        runner.machine.vga.dispi.write_register(index, value)

    def end_when_seen(turn):
        if window._size == (320, 200):
            runner.turns = -1

    runner.turns, runner.each_turn = 1000, end_when_seen  # a turn may be as short as an event
    window.run()
    assert window._size == (320, 200)


def test_sdl_screenshot(window, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    window.save_screenshot()
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().err == f"pyemu: screenshot saved as {file.name}\n"
    monkeypatch.chdir("/proc")
    window.save_screenshot()
    assert "could not save screenshot" in capsys.readouterr().err


def test_no_display(runner, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(sdl.SdlError, match="there is no display"):
        sdl.SdlWindow(runner, Config())


def test_looking_for_sdl_links_nothing(monkeypatch):
    """The linker, run by root, may remove /dev/null."""
    monkeypatch.setattr("subprocess.Popen", None)
    assert sdl._find_library("SDL2") is None
    assert sdl._find_library("SDL2-2.0") == "libSDL2-2.0.so.0"
