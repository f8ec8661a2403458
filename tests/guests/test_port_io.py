"""IN and OUT: widths, rights, string instructions in blocks, and errors of devices."""
import threading

import pytest
from guests.harness import ALL, CODE, DATA, PAGE, PAGE_FAULT, PRESENT, PROTECTION, TSS_AT, Guest
from pyemu.engine.cpu import DEBUG, WATCH_WRITE
from pyemu.trace import hooks

PORT = 0x1f0


class Recorder:
    """A device that notes its accesses and reads as 0x11 per byte of offset."""

    def __init__(self):
        self.accesses = []

    def read(self, offset, size):
        self.accesses.append(("read", offset, size))
        return 0x11 * (offset + 1)

    def write(self, offset, size, value):
        self.accesses.append(("write", offset, size, value))


@pytest.mark.parametrize("width, instruction, accesses", [
    (4, "in eax, dx", [("read", 1, 4)]),
    (1, "in eax, dx", [("read", 1, 1), ("read", 2, 1), ("read", 3, 1)]),
    (2, "in eax, dx", [("read", 1, 2), ("read", 3, 2)]),
    (1, "out dx, ax", [("write", 1, 1, 0x78), ("write", 2, 1, 0x56)]),
    (4, "out dx, eax", [("write", 1, 4, 0x12345678)]),
    (2, "out dx, al", [("write", 1, 1, 0x78)]),
])
def test_wide_accesses_are_cut(width, instruction, accesses):
    guest, device = Guest("long"), Recorder()
    guest.ports.map(0x300, 4, device, width=width)
    guest.run(f"mov edx, 0x301\nmov eax, 0x12345678\n{instruction}\nEND")
    assert device.accesses == accesses


def test_value_of_a_cut_access():
    guest, device = Guest("long"), Recorder()
    guest.ports.map(0x300, 4, device)
    assert guest.run("mov edx, 0x300\nin eax, dx\nEND").eax == 0x44332211
    assert guest.run("mov edx, 0x302\nin eax, dx\nEND").eax == 0xffff4433


def test_unmapped_ports_read_as_ones():
    result = Guest("real").run("in al, 0x99\nmov dx, 0xffff\nin ax, dx\nin eax, dx\nEND")
    assert result.eax == 0xffffffff


def test_reads_keep_the_upper_half():
    guest = Guest("long")
    guest.on_port(PORT, read=lambda: 0x1234)
    result = guest.run(f"mov rax, -1\nmov edx, {PORT}\nin ax, dx\nmov rbx, rax\nin eax, dx\nEND")
    assert (result.rbx, result.rax) == (0xffffffffffff1234, 0x1234)


def test_an_error_in_a_device_ends_the_run():
    guest = Guest("long")

    def fail():
        raise LookupError("a bug in a chip")

    guest.on_port(PORT, read=fail)
    with pytest.raises(LookupError, match="a bug in a chip"):
        guest.run(f"mov edx, {PORT}\nin al, dx\nEND")
    assert guest.run("mov ebx, 5\nEND").ebx == 5


def test_ports_that_unmap_themselves():
    guest = Guest("long")
    guest.on_port(PORT, write=lambda value: guest.ports.unmap(PORT, 1))
    result = guest.run(f"mov edx, {PORT}\nout dx, al\nin eax, dx\nEND")
    assert (result.stop, result.eax) == ("end", 0xffffffff)


# --- rights ---

@pytest.mark.parametrize("mode", ["protected", "long"])
@pytest.mark.parametrize("instruction", [
    "in al, 0x60", "in ax, 0x60", "in eax, 0x60", "in al, dx", "out 0x60, al", "out 0x60, eax",
    "outsb"])
