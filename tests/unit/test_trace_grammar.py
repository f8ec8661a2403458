"""trace-events: what is an event, and what is said of a line that is none."""
import os

import pytest
from pyemu.trace.grammar import GrammarError, expand, parse

QEMU_EVENTS = "/usr/share/qemu/trace-events-all"


def test_an_event_has_its_parts():
    text = '# f.py\n\ndisable ide_read(uint32_t addr, const char *reg, void *s) "a 0x%x %s %p"\n'
    (event,) = parse(text, "machine/trace-events", "machine")
    assert event.name == "ide_read" and event.properties == ("disable",) and event.line == 3
    assert event.args == (("uint32_t", "addr"), ("const char *", "reg"), ("void *", "s"))
    assert event.types == "IsP" and event.group == "machine"
    assert str(event) == text.splitlines()[2]


@pytest.mark.parametrize("declaration, types", [
    ("e(void)", ""), ("e(bool a, char b, int8_t c)", "?bb"), ("e(char * a, const char*b)", "ss"),
    ("e(char **a, uint64_t *b, const void *c)", "PPP"),
    ("e(unsigned a, long b, size_t c, ssize_t d, unsigned long long e)", "IqQqQ"),
])
def test_c_types(declaration, types):
    assert parse(declaration)[0].types == types


def test_pri_macros_become_printf():
    assert expand('"a=0x%016" PRIx64 " b=%" PRId32 "\\t%%"') == "a=0x%016lx b=%d\t%%"


@pytest.mark.parametrize("declaration, printf", [
    ('e(uint64_t cs, uint64_t pc) "cs=0x%016 pc=0x%016"', "cs=0x%016lx pc=0x%016lx"),
    ('e(int a, int b, const char *c, void *d) "%*d%%, %8, %20"', "%*d%%, %8s, %20p"),
    ('vcpu e(uint8_t a) "%02"', "cpu=%p %02x"),
])
def test_a_width_without_a_letter_is_completed(declaration, printf):
    assert parse(declaration)[0].printf == printf


@pytest.mark.parametrize("line, column, message", [
    ("foo", 4, "expected '(' after the event's name"),
    ("foo(int a", 10, "expected ')' after the arguments"),
    ("(int a)", 1, "expected a name of letters, digits and '_' before '('"),
    ("bogus foo(int a)", 1, "unknown property 'bogus', expected 'disable' or 'vcpu'"),
    ("vcpu tcg foo(void)", 6, "property 'tcg' was removed from QEMU in 7.0; leave it out"),
    ("foo()", 5, "expected arguments (write 'void' for none)"),
    ("foo(int a, int)", 15, "expected a name after type 'int'"),
    ("foo(int a, )", 12, "expected an argument, TYPE NAME"),
    ("foo(a)", 5, "expected a type before argument 'a'"),
    ("foo(int a, struct x *b)", 12, "unknown type 'struct x *'; expected a C integer, bool, "
     "char *, or void * for any other pointer"),
    ("foo(float a)", 5, "unknown type 'float'; expected a C integer, bool, char *, or void * for "
     "any other pointer"),
    ("foo(int a, int a)", 16, "argument 'a' is there twice"),
    ("foo(" + ", ".join(f"int a{i}" for i in range(11)) + ")", 85,
     "event 'foo' has 11 arguments, at most 10 are possible"),
    ('foo(int a) "a=%d', 12, "unterminated quote"),
    ('foo(int a) "a=" PRIx64 "', 24, "unterminated quote"),
    ('foo(int a) a=%d', 12, "expected a format in quotes"),
    ('foo(int a) "a=%d" b', 19, "expected a string or a PRI macro, found 'b'"),
    ('foo(int a) "a=%d", "b"', 18, "expected one format (the second one, for 'tcg', is gone "
     "from QEMU)"),
    ('foo(uint64_t a) "%" PRIz64', 21, "unknown macro 'PRIz64'"),
    ('foo(int a) "%d\\n"', 17, "a format must not end with a newline"),
    ('foo(int a) "%m"', 13, "'%m' is not possible: pass the error as an argument"),
    ('foo(int a, int b) "a=%d"', 19, "the format has no conversion for argument 'b' (1 of 2)"),
    ('foo(int a) "a=%d b=%d"', 20, "'%d' has no argument: 2 conversions, 1 arguments"),
    ('foo(int a) "a=%s"', 15, "'%s' does not fit argument 'int a', expected a conversion for a "
     "number"),
    ('foo(const char *a) "a=%d"', 23, "'%d' does not fit argument 'const char *a', expected %s"),
    ('foo(void *a) "100%% %x"', 21, "'%x' does not fit argument 'void *a', expected %p"),
    ('foo(uint64_t a) "a=%x"', 20, "'%x' does not fit argument 'uint64_t a', expected a 64-bit "
     "conversion such as PRIx64"),
    ('foo(int a) "a=%" PRIx64', 15, "'%lx' does not fit argument 'int a', expected a conversion "
     "for at most 32 bits"),
    ('tcg_gen_code(uint64_t cs) "cs=0x%016l"', 33, "'%016l' is not a whole conversion; expected a "
     "letter such as 'x' or a macro such as PRIx64 after it"),
])
def test_a_bad_line_is_explained(line, column, message):
    with pytest.raises(GrammarError) as error:
        parse(line, "f")
    assert error.value.problems == [f"f:1:{column}: {message}"]


def test_all_problems_are_told_at_once_and_duplicates_are_found():
    with pytest.raises(GrammarError) as error:
        parse("a(void)\nb()\n a(int x)\n", "f", known=parse("c(void)"))
    assert error.value.problems == ["f:2:3: expected arguments (write 'void' for none)",
                                    "f:3:2: event 'a' is declared already, at f:1"]


@pytest.mark.skipif(not os.path.exists(QEMU_EVENTS), reason="needs qemu-system-common")
def test_all_of_qemus_own_events_are_understood():
    with open(QEMU_EVENTS) as file:
        events = parse(file.read(), QEMU_EVENTS)
    assert len(events) == 5078
    assert sum("s" in event.types for event in events) == 1406
    assert sum(event.disabled for event in events) == 15
    counts = [len(event.args) for event in events]
    assert [counts.count(n) for n in range(11)] == [542, 1450, 1415, 853, 407, 215, 122, 39, 21,
                                                    4, 10]


def test_an_event_of_a_cpu_has_it_as_first_argument():
    """In records, where QEMU 7.2 has it too, and for whoever calls the hook."""
    (event,) = parse('vcpu foo(int x, const char *s) "%d %s"')
    assert [name for _, name in event.args] == ["__cpu", "x", "s"] and event.types == "Pis"
    assert event.printf == "cpu=%p %d %s"
    assert str(event) == 'vcpu foo(int x, const char *s) "%d %s"'
    (event,) = parse("vcpu foo(void)")
    assert (event.types, event.printf, str(event)) == ("P", "cpu=%p ", "vcpu foo(void)")
    with pytest.raises(GrammarError, match="f:1:10: event 'foo' has 10 arguments and its CPU"):
        parse(f"vcpu foo({', '.join(f'int a{n}' for n in range(10))})", "f")
