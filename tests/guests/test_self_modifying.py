"""Code that changes: by the program itself, through aliases, across pages, by DMA, under a remap.

Stock Unicorn fails several of these: it keeps stale code behind aliases that are not executable,
and learns nothing of writes by the host.
"""
import mmap

import pytest
from guests.harness import ALIAS, ALL, DATA, NX, PAGE, Guest

TURNS = 1000
SUM = TURNS * (TURNS + 1) // 2

# Each writes ECX, which counts down from TURNS, into "mov eax, imm32" and runs it; RBX adds up.
# (what, before the loop, in the loop, sum / SUM)
PATCHES = {
    "the next instruction of the same block": ("", """
        mov [patch + 1], ecx
        patch: mov eax, 0x11111111
        add rbx, rax""", 1),
    "an earlier instruction of the same page": ("""
        jmp start
        patch: mov eax, 0x11111111
        ret
        start:""", """
        mov [patch + 1], ecx
        call patch
        add rbx, rax""", 1),
    "another page": ("FUNCTION DATA", """
        mov [DATA + 1], ecx
        mov edx, DATA
        call rdx
        add rbx, rax""", 1),
    "an instruction across two pages": ("FUNCTION DATA + 0xffd", """
        mov eax, ecx
        shl eax, 12
        mov [DATA + 0xffe], eax
        mov edx, DATA + 0xffd
        call rdx
        add rbx, rax""", 1 << 12),
    "the second page only": ("FUNCTION DATA + 0xfff", """
        mov [DATA + 0x1000], ecx
        mov edx, DATA + 0xfff
        call rdx
        add rbx, rax""", 1),
    "two functions through an alias that cannot be executed": ("""
        mov r8, ALIAS + PAGE_NX
        FUNCTION DATA
        FUNCTION DATA + 0x800""", """
        mov [r8 + 1], ecx
        mov [r8 + 0x801], ecx
        mov edx, DATA
        call rdx
        add rbx, rax
        mov edx, DATA + 0x800
        call rdx
        add rbx, rax""", 2),
    "through an alias that can be executed, and run at both": ("""
        mov r8, ALIAS
        FUNCTION DATA""", """
        mov [r8 + 1], ecx
        mov edx, DATA
        call rdx
        add rbx, rax
        mov edx, ecx
        neg edx
        mov [DATA + 1], edx
        call r8
        neg eax
        add rbx, rax""", 2),
    "with the TLB flushed in between": ("""
        mov r8, ALIAS + PAGE_NX
        FUNCTION DATA""", """
        mov rax, cr3
        mov cr3, rax
        mov [r8 + 1], ecx
        mov edx, DATA
        call rdx
        add rbx, rax""", 1),
    "by an atomic instruction": ("FUNCTION DATA", """
        mov edx, ecx
        lock xchg [DATA + 1], edx
        mov edx, DATA
        call rdx
        add rbx, rax""", 1),
    "by REP MOVSB of the whole page": ("""
        mov r8, ALIAS + PAGE_NX
        FUNCTION DATA + 0x3000
        FUNCTION DATA""", """
        mov [DATA + 0x3001], ecx
        push rcx
        mov esi, DATA + 0x3000
        mov rdi, r8
        mov ecx, 0x1000
        rep movsb
        pop rcx
        mov edx, DATA
        call rdx
        add rbx, rax""", 1),
    "as data again, then as code": ("FUNCTION DATA", """
        push rcx
        mov edi, DATA + 0x100
        mov eax, 0x90909090
        mov ecx, 64
        rep stosd
        pop rcx
        mov byte [DATA + 0x200], 0xb8
        mov [DATA + 0x201], ecx
        mov byte [DATA + 0x205], 0xc3
        mov edx, DATA + 0x1f0
        call rdx
        add rbx, rax""", 1),
}

FUNCTION = """
%define PAGE_NX 0x1000
%macro FUNCTION 1       ; mov eax, 0; ret
        mov byte [%1], 0xb8
        mov dword [%1 + 1], 0
        mov byte [%1 + 5], 0xc3
%endmacro
"""


def aliased_guest(**options):
    """A guest that sees DATA at ALIAS, too, and at ALIAS + PAGE without the right to execute."""
    guest = Guest("long", **options)
    guest.pages.set(ALIAS, DATA | ALL)
    guest.pages.set(ALIAS + PAGE, DATA | ALL | NX)
    return guest


@pytest.mark.parametrize("what", PATCHES)
def test_patch(what):
    before, loop, factor = PATCHES[what]
    result = aliased_guest().run(f"""
        {FUNCTION}
        {before}
        mov ecx, {TURNS}
        turn:
        {loop}
        dec ecx
        jnz turn
        END""")
    assert result.stop == "end" and not result.events
    assert result.rbx == SUM * factor


@pytest.mark.parametrize("paging", [False, True])
def test_patch_in_protected_mode(paging):
    result = Guest("protected", paging=paging).run("""
        mov ecx, 1000
        turn: inc byte [patch + 2]
        patch: add ebx, 0
        loop turn
        END""")
    expected = sum((i & 0xff) - 256 * ((i & 0xff) > 127) for i in range(1, 1001))
    assert result.ebx == expected % (1 << 32)