def test_ring_3_needs_the_right(mode, instruction):
    """Unicorn's translator leaves the check out."""
    guest, device = Guest(mode, ring=3), Recorder()
    guest.ports.map(0x60, 1, device)
    result = guest.run(f"""
        mov edx, 0x60
        mov esi, DATA
        mov ecx, 7
        cmp ecx, 8          ; flags that translated code has not stored yet
        mov edi, here
        here: {instruction}
        END""")
    assert result.vectors == [PROTECTION] and device.accesses == []
    assert (result.last.error, result.last.ip) == (0, result.edi)
    assert result.last.flags & 0x8d5 == 0x95  # of 7 - 8


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_the_bitmap_gives_the_right(mode):
    guest = Guest(mode, ring=3)
    guest.on_port(0x60, read=lambda: 5)
    guest.memory.write(TSS_AT + 0x68 + 0x60 // 8, b"\xfe")
    result = guest.run("in al, 0x60\nmov ebx, eax\nin ax, 0x60\nEND")
    assert result.vectors == [PROTECTION]  # the word takes in port 0x61
    assert result.ebx & 0xff == 5


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_iopl_3_gives_the_right(mode):
    guest = Guest(mode, ring=3)
    guest.on_port(0x60, read=lambda: 5)
    handler, iret = CODE + 0x4000, "iretq" if mode == "long" else "iretd"
    register = "rsp" if mode == "long" else "esp"
    guest.place(handler, f"or dword [{register} + {2 * guest.bits // 8}], 0x3000\n{iret}")
    guest.gate(3, handler, kind=0xee)
    result = guest.run("int3\nin al, 0x60\ncli\nsti\nEND")
    assert (result.stop, result.events, result.eax & 0xff) == ("end", [], 5)


# --- string instructions ---

class Stream:
    """Bytes in and out, in blocks as IDE's data port, or one by one."""

    def __init__(self, data=b"", most=1 << 20):
        self.data, self.position, self.most = data, 0, most
        self.written = bytearray()
        self.calls = 0

    def read_block(self, limit):
        self.calls += 1
        limit = min(limit, self.most)
        block = self.data[self.position:self.position + limit]
        self.position += len(block)
        return block

    def write_block(self, data):
        self.calls += 1
        data = data[:self.most]
        self.written += data
        return len(data)

    def read(self, offset, size):
        self.calls += 1
        value = int.from_bytes(self.data[self.position:self.position + size], "little")
        self.position += size
        return value

    def write(self, offset, size, value):
        self.calls += 1
        self.written += value.to_bytes(size, "little")


PATTERN = bytes((i * 7 + i // 256) & 0xff for i in range(1 << 16))
SIZES = {"b": 1, "w": 2, "d": 4}


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
@pytest.mark.parametrize("letter", SIZES)
@pytest.mark.parametrize("most", [1 << 20, 24])
def test_rep_ins(mode, letter, most):
    guest, stream = Guest(mode), Stream(PATTERN, most)
    guest.ports.map(PORT, 1, stream, width=4)
    size, start = SIZES[letter], 0xa010 if mode == "real" else DATA + 0x10
    length = 0x2000
    result = guest.run(f"""
        mov edx, {PORT}
        mov edi, {start}
        mov ecx, {length // size} | {0xabcd0000 if mode == 'real' else 0}
        cld
        rep ins{letter}
        END""")
    assert result.stop == "end"
    assert guest.memory.read(start, length + 4) == PATTERN[:length] + bytes(4)
    if mode == "real":
        assert (result.ecx, result.edi) == (0xabcd0000, start + length)
    else:
        assert (result.ecx, result.edi) == (0, start + length)
    assert stream.position == length
    if most > 24:
        assert stream.calls < 10


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
@pytest.mark.parametrize("letter", SIZES)
@pytest.mark.parametrize("most", [1 << 20, 24])
def test_rep_outs(mode, letter, most):
    guest, stream = Guest(mode), Stream(most=most)
    guest.ports.map(PORT, 1, stream, width=4)
    size, start = SIZES[letter], 0xa010 if mode == "real" else DATA + 0x10
    guest.memory.write(start, PATTERN[:0x2000])
    result = guest.run(f"""
        mov edx, {PORT}
        mov esi, {start}
        mov ecx, {0x2000 // size}
        rep outs{letter}
        END""")
    assert (result.stop, result.ecx, result.esi) == ("end", 0, start + 0x2000)
    assert stream.written == PATTERN[:0x2000]


def into_memory(items):
    return f"mov edx, {PORT}\nmov edi, DATA\nmov ecx, {items}\nrep insd\nEND"


def test_a_watchpoint_sees_each_item():
    guest, stream = Guest("long"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    guest.cpu.set_watchpoints([(DATA + 16, 4, WATCH_WRITE)])
    guest.start(into_memory(8))
    assert guest.cpu.run() == DEBUG
    assert guest.memory.read(DATA, 24) == PATTERN[:20] + bytes(4)


@pytest.mark.parametrize(("event", "items"), [
    ("cpu_in", [(PORT, ord("l"), int.from_bytes(PATTERN[4 * n:4 * n + 4], "little"))
                for n in range(8)]),
    ("guest_mem_write", [(DATA + 4 * n, 4, int.from_bytes(PATTERN[4 * n:4 * n + 4], "little"))
                         for n in range(8)]),
])
def test_each_item_is_traced(event, items):
    guest, stream, told = Guest("long"), Stream(PATTERN), []
    guest.ports.map(PORT, 1, stream, width=4)
    hooks.hooks[event].listeners = (lambda *arguments: told.append(arguments),)
    try:
        assert guest.run(into_memory(8)).stop == "end"
    finally:
        hooks.hooks[event].listeners = ()
    assert [item for item in told if item in items] == items
    assert guest.memory.read(DATA, 32) == PATTERN[:32]


def test_rep_ins_backwards_and_single():
    guest, stream = Guest("protected"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    result = guest.run(f"""
        mov edx, {PORT}
        mov edi, DATA + 12
        mov ecx, 4
        std
        rep insd
        cld
        mov edi, DATA + 16
        insd
        END""")
    assert result.stop == "end"
    words = [PATTERN[i:i + 4] for i in range(0, 20, 4)]
    assert guest.memory.read(DATA, 20) == b"".join([*reversed(words[:4]), words[4]])


def test_rep_ins_with_prefixes_and_segments():
    guest, stream = Guest("protected"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    result = guest.run(f"""
        mov ax, KDATA16
        mov es, ax
        mov edx, {PORT}
        mov edi, 0xabcd9000
        mov ecx, 0x12340008
        a16 rep insw
        END""")
    assert (result.stop, result.ecx, result.edi) == ("end", 0x12340000, 0xabcd9010)
    assert guest.memory.read(0x9000, 16) == PATTERN[:16]


def test_rep_outs_with_a_segment_override():
    guest, stream = Guest("real"), Stream()
    guest.ports.map(PORT, 1, stream, width=4)
    guest.memory.write(0x30010, PATTERN[:64])
    guest.run(f"mov ax, 0x3000\nmov fs, ax\nmov dx, {PORT}\nmov si, 0x10\nmov cx, 32\n"
              "fs rep outsw\nEND")
    assert stream.written == PATTERN[:64]


def test_rep_ins_wraps_at_64_kib():
    guest, stream = Guest("real"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    result = guest.run(f"""
        mov ax, 0x3000
        mov es, ax
        mov dx, {PORT}
        mov di, 0xfff8
        mov cx, 8
        rep insw
        END""")
    assert (result.stop, result.di) == ("end", 8)
    assert guest.memory.read(0x3fff8, 8) == PATTERN[:8]
    assert guest.memory.read(0x30000, 8) == PATTERN[8:16]


@pytest.mark.parametrize("rights, error", [(0, 2), (PRESENT, 3)])
@pytest.mark.parametrize("mode", ["protected", "long"])
def test_rep_ins_into_a_page_that_faults(mode, rights, error):
    """What fits before the page is moved, and the rest once the page is there: nothing twice."""
    guest, stream = Guest(mode, paging=True), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    guest.pages.set(DATA + PAGE, DATA + PAGE | rights if rights else 0)
    result = guest.run(f"""
        mov edx, {PORT}
        mov edi, DATA + 0xf00
        mov ecx, 256
        rep insw
        END""")
    assert result.vectors == [PAGE_FAULT]
    assert (result.last.error, result.cr2) == (error, DATA + PAGE)
    assert (result.ecx, result.edi, stream.position) == (128, DATA + PAGE, 0x100)


def test_rep_ins_across_scattered_pages():
    guest, stream = Guest("long"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    for page in range(4):
        guest.pages.set(DATA + page * PAGE, DATA + (3 - page) * PAGE | ALL)
    guest.run(f"mov edx, {PORT}\nmov edi, DATA + 1\nmov ecx, 0x3fff\nrep insb\nEND")
    for page in range(4):
        start, length = (1, PAGE - 1) if page == 0 else (0, PAGE)
        at = page * PAGE + start - 1
        found = guest.memory.read(DATA + (3 - page) * PAGE + start, length)
        assert found == PATTERN[at:at + length]


def test_rep_ins_over_translated_code():
    guest = Guest("long")
    guest.place(DATA, b"\xb8\x11\0\0\0\xc3")
    stream = Stream(b"\xb8\x22\0\0\0\xc3")
    guest.ports.map(PORT, 1, stream, width=4)
    result = guest.run(f"""
        mov esi, DATA
        call rsi
        mov ebx, eax
        mov edx, {PORT}
        mov edi, DATA
        mov ecx, 3
        rep insw
        call rsi
        END""")
    assert (result.ebx, result.eax) == (0x11, 0x22)


@pytest.mark.parametrize("most, sectors", [(1 << 20, 256), (2, 64)])
def test_rep_ins_under_a_storm_of_kicks(most, sectors):
    """Stock Unicorn takes 514 bytes of a 512-byte sector."""
    guest, stream = Guest("protected"), Stream(PATTERN * 8, most)
    guest.ports.map(PORT, 1, stream, width=4)
    going = True

    def storm():
        while going:
            guest.cpu.ring()

    guest.on_service = lambda: guest.pending or guest.interrupt(0x30)
    guest.gate(0x30, CODE + 0x4000)
    guest.place(CODE + 0x4000, "inc dword [DATA + 0x10000]\niret")
    thread = threading.Thread(target=storm)
    thread.start()
    try:
        result = guest.run(f"""
            sti
            mov edx, {PORT}
            mov ebx, {sectors}
            mov edi, DATA
            sector: mov ecx, 128
            rep insw
            dec ebx
            jnz sector
            cli
            END""", timeout=20)
    finally:
        going = False
        thread.join()
    length = 256 * sectors
    assert (result.stop, stream.position, result.edi) == ("end", length, DATA + length)
    assert guest.memory.read(DATA, length) == PATTERN[:length]
    assert guest.peek(DATA + 0x10000) >= 1


def test_single_step_through_rep_ins():
    guest, stream = Guest("protected", resume={1}), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    result = guest.run(f"""
        mov edx, {PORT}
        mov edi, DATA
        mov ecx, 3
        pushf
        or dword [esp], 0x100
        popf
        here: rep insb
        pushf
        and dword [esp], ~0x100
        popf
        mov esi, here
        END""")
    assert result.stop == "end" and guest.memory.read(DATA, 4) == PATTERN[:3] + b"\0"
    assert [event.ip for event in result.events][:2] == [result.esi] * 2


def test_a_device_that_gives_nothing_in_blocks():
    guest, stream = Guest("protected"), Stream(PATTERN)
    stream.read_block = lambda limit: b""
    guest.ports.map(PORT, 1, stream, width=4)
    guest.run(f"mov edx, {PORT}\nmov edi, DATA\nmov ecx, 8\nrep insw\nEND")
    assert guest.memory.read(DATA, 16) == PATTERN[:16]


def test_rep_ins_into_a_device():
    guest, stream = Guest("protected"), Stream(PATTERN)
    guest.ports.map(PORT, 1, stream, width=4)
    guest.run(f"mov edx, {PORT}\nmov edi, DEVICE\nmov ecx, 4\nrep insd\nEND")
    stored = [access[3] for access in guest.device.accesses if access[0] == "write" and access[3]]
    assert stored == [int.from_bytes(PATTERN[i:i + 4], "little") for i in range(0, 16, 4)]
