"""Conditions on arguments, and what happens when they are true."""
import itertools
import os
import re
import struct
import sys

import pytest
from pyemu.trace import _ring
from pyemu.trace.conditions import ConditionError, UnknownName, compile_condition, predicate
from pyemu.trace.grammar import parse

EVENT = parse('e(uint64_t u, int i, const char *name, void *p) "%" PRIu64 " %d %s %p"')[0]
COUNTED = parse('c(uint32_t count) "%u"')[0]
ids = itertools.count(300_000)
BIG = (1 << 64) - 1


def accepted(condition, *calls, event=EVENT):
    """The calls for which the condition is true, in the hands of a listener."""
    seen = []
    hook = _ring.Hook(event.name, next(ids), event.types, event.printf)
    hook.listeners = [(compile_condition(condition, event), lambda *args: seen.append(args))]
    for args in calls:
        hook(*args)
    hook.listeners = []
    return seen


@pytest.mark.parametrize("condition, value", [
    ("u == 5", True), ("u==5&&i==-3", True), ("u == 5 && i == 3", False), ("u > 4 || i > 0", True),
    ("!(u == 5)", False), ("i < 0", True), ("i >= -3", True), ("u & 1", True), ("u & 2", False),
    ("u % 2 == 1", True), ("u / 2 == 2", True), ("u / 0 == 0", True), ("u % 0 == 0", True),
    ("1 + 2 * 3 == 7", True), ("(1 + 2) * 3 == 9", True), ("10 - 2 - 3 == 5", True),
    ("1 << 4 == 16", True), ("0x10 >> 4 == 1", True), ("u ^ 5", False), ("~0 == -1", True),
    ("6 & 3 == 3", False),  # as in C: 6 & (3 == 3)
    ('name == "bios.bin"', True), ("name != 'bios.bin'", False), ('name ~ "bio?.*"', True),
    ('name ~ "x*"', False), ('!(name == "a") && u', True), ("p == 0x1234", True),
    ("count == 0", True),
])
def test_operators(condition, value):
    assert bool(accepted(condition, (5, -3, "bios.bin", 0x1234))) is value
    recorded = (5, BIG - 2, "bios.bin", 0x1234)
    assert predicate(condition, EVENT)(recorded) is value


def test_signed_and_unsigned_numbers_of_64_bits_compare_as_numbers():
    assert accepted("u > 1", (BIG, 0, "", 0)) and not accepted("i > 1", (0, -1, "", 0))
    assert accepted("u > i", (BIG, -1, "", 0)) and accepted(f"u == {BIG}", (BIG, 0, "", 0))


def test_count_is_how_often_it_was_true():
    calls = [(n, 0, "", 0) for n in range(100)]
    accepts = predicate("u % 2 == 0 && count < 3", EVENT)
    assert [args[0] for args in calls if accepts(args)] == [0, 2, 4]
    assert [args[0] for args in accepted("u % 2 == 0 && count < 3", *calls)] == [0, 2, 4]


def test_an_argument_named_count_comes_first():
    assert accepted("count == 7", (7,), (8,), event=COUNTED) == [(7,)]


@pytest.mark.parametrize("condition, message", [
    ("", "character 1: expected a number, an argument or '('"),
    ("u >", "character 4: expected a number, an argument or '('"),
    ("u > 1 u", "character 7: expected an operator, found 'u'"),
    ("(u > 1", "character 7: expected ')'"),
    ("u @ 1", "character 3: '@' makes no sense"),
    ('u == "x"', "character 6: a text is compared with an argument on its left"),
    ("name > 5", "character 6: 'name' is a string: expected ==, != or ~ and a text in quotes"),
    ("name", "character 5: 'name' is a string: expected ==, != or ~ and a text in quotes"),
    ("name ==", "character 6: 'name' is a string"),
    ("u == 99999999999999999999", "character 6: the number is too large"),
    ("(" * 30 + "u" + ")" * 30, "character 25: nested too deeply"),
    ("!" * 40 + "u", "nested too deeply"),
    ("(0 || 1 && 1 | 1 ^ 1 & (" * 9 + "u" + "))" * 9, "nested too deeply"),
])
def test_a_bad_condition_is_explained(condition, message):
    with pytest.raises(ConditionError) as error:
        compile_condition(condition, EVENT)
    assert message in str(error.value)


def test_an_unknown_argument_is_named():
    with pytest.raises(UnknownName, match="event 'e' has no argument 'sector'"):
        compile_condition("sector > 1", EVENT)