def test_patch_in_real_mode_through_another_segment():
    result = Guest("real").run("""
        mov ax, CODE_SEGMENT - 0x10
        mov es, ax
        xor ax, ax
        mov cx, 1000
        turn: inc byte [es:patch + 1 + 0x100]
        patch: mov al, 0
        add bx, ax
        mov ax, 0
        loop turn
        END""")
    assert result.bx == sum(i & 0xff for i in range(1, 1001)) % (1 << 16)


# --- writes by the host ---

CALL_TWICE = """
        mov esi, {address}
        call rsi
        mov ebx, eax
        out 0x90, al
        call rsi
        mov ecx, eax
        mov edx, [DATA + 0x8000]
        END"""


def function(value):
    return b"\xb8" + value.to_bytes(4, "little") + b"\xc3"


@pytest.mark.parametrize("address", [DATA, ALIAS])
@pytest.mark.parametrize("start, length", [(0, 6), (-PAGE, 3 * PAGE)])
def test_dma_over_translated_code(address, start, length):
    guest = aliased_guest()
    guest.place(DATA, function(0x11))
    block = (function(0x22) if start == 0 else bytes(-start) + function(0x22)).ljust(length, b"\0")
    guest.on_port(0x90, write=lambda value: guest.memory.write(DATA + start, block))
    result = guest.run(CALL_TWICE.format(address=address))
    assert (result.stop, result.ebx, result.ecx) == ("end", 0x11, 0x22)


def test_dma_leaves_no_fault_behind():
    """The next page fault must not arrive as a double fault."""
    guest = aliased_guest(resume={14}, skip={14: 7})
    guest.place(DATA, function(0x11))
    guest.pages.set(DATA + 0x8000, 0)
    guest.on_port(0x90, write=lambda value: guest.memory.write(DATA, function(0x22)))
    result = guest.run(CALL_TWICE.format(address=ALIAS))
    assert (result.stop, result.ecx, result.vectors) == ("end", 0x22, [14])


def test_dma_over_the_block_that_runs():
    guest = Guest("long")
    guest.on_port(0x90, write=lambda value: guest.memory.write(DATA + 0x101, b"\x22"))
    guest.place(DATA, "out 0x90, al\njmp next\ntimes 0x100 - ($ - $$) nop\nnext: mov bl, 0x11\nEND")
    result = guest.run("mov eax, DATA\njmp rax")
    assert result.ebx == 0x22


def test_dma_again_and_again():
    guest = Guest("long")
    guest.place(DATA, function(0))
    values = iter(range(1, 2000))
    guest.on_port(0x90, write=lambda value: guest.memory.write(DATA, function(next(values))))
    result = guest.run("""
        mov ecx, 1000
        mov esi, DATA
        turn: out 0x90, al
        call rsi
        add rbx, rax
        loop turn
        END""")
    assert result.rbx == SUM


# --- remapping under translated code ---

@pytest.mark.parametrize("address", [0xe0000000, ALIAS])
def test_remap_of_code_from_an_out(address):
    """The new memory's code runs; a page fault that follows is one."""
    guest = Guest("long", resume={14}, skip={14: 7})
    guest.pages.set(ALIAS, 0xe0000000 | ALL)
    guest.pages.set(DATA + 0x8000, 0)
    pages = []
    for value in (0x11, 0x22):
        pages.append(mmap.mmap(-1, PAGE))
        pages[-1][:6] = function(value)
    regions = [guest.memory.map_ram(0xe0000000, pages[0], "first")]

    def swap(value):
        guest.memory.unmap(regions.pop())
        regions.append(guest.memory.map_ram(0xe0000000, pages[1], "second"))

    guest.on_port(0x90, write=swap)
    result = guest.run(CALL_TWICE.format(address=address).replace("mov esi", "mov rsi"))
    assert (result.stop, result.ebx, result.ecx) == ("end", 0x11, 0x22)
    assert result.vectors == [14]


def test_remap_of_the_page_that_runs():
    guest = Guest("long")
    pages = [mmap.mmap(-1, PAGE), mmap.mmap(-1, PAGE)]
    guest.pages.set(ALIAS, 0xe0000000 | ALL)
    code = "mov ebx, {0}\nout 0x90, al\njmp next\nnext: mov ecx, {0}\nEND"
    regions = [guest.memory.map_ram(0xe0000000, pages[0], "first")]
    guest.place(0xe0000000, code.format(0x11))
    guest.place(DATA, code.format(0x22))
    pages[1][:64] = guest.memory.read(DATA, 64)

    def swap(value):
        guest.memory.unmap(regions.pop())
        regions.append(guest.memory.map_ram(0xe0000000, pages[1], "second"))

    guest.on_port(0x90, write=swap)
    result = guest.run("mov eax, ALIAS\njmp rax")
    assert (result.stop, result.ebx, result.ecx) == ("end", 0x11, 0x22)


def test_the_code_buffer_stays_small():
    """By default 2.1.4 lets translated code grow to 388 MiB."""
    guest = Guest("long")
    before = resident()
    result = guest.run(f"""
        mov r9d, 300
        round: mov edi, {DATA}
        mov ecx, 200000
        inc r10d
        fill: lea eax, [ecx + r10d]
        mov dword [edi], 0x90909090
        mov [edi + 1], al
        mov dword [edi + 4], 0xc3
        mov byte [edi + 1], 0x90
        mov edx, edi
        call rdx
        add edi, 32
        and edi, {DATA + 0x1ffff}
        loop fill
        dec r9d
        jnz round
        END""", timeout=2.5)
    assert result.stop in ("end", "timeout")
    assert resident() - before < 160 << 20


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE
