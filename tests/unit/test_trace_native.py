"""Recording from C, as the engine does: trace/native/ring.h."""
import ctypes
import itertools
import os
import struct

import pytest
from pyemu.trace import _ring

RECORD = struct.Struct("=QQQII")
ids = itertools.count(200_000)


class Api(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32)] + [(name, ctypes.c_void_p) for name in (
        "emit", "emit_fast", "tick", "now", "start_run")]


class Run(ctypes.Structure):
    _fields_ = [("head", ctypes.POINTER(ctypes.c_uint64)), ("end", ctypes.POINTER(ctypes.c_uint64)),
                ("base", ctypes.c_void_p), ("header", ctypes.c_uint64 * 4)]

    def __init__(self):
        super().__init__(ctypes.pointer(ctypes.c_uint64()), ctypes.pointer(ctypes.c_uint64()))

    @property
    def room(self):
        """In records."""
        return max(0, self.end[0] - self.head[0]) // 48

    def put(self, first, second):
        """What trace_put_pair() does while the run goes on."""
        assert self.room
        ctypes.memmove(self.base + self.head[0],
                       bytes(self.header) + struct.pack("=QQ", first, second), 48)
        self.head[0] += 48


@pytest.fixture
def emit():
    """emit(way, hook, *args), by the C interface."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    api = Api.from_address(pointer(_ring._C_API, b"pyemu.trace._ring._C_API"))
    assert api.version == 4
    prototype = ctypes.CFUNCTYPE(None, ctypes.py_object, ctypes.c_uint,
                                 ctypes.POINTER(ctypes.c_uint64))  # called without the GIL

    def emit(way, hook, *args):
        prototype(getattr(api, way))(hook, len(args), (ctypes.c_uint64 * len(args))(*args))

    emit.tick = ctypes.CFUNCTYPE(None)(api.tick)
    emit.now = ctypes.CFUNCTYPE(ctypes.c_uint64)(api.now)
    emit.start_run = ctypes.CFUNCTYPE(None, ctypes.py_object, ctypes.POINTER(Run),
                                      ctypes.c_uint64, ctypes.c_uint64)(api.start_run)
    return emit


@pytest.fixture
def records(tmp_path):
    """A function that flushes and returns (id, ns, payload) of all records."""
    fd = os.open(tmp_path / "trace", os.O_RDWR | os.O_CREAT)
    _ring.open(fd, 0, None, 1 << 16)

    def records():
        _ring.flush()
        data = (tmp_path / "trace").read_bytes()
        found, at = [], 0
        while at < len(data):
            _, number, ns, length, _ = RECORD.unpack_from(data, at)
            found.append((number, ns, data[at + RECORD.size:at + length + 8]))
            at += length + 8
        return found

    yield records
    _ring.close()
    os.close(fd)


def hook(types, enabled=True):
    made = _ring.Hook("native", next(ids), types)
    made.enabled = enabled
    return made


@pytest.mark.parametrize("way", ["emit", "emit_fast"])
def test_arguments_are_recorded_as_they_are(emit, records, way):
    made = hook("QI")
    emit(way, made, 1 << 63, 5)
    ((number, _, payload),) = records()
    assert number == made.id and payload == struct.pack("=QQ", 1 << 63, 5)


def test_what_does_not_fit_the_declaration_is_not_recorded(emit, records):
    emit("emit", hook("Q", enabled=False), 1)
    emit("emit", hook("Q"), 1, 2)
    emit("emit", hook("s"), 1)
    assert records() == []


def test_fast_records_share_a_time_until_tick(emit, records):
    made = hook("Q")
    emit("emit", made, 0)
    for n in range(20):
        emit("emit_fast", made, n)
    emit.tick()
    emit("emit_fast", made, 99)
    times = [ns for _, ns, _ in records()]
    assert times == sorted(times)
    assert len(set(times[:17])) == 1 and len(set(times[17:21])) == 1
    assert len(set(times)) == 3


def test_the_clock_is_that_of_the_records(emit, records):
    before = emit.now()
    emit("emit", hook("Q"), 1)
    assert before <= records()[0][1] <= emit.now()


def test_a_run_is_one_of_records_of_two_numbers(emit, records):
    one, run = hook("QQ"), Run()
    emit.start_run(one, run, 1, 2)
    assert run.room == 511
    run.put(3, 4)
    emit("emit", one, 5, 6)
    assert not run.room
    emit.start_run(one, run, 7, 8)
    assert run.room == 511
    found = records()
    assert [(number, struct.unpack("=QQ", payload)) for number, _, payload in found] == [
        (one.id, (1, 2)), (one.id, (3, 4)), (one.id, (5, 6)), (one.id, (7, 8))]
    times = [ns for _, ns, _ in found]
    assert times[0] == times[1] < times[2] < times[3]


def test_switching_any_hook_ends_a_run(emit, records):
    one, run = hook("QQ"), Run()
    emit.start_run(one, run, 1, 2)
    hook("Q")
    assert not run.room


@pytest.mark.parametrize(("types", "enabled"), [("Q", True), ("QQQ", True), ("sQ", True),
                                                ("QQ", False)])
def test_a_run_is_for_enabled_events_of_two_numbers(emit, records, types, enabled):
    run = Run()
    emit.start_run(hook(types, enabled), run, 1, 2)
    assert not run.room and records() == []


def test_what_is_not_only_recorded_makes_no_run(emit, records):
    one, run, seen = hook("QQ"), Run(), []
    one.listeners = (lambda *args: seen.append(args),)
    emit.start_run(one, run, 1, 2)
    assert not run.room and len(records()) == 1 and seen == [(1, 2)]
