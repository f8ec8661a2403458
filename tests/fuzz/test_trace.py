"""Whatever is in a trace, its ring, a trace-events file or an option: no traceback, no hang.

FUZZ_EXAMPLES=100000 .venv/bin/pytest tests/fuzz      (a few hundred each unless told)
"""
import contextlib
import io
import os
import struct

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pyemu.trace import simpletrace
from pyemu.trace.columns import parts
from pyemu.trace.conditions import ConditionError, compile_condition, predicate
from pyemu.trace.formats import as_csv, as_json, as_pretty, as_text
from pyemu.trace.grammar import GrammarError, parse
from pyemu.trace.options import TraceError, TraceOptions
from pyemu.trace.reader import HEADER_ID, MAGIC, TraceFormatError, TraceReader
from pyemu.trace.ringfile import RING_HEADER, RING_MAGIC, RING_PAGE, RingFile

# The deadline is for what grows out of bounds; a busy host stops a process for seconds.
settings.register_profile("fuzz", deadline=20_000, max_examples=int(
    os.environ.get("FUZZ_EXAMPLES", "300")), suppress_health_check=list(HealthCheck))
settings.load_profile("fuzz")

EVENTS = parse("""
load(const char *name, const char *path) "%s %s"
read(uint32_t addr, const char *reg, int8_t val, void *s, bool b) "0x%x %s %d %p %d"
nothing(void)
""")
ALPHABET = 'abx(),*"%\\ \t#_0123456789PRIiuntdsvocharlgbey=|&<>!~+-/\n\'é\0'
SIMPLE = st.text(alphabet=ALPHABET, max_size=60)
words = st.integers(0, (1 << 64) - 1)
edges = st.sampled_from([0, 1, 2, 24, 32, 512, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])


def mapping(number, name):
    return struct.pack("=QQI", 0, number, len(name)) + name


def record(kind, number, ns, length, pid, payload):
    return struct.pack("=QQQII", kind, number, ns, length & 0xffffffff, pid) + payload


HEADER = struct.pack("=QQQ", HEADER_ID, MAGIC, 4) + b"".join(
    mapping(n, event.name.encode()) for n, event in enumerate(EVENTS))
text = st.binary(max_size=20).map(lambda value: struct.pack("=I", len(value)) + value)
good = st.one_of(
    st.tuples(text, text).map(lambda two: record(1, 0, 5, 24 + len(two[0] + two[1]), 7,
                                                 two[0] + two[1])),
    st.tuples(words, text, words, words, words).map(lambda args: record(
        1, 1, args[0] >> 1, 24 + 32 + len(args[1]), 7,
        struct.pack("=Q", args[0]) + args[1] + struct.pack("=QQQ", *args[2:]))),
    st.just(record(1, 2, 9, 24, 7, b"")),
    words.map(lambda lost: record(1, 0xfffffffffffffffe, 9, 32, 7, struct.pack("=Q", lost))))
bad = st.one_of(
    st.builds(record, edges, st.one_of(edges, words), words, edges, edges, st.binary(max_size=40)),
    st.builds(mapping, edges, st.binary(max_size=20)), st.binary(max_size=50))
traces = st.lists(st.one_of(good, good, bad), max_size=12).map(lambda some: HEADER + b"".join(some))


@st.composite
def damaged(draw):
    """A trace with some bytes changed, and perhaps its end cut off."""
    data = bytearray(draw(traces))
    for _ in range(draw(st.integers(0, 5))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[:draw(st.integers(0, len(data)))])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "trace"


@given(st.one_of(damaged(), traces, st.binary(max_size=200)))
def test_a_trace_file(path, data):
    path.write_bytes(data)
    sink = io.StringIO()
    shows = [show(sink.write) for show in (as_text, as_pretty, as_json, as_csv)]
    try:
        with TraceReader(str(path), EVENTS) as reader:
            count = 0
            for found in reader:
                count += 1
                for show in shows:
                    show(found)
            complaints = list(reader.problems)
            found_by_columns = sum(len(part) for part in parts(reader, most=3))
    except TraceFormatError as error:
        assert str(error).startswith(str(path))
        return
    assert count <= found_by_columns  # what does not fit its declaration is not decoded
    assert all(problem.startswith(f"{path}: byte ") for problem in complaints)
    lines = sink.getvalue().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert lines.count("\n") >= 4 * count


@given(st.binary(max_size=300))
def test_a_file_without_header(path, data):
    path.write_bytes(data)
    with TraceReader(str(path), EVENTS, header=False) as reader:
        list(reader)


