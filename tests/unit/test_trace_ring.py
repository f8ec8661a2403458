"""Hooks and the ring: what is recorded, how it is cast, what is lost and owned up to."""
import contextlib
import itertools
import os
import resource
import signal
import struct
import threading
import time

import pytest
from pyemu.trace import _ring
from pyemu.trace.tracefile import TraceError, TraceFile

RECORD = struct.Struct("=QQQII")
DROPPED = 0xfffffffffffffffe
ids = itertools.count(100_000)


def hook(types, enabled=True):
    made = _ring.Hook(f"test_{types or 'void'}", next(ids), types)
    made.enabled = enabled
    return made


class Trace:
    """An open ring over a temporary file."""

    def __init__(self, folder, **options):
        self.path = str(folder / "trace")
        self.ring = self.path + ".ring"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        options = {"size": 1 << 16, **options}
        _ring.open(self.fd, 0, self.ring, **options)

    def records(self):
        """(id, ns, pid, payload) of each record written so far."""
        with open(self.path, "rb") as file:
            data = file.read()
        found, at = [], 0
        while at < len(data):
            kind, number, ns, length, pid = RECORD.unpack_from(data, at)
            assert kind == 1
            found.append((number, ns, pid, data[at + RECORD.size:at + length + 8]))
            at += length + 8
        return found


@pytest.fixture
def open_trace(tmp_path):
    opened = []

    def opener(**options):
        opened.append(Trace(tmp_path, **options))
        return opened[0]

    yield opener
    _ring.close()
    for trace in opened:
        os.close(trace.fd)


def payload(trace):
    _ring.flush()
    return trace.records()[-1][3]


def test_off_until_enabled_and_recording(open_trace):
    off, on = hook("I", enabled=False), hook("I")
    assert not off and not on  # no file is open
    trace = open_trace()
    assert not off and on
    off(1)
    on(2)
    _ring.flush()
    (record,) = trace.records()
    assert record[0] == on.id and record[2] == os.getpid()
    assert record[3] == struct.pack("=Q", 2)


@pytest.mark.parametrize("letter, value, recorded", [
    ("b", 0x80, -128), ("B", -1, 0xff), ("h", 0x1ffff, -1), ("H", -2, 0xfffe),
    ("i", 0xffffffff, -1), ("i", -5, -5), ("I", -1, 0xffffffff), ("q", -1, -1),
    ("Q", -1, (1 << 64) - 1), ("Q", 1 << 64, 0), ("Q", (1 << 63) + 5, (1 << 63) + 5),
    ("?", 7, 1), ("?", [], 0), ("P", 0x1234, 0x1234), ("P", None, 0),
])
def test_values_are_cast_as_c_does(open_trace, letter, value, recorded):
    trace = open_trace()
    hook(letter)(value)
    assert payload(trace) == struct.pack("=Q", recorded & (1 << 64) - 1)


def test_a_pointer_is_the_address_of_any_object(open_trace):
    trace, thing = open_trace(), object()
    hook("P")(thing)
    assert payload(trace) == struct.pack("=Q", id(thing))


@pytest.mark.parametrize("value, recorded", [
    ("bios-256k.bin", b"bios-256k.bin"), (b"a\0b", b"a\0b"), (None, b""), ("", b""),
    ("é" * 300, "é".encode() * 256), ("a" + "é" * 300, b"a" + "é".encode() * 255),
    (b"x" * 600, b"x" * 512), ("\udcff/x", b"\xff/x"), ("\ud800", b"\\ud800"),
])
def test_strings(open_trace, value, recorded):
    trace = open_trace()
    hook("IsI")(1, value, 2)
    assert payload(trace) == struct.pack(f"=QI{len(recorded)}sQ", 1, len(recorded), recorded, 2)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_wrong_call_is_a_type_error_even_when_off(enabled):
    with pytest.raises(TypeError, match=r"trace_test_II takes 2 arguments \(1 given\)"):
        hook("II", enabled)(1)
    with pytest.raises(TypeError, match="positional"):
        hook("I", enabled)(a=1)


@pytest.mark.parametrize("types, args, message", [
    ("II", (1, "x"), "trace_test_II: argument 2 must be an integer, not str"),
    ("s", (5,), "trace_test_s: argument 1 must be a string, bytes or None, not int"),
    ("I", (1.5,), "trace_test_I: argument 1 must be an integer, not float"),
])
def test_a_wrong_argument_is_named(open_trace, types, args, message):
    open_trace()
    with pytest.raises(TypeError, match=message):
        hook(types)(*args)


def test_on_toggle_and_listeners(open_trace):
    seen, calls = [], []
    made = hook("II", enabled=False)
    made.on_toggle = seen.append
    made.enabled = True
    assert seen == []  # nothing records yet
    open_trace()
    made.enabled = False
    made.listeners = [lambda a, b: calls.append((a, b))]
    made(1, 2)
    made.listeners = []
    made(3, 4)
    assert seen == [True, False, True, False] and calls == [(1, 2)]


def test_records_are_on_disk_within_a_second_without_a_flush(open_trace):
    trace = open_trace()
    hook("I")(1)
    deadline = time.monotonic() + 1
    while not trace.records():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_time_is_the_monotonic_clock_and_never_goes_back(open_trace):
    trace, made = open_trace(), hook("Q")
    for _ in range(2000):
        made(time.monotonic_ns())
    _ring.flush()
    times = [ns for _, ns, _, _ in trace.records()]
    assert times == sorted(times)
    lag = [ns - struct.unpack("=Q", args)[0] for _, ns, _, args in trace.records()]
    assert min(lag) > -1_000_000 and sorted(lag)[1000] < 1_000_000  # another clock is far off