def test_deep_conditions_fit_the_stack():
    condition = "u == 5 && (" * 11 + "u" + ")" * 11
    assert accepted(condition, (5, 0, "", 0))


@pytest.mark.parametrize("program", [
    [(0, 1), (0, 1)], [(9,)], [], [(1, 2)], [(4, 0, b"x")], [(1, 9)], [(99,)], [(4, 2)], ["x"],
    [(0, 1 << 70)], [(0, None)], [(0, 1)] * 40 + [(9,)] * 39, [(8,)],
])
def test_bad_programs_are_refused(program):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        _ring.Filter(program, EVENT.types)


def test_a_filter_decides_what_is_recorded(tmp_path):
    hook = _ring.Hook("filtered", next(ids), "Q", "%lx")
    event = parse('filtered(uint64_t n) "%" PRIx64')[0]
    fd = os.open(tmp_path / "t", os.O_RDWR | os.O_CREAT)
    _ring.open(fd, 0, None, 1 << 16)
    try:
        hook.enabled = True
        hook.filter = compile_condition("n > 7", event)
        for n in range(10):
            hook(n)
        hook.filter = None
        hook(1)
        _ring.flush()
    finally:
        _ring.close()
        os.close(fd)
    data = (tmp_path / "t").read_bytes()
    assert [struct.unpack_from("=Q", data, at + 32)[0] for at in range(0, len(data), 40)] == [
        8, 9, 1]


def test_what_a_listener_raises_is_shown_and_the_machine_goes_on(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    hook, seen = _ring.Hook("failing", next(ids), "I", ""), []
    hook.listeners = [lambda n: 1 // 0, seen.append]
    hook(5)
    hook.listeners = []
    assert seen == [5] and shown[0].exc_type is ZeroDivisionError


@pytest.mark.parametrize("bad", [[1], [("x", print)], [(None, print)], 5])
def test_bad_listeners_are_refused(bad):
    with pytest.raises(TypeError):
        _ring.Hook("x", next(ids), "I", "").listeners = bad


@pytest.mark.parametrize("declaration, args, line", [
    ('a(uint32_t x, int y) "x=0x%08x y=%d"', (0xbeef, -1), "a x=0x0000beef y=-1"),
    ('a(int x, int8_t y) "%x %u"', (-1, -1), "a ffffffff 4294967295"),
    ('a(uint64_t x) "%016" PRIx64 " 100%%"', (BIG,), "a ffffffffffffffff 100%"),
    ('a(int64_t x) "%" PRId64', (-5,), "a -5"),
    ('a(const char *s, const char *t) "[%8s] [%-6.2s]"', ("abc", "xyz"), "a [     abc] [xy    ]"),
    ('a(const char *s) "%s"', (None,), "a "),
    ('a(void *p, void *q) "%p %p"', (0x12ab, None), "a 0x12ab (nil)"),
    ('a(uint8_t c, bool b) "%c%d"', (65, True), "a A1"),
    ('a(int w, int x) "%*d|"', (5, 42), "a    42|"),
    ('a(uint8_t x) "%#hhx %%"', (0x1ff,), "a 0xff %"),
    ("a(int x)", (1,), "a"), ("a(void)", (), "a"),
])
def test_a_line_of_the_log(tmp_path, declaration, args, line):
    event = parse(declaration)[0]
    hook = _ring.Hook(event.name, next(ids), event.types, event.printf)
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    _ring.log_open(fd, True, False)
    hook.logged = True
    hook(*args)
    _ring.log("and text\n")
    _ring.log_flush()
    _ring.log_open(-1, False, False)
    os.close(fd)
    assert (tmp_path / "log").read_text() == line + "\nand text\n"


def test_lines_can_carry_thread_and_time(tmp_path):
    hook = _ring.Hook("a", next(ids), "", "")
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    _ring.log_open(fd, False, True)
    hook.logged = True
    hook()
    _ring.log_open(-1, False, False)
    os.close(fd)
    assert re.fullmatch(r"\d+@\d+\.\d{6}:a\n", (tmp_path / "log").read_text())


def test_a_full_disk_under_the_log_is_an_error_at_the_flush():
    fd = os.open("/dev/full", os.O_WRONLY)
    _ring.log_open(fd, True, False)
    _ring.log("x\n")
    with pytest.raises(OSError, match="No space left"):
        _ring.log_flush()
    _ring.log_open(-1, False, False)
    os.close(fd)