@given(damaged())
def test_the_program(path, data):
    path.write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()) as out, \
            contextlib.redirect_stderr(io.StringIO()) as err:
        status = simpletrace.main([str(path), "--format=json"])
    assert status in (0, 1) and "Traceback" not in err.getvalue() + out.getvalue()
    assert bool(err.getvalue()) == (status == 1)


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40), words,
       st.sampled_from([0, 1]), traces)
def test_a_ring_file(path, tail, head, oldest, dropped, overwrite, data):
    size = 1 << 16
    lane = data[len(HEADER):][:size].ljust(size, b"\0")
    head = tail + head % (2 * size) if head % 2 else head
    page = RING_HEADER.pack(RING_MAGIC, 1, 2 ** 22 - 1, size, 1, overwrite, 128, 256, head & 1)
    state = struct.pack("=QQ", len(HEADER), tail)
    page = page.ljust(128, b"\0") + state.ljust(128, b"\0") + state
    ring = page.ljust(RING_PAGE, b"\0")
    ring += struct.pack("=QQQQ", head, oldest, dropped, 5).ljust(RING_PAGE, b"\0") + lane
    path.write_bytes(HEADER)
    beside = path.with_name("trace.ring")
    beside.write_bytes(ring)
    try:
        assert RingFile.beside(str(path)) is not None
        with TraceReader(str(path), EVENTS) as reader:
            list(reader)
            list(reader.chunks())
    finally:
        beside.unlink()


@given(st.binary(max_size=5000))
def test_rubbish_beside_a_trace_is_no_ring(path, data):
    path.write_bytes(HEADER)
    beside = path.with_name("trace.ring")
    beside.write_bytes(data)
    try:
        with TraceReader(str(path), EVENTS) as reader:
            assert list(reader) == []
    finally:
        beside.unlink()


pieces = st.lists(st.sampled_from([
    "foo", "(", ")", "int x", "uint64_t y", "const char *", "s", ",", "void", '"', "%d", "%s",
    '"%" PRIx64', "PRIu32", "disable ", "vcpu", "#", "\n", "%", "*", "\\", " ", "%016", "%5.*d",
    "unsigned", "struct x"]), max_size=14).map("".join)


@given(st.one_of(SIMPLE, pieces, st.text(max_size=80)))
@example('a(int x) "%')
def test_the_grammar(declarations):
    try:
        events = parse(declarations, "f")
    except GrammarError as error:
        assert error.problems and all(problem.startswith("f:") for problem in error.problems)
        lines = declarations.split("\n")
        for problem in error.problems:
            _, line, column, message = problem.split(":", 3)
            assert 1 <= int(line) <= len(lines) and message.strip()
            assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1
    else:
        written = "\n".join(str(event) for event in events)
        assert [str(event) for event in parse(written)] == written.splitlines() or "\r" in written


operators = st.lists(st.sampled_from([
    "addr", "val", "reg", "s", "count", "nosuch", "1", "0x7f", "-", "~", "!", "(", ")", "==", "!=",
    "<", ">=", "&&", "||", "&", "<<", ">>", "*", "/", "%", '"St*"', "'x'", " "]),
    max_size=12).map(" ".join)


@given(st.one_of(operators, SIMPLE), words, st.integers(-128, 127))
@example("val / addr * -1 >> 3", 0, -7)
def test_conditions_mean_the_same_when_recording_and_when_decoding(condition, addr, val):
    from pyemu.trace import _ring
    event = EVENTS[1]
    try:
        compiled = compile_condition(condition, event)
    except ConditionError as error:
        assert "\n" not in str(error) or "\n" in condition
        return
    seen = []
    hook = HOOKS.setdefault(0, _ring.Hook("read", 999_999, event.types, ""))
    hook.listeners = [(compiled, lambda *args: seen.append(1))]
    hook(addr, "Status", val, 0x1234, True)
    hook.listeners = []
    decoded = (addr & 0xffffffff, "Status", val & (1 << 64) - 1, 0x1234, 1)
    accepts = predicate(condition, event)(decoded)
    assume("*" not in condition and "<<" not in condition)  # 128 bits there, any number here
    assert accepts == bool(seen)


HOOKS = {}


@given(st.one_of(SIMPLE, st.lists(st.sampled_from([
    "file=", "if=", "on=", "do=", "start=", "size=", "overwrite=on", "full=wait", "x", ",", ",,",
    "=", "4M", "-", "*", "events=/dev/null"]), max_size=8).map("".join)))
def test_the_option(option):
    assume("events=" not in option or "events=/dev/null" in option)
    with contextlib.suppress(TraceError):
        TraceOptions.parse([option])