def test_the_clock_does_not_go_back_while_it_is_steered(tmp_path):
    stop, wrong = threading.Event(), []

    def watch():
        before = 0
        while not stop.is_set():
            now = _ring.now()
            if now < before:
                wrong.append(before - now)
            before = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    null = os.open(os.devnull, os.O_WRONLY)
    for _ in range(300):  # each opening steers it
        _ring.open(null, 0, None, 1 << 16)
        _ring.close()
    stop.set()
    watcher.join()
    os.close(null)
    assert wrong == []


def test_what_is_dropped_is_counted_in_its_place(open_trace):
    trace, made = open_trace(), hook("Q")
    _ring.set_file(-1, 0)  # nobody drains
    for n in range(3000):  # 40 bytes each: 1638 fit
        made(n)
    _ring.set_file(trace.fd, 0)
    _ring.flush()
    made(9999)
    _ring.flush()
    records = trace.records()
    kept = [struct.unpack("=Q", args)[0] for number, _, _, args in records if number == made.id]
    (lost,) = [struct.unpack("=Q", args)[0] for number, _, _, args in records if number == DROPPED]
    assert kept == [*range(len(kept) - 1), 9999] and len(kept) - 1 + lost == 3000
    assert records[-2][0] == DROPPED
    times = [ns for _, ns, _, _ in records]
    assert times == sorted(times)
    assert _ring.numbers()["dropped"] == lost


def test_losses_at_the_end_of_a_lane_are_told_in_the_order_of_time(open_trace):
    trace, made = open_trace(), hook("Q")
    _ring.set_file(-1, 0)
    thread = threading.Thread(target=lambda: [made(n) for n in range(3000)])
    thread.start()
    thread.join()
    made(9999)
    _ring.set_file(trace.fd, 0)
    _ring.flush()
    records = trace.records()
    assert [number for number, *_ in records[-2:]] == [DROPPED, made.id]
    times = [ns for _, ns, _, _ in records]
    assert times == sorted(times)


def test_waiting_instead_of_dropping(open_trace):
    trace, made = open_trace(wait=True), hook("Q")
    for n in range(20_000):
        made(n)
    _ring.flush()
    assert [struct.unpack("=Q", args)[0] for *_, args in trace.records()] == list(range(20_000))


def test_overwriting_keeps_the_newest(open_trace):
    trace, made = open_trace(overwrite=True), hook("Qs")
    for n in range(20_000):
        made(n, "x" * (n % 50))
    assert os.path.getsize(trace.path) == 0
    _ring.dump()
    numbers = [struct.unpack_from("=Q", args)[0] for *_, args in trace.records()]
    assert numbers == list(range(numbers[0], 20_000)) and len(numbers) > 700


def test_threads_have_lanes_of_their_own_merged_by_time(open_trace):
    trace = open_trace(size=1 << 20)
    hooks = [hook("Q") for _ in range(4)]

    def work(made):
        for n in range(5000):
            made(n)

    threads = [threading.Thread(target=work, args=(made,)) for made in hooks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _ring.flush()
    records = trace.records()
    for made in hooks:
        assert [struct.unpack("=Q", args)[0] for number, _, _, args in records
                if number == made.id] == list(range(5000))


def test_a_full_disk_is_reported_and_survived(tmp_path):
    made, full = hook("Q"), os.open("/dev/full", os.O_RDWR)
    good = os.open(tmp_path / "good", os.O_RDWR | os.O_CREAT)
    _ring.open(full, 0, None, 1 << 16)
    try:
        made(1)
        with pytest.raises(OSError, match="No space left on device"):
            _ring.flush()
        assert _ring.numbers()["error"] and _ring.numbers()["pending"] == 40
        with pytest.raises(OSError, match="No space left on device"):
            _ring.set_file(good, 0)
        _ring.flush()
        assert os.fstat(good).st_size == 40 and not _ring.numbers()["error"]
        with contextlib.suppress(OSError):
            _ring.set_file(full, 0)
        for n in range(3000):
            made(n)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left on device"):
                _ring.flush()
        with pytest.raises(OSError, match="No space left on device"):
            _ring.set_file(good, 40)
        _ring.flush()
        lost = 3000 - (os.fstat(good).st_size - 80) // 40  # 40 bytes tell of them
        assert struct.unpack("=Q", os.pread(good, 8, os.fstat(good).st_size - 8)) == (lost,)
        assert lost > 0 and _ring.numbers()["dropped"] == lost
    finally:
        _ring.close()
        os.close(full)
        os.close(good)


def test_a_forked_child_does_not_trace(open_trace):
    trace, made = open_trace(), hook("Q")
    made(1)
    child = os.fork()
    if child == 0:
        made(2)
        os._exit(bool(made))
    assert os.waitpid(child, 0)[1] == 0
    made(3)
    _ring.flush()
    assert len(trace.records()) == 2


def test_a_forked_child_leaves_the_ring_file_alone(tmp_path):
    file = TraceFile()
    file.path = str(tmp_path / "t")
    file.open()
    child = os.fork()
    if child == 0:
        file.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.path.exists(file.path + ".ring")
    file.close()
    assert os.listdir(tmp_path) == ["t"]


def test_a_ring_that_cannot_be_made_leaves_nothing(tmp_path):
    file = TraceFile()
    file.path, file.size = str(tmp_path / "t"), 1 << 16
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(TraceError, match=r"t\.ring: File too large"):
            file.open()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["t"]
