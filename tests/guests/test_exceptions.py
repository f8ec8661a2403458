"""What the CPU delivers for a fault: vector, error code, return address, and what nests into what.

Source: Intel SDM volume 3A, chapter 6.
"""
import pytest
from guests.harness import (
    ALL,
    BOUND,
    BREAKPOINT,
    CODE,
    DATA,
    DEBUG,
    DIVIDE,
    DOUBLE,
    FPU_ERROR,
    HANDLERS,
    IDT,
    KDATA,
    NO_FPU,
    NOT_PRESENT,
    OVERFLOW,
    PAGE,
    PAGE_FAULT,
    PRESENT,
    PROTECTION,
    STACK_FAULT,
    TSS_AT,
    UNDEFINED,
    USER,
    Guest,
    isolated,
)

FAULTS = 0x7e00  # a free word of low memory
FAULT, TRAP = 0, 1  # where the return address points: to the instruction, or behind it

# (mode, ring, instructions before, the instruction, vector, error code, FAULT or TRAP)
DELIVERED = [
    ("real", 0, "xor cx, cx", "div cx", DIVIDE, 0, FAULT),
    ("real", 0, "", "int3", BREAKPOINT, 0, TRAP),
    ("real", 0, "mov al, 127\ninc al", "into", OVERFLOW, 0, TRAP),
    ("real", 0, "", "ud2", UNDEFINED, 0, FAULT),
    ("protected", 0, "xor ecx, ecx", "div ecx", DIVIDE, 0, FAULT),
    ("protected", 3, "", "int3", BREAKPOINT, 0, TRAP),
    ("protected", 3, "mov al, 127\ninc al", "into", OVERFLOW, 0, TRAP),
    ("protected", 0, "mov eax, 9", "bound eax, [limits]", BOUND, 0, FAULT),
    ("protected", 3, "", "ud2", UNDEFINED, 0, FAULT),
    ("protected", 0, "", "lock nop", UNDEFINED, 0, FAULT),
    ("protected", 0, "fninit\nmov eax, cr0\nor eax, 8\nmov cr0, eax", "fld1", NO_FPU, 0, FAULT),
    ("protected", 0, "mov eax, 0x58", "mov ds, eax", PROTECTION, 0x58, FAULT),
    ("protected", 0, "mov eax, 0x68", "mov ss, eax", STACK_FAULT, 0x68, FAULT),
    ("protected", 0, "mov eax, 0x68", "mov ds, eax", NOT_PRESENT, 0x68, FAULT),
    ("protected", 3, "", "hlt", PROTECTION, 0, FAULT),
    ("protected", 3, "", "cli", PROTECTION, 0, FAULT),
    ("protected", 3, "", "in al, 0x80", PROTECTION, 0, FAULT),
    ("protected", 3, "", "int 0x40", PROTECTION, 0x40 * 8 + 2, FAULT),
    ("long", 0, "xor ecx, ecx", "div rcx", DIVIDE, 0, FAULT),
    ("long", 3, "", "int3", BREAKPOINT, 0, TRAP),
    ("long", 3, "", "ud2", UNDEFINED, 0, FAULT),
    ("long", 0, "mov rbx, cr0\nor ebx, 8\nmov cr0, rbx", "movaps xmm0, xmm1", NO_FPU, 0, FAULT),
    ("long", 0, "mov rbx, 1 << 47", "mov rax, [rbx]", PROTECTION, 0, FAULT),
    ("long", 3, "", "int 0x40", PROTECTION, 0x40 * 8 + 2, FAULT),
    ("long", 3, "", "o16 int 0x40", PROTECTION, 0x40 * 8 + 2, FAULT),
    ("long", 3, "", "mov rax, cr0", PROTECTION, 0, FAULT),
    ("long", 0, "", "int 0x41", NOT_PRESENT, 0x41 * 8 + 2, FAULT),
]


@pytest.mark.parametrize("mode, ring, before, instruction, vector, error, kind", DELIVERED)
def test_delivery(mode, ring, before, instruction, vector, error, kind):
    guest = Guest(mode, ring)
    if mode != "real":
        guest.segment(0x68, 0x00cf130000000000 | 0xffff)  # data, not present
        guest.gate(0x41, kind=0x0e)  # not present
    result = guest.run(f"""
        mov dword [{DATA if mode != 'real' else 0x600}], 0
        {before}
        mov edi, here
        mov esi, there
        here: {instruction}
        there: END
        limits: dd 0, 5""")
    assert result.stop == "end" and result.vectors == [vector]
    assert result.last.error == error
    assert result.last.ip == (result.edi if kind == FAULT else result.esi)


def test_icebp_is_a_debug_trap():
    """Opcode F1 comes as #UD from Unicorn."""
    for mode, ring in (("protected", 0), ("protected", 3), ("long", 3)):
        result = Guest(mode, ring).run("mov esi, after\ndb 0xf1\nafter: END")
        assert (result.vectors, result.last.ip) == ([DEBUG], result.esi)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_single_step_traps_after_each_instruction(mode):
    register = "rsp" if mode == "long" else "esp"
    result = Guest(mode, resume={DEBUG}).run(f"""
        pushf
        or dword [{register}], 0x100
        popf
        here: add ebx, 1
        out 0x80, al
        add ebx, 1
        pushf
        and dword [{register}], ~0x100
        popf
        mov esi, here
        add ebx, 1
        END""")
    assert result.ebx == 3
    steps = [event.ip - result.esi for event in result.events]
    assert steps[:3] == [3, 5, 8]
    assert len(steps) == 6 and all(event.dr6 & 0x4000 for event in result.events)


def test_fpu_error():
    result = Guest("protected").run("""
        fninit
        push 0x37b
        fldcw [esp]
        fld1
        fldz
        fdivp
        mov edi, $$ + (here - $$)
        here: fwait
        END""")
    assert (result.vectors, result.last.ip) == ([FPU_ERROR], result.edi)


# --- page faults ---

@pytest.mark.parametrize("mode", ["protected", "long"])
@pytest.mark.parametrize("ring, rights, instruction, error", [
    (0, 0, "mov eax, [ebx]", 0),
    (0, 0, "mov [ebx], eax", 2),
    (0, PRESENT | USER, "mov [ebx], eax", 3),
    (3, 0, "mov eax, [ebx]", 4),
    (3, 0, "mov [ebx], eax", 6),
    (3, PRESENT, "mov eax, [ebx]", 5),
    (3, PRESENT | USER, "mov [ebx], eax", 7),
])
def test_page_fault(mode, ring, rights, instruction, error):
    guest = Guest(mode, ring, paging=True)
    guest.pages.set(DATA, DATA | rights)
    if mode == "long":
        instruction = instruction.replace("ebx", "rbx")
    result = guest.run(f"mov ebx, {DATA + 8}\nmov edi, here\nhere: {instruction}\nEND")
    assert result.vectors == [PAGE_FAULT]
    assert (result.last.error, result.last.ip, result.cr2) == (error, result.edi, DATA + 8)


def test_page_fault_of_a_fetch():
    guest = Guest("long")
    guest.pages.set(DATA, DATA | ALL | 1 << 63)
    result = guest.run(f"mov eax, {DATA}\njmp rax")
    assert result.vectors == [PAGE_FAULT]
    assert (result.last.error & ~2, result.last.ip, result.cr2) == (0x11, DATA, DATA)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_page_fault_within_an_instruction_that_straddles_pages(mode):
    guest = Guest(mode, paging=True)
    guest.place(DATA + PAGE - 2, b"\xb8\x00")  # mov eax, 0x......00
    guest.pages.set(DATA + PAGE, 0)
    result = guest.run(f"mov eax, {DATA + PAGE - 2}\njmp {'rax' if mode == 'long' else 'eax'}")
    assert result.vectors == [PAGE_FAULT]
    assert (result.last.ip, result.cr2) == (DATA + PAGE - 2, DATA + PAGE)


@pytest.mark.parametrize("mode, ring", [("protected", 3), ("long", 0), ("long", 3)])
def test_a_storm_of_page_faults(mode, ring):
    """Stock Unicorn makes a double fault of the second one."""
    guest = Guest(mode, ring, paging=True)
    pages = 400
    for page in range(pages):
        guest.pages.set(DATA + page * PAGE, 0)
    handler = CODE + 0x4000
    guest.gate(PAGE_FAULT, handler)
    entry, size = guest.pages.entry(DATA), guest.pages.size
    a, sp = ("rax", "rsp") if mode == "long" else ("eax", "esp")
    guest.place(handler, f"""
        push {a}
        push {a.replace('a', 'd')}
        mov {a}, cr2
        mov edx, eax
        and edx, ~0xfff
        or edx, 7
        sub eax, {DATA}
        shr eax, 12
        mov [{a} * {size} + {entry}], edx
        inc dword [{FAULTS}]
        pop {a.replace('a', 'd')}
        pop {a}
        add {sp}, {size}
        iret{'q' if mode == 'long' else 'd'}""")
    result = guest.run(f"""
        mov ecx, {pages}
        mov esi, {DATA}
        again: inc dword [{a[0]}si + 4]
        add ebx, [{a[0]}si + 4]
        add esi, {PAGE}
        loop again
        END""")
    assert result.stop == "end" and not result.events
    assert result.ebx == pages
    assert guest.peek(FAULTS) == pages


# --- faults within faults ---

@pytest.mark.parametrize("mode", ["protected", "long"])
def test_page_fault_in_a_page_fault_leads_to_a_triple_fault(mode):
    guest = Guest(mode, paging=True)
    guest.pages.set(DATA, 0)
    guest.pages.set(IDT, 0)
    result = guest.run(f"mov eax, [{DATA}]\nEND")
    assert result.stop == "triple fault"  # by way of #DF, whose gate lies in that page, too


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_double_fault_where_the_stack_is_missing(mode):
    """#UD's frame cannot be pushed: #PF, whose frame cannot either: #DF, on a stack of its own."""
    guest = Guest(mode, paging=True)
    guest.pages.set(DATA, 0)
    if mode == "long":
        guest.poke(TSS_AT + 0x24, 0x38000, 8)  # IST 1
        guest.gate(DOUBLE)
        guest.ram[IDT + 16 * DOUBLE + 4] = 1
        result = guest.run(f"mov esp, {DATA + 0x800}\nhere: ud2")
        assert result.vectors == [DOUBLE]
        assert (result.last.error, result.last.ip) == (0, CODE + 5)
    else:
        guest.second_task("mov ecx, 0x77\npop eax\nEND")
        guest.gate(DOUBLE, 0, 0x60, 0xe5)
        result = guest.run(f"mov esp, {DATA + 0x800}\nhere: ud2")
        assert (result.stop, result.ecx, result.eax) == ("end", 0x77, 0)
    assert result.cr2 in (DATA + 0x7fc, DATA + 0x7f8)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_double_faults_again_and_again(mode):
    """Each is the first again once its handler has begun."""
    guest = Guest(mode, paging=True, resume={DOUBLE, PAGE_FAULT}, skip={DOUBLE: 2})
    guest.gate(PAGE_FAULT, kind=0x0e)  # not present: #PF becomes #NP in #PF, a double fault
    guest.pages.set(DATA, 0)
    load = "mov al, [ebx]" if mode == "protected" else "mov al, [rbx]"
    result = guest.run(f"mov ebx, {DATA}\n" + f"{load}\ninc esi\n" * 5 + "END")
    assert result.stop == "end" and result.esi == 5
    assert result.vectors == [DOUBLE] * 5


@pytest.mark.parametrize("mode, empty_idt", [
    ("real", "o32 lidt [cs:empty]"), ("protected", "lidt [empty]"), ("long", "lidt [empty]")])
@pytest.mark.parametrize("instruction", ["ud2", "int3", "int 0x80"])
def test_triple_fault(mode, empty_idt, instruction):
    guest = Guest(mode)
    result = guest.run(f"{empty_idt}\n{instruction}\nEND\nempty: dq 0, 0")
    assert result.stop == "triple fault"
    assert guest.run("mov ebx, 5\nEND").ebx == 5, "a reset starts the machine again"


def test_triple_fault_of_a_stack_beyond_the_address_space():
    assert Guest("long").run("mov rsp, 1 << 47\nud2").stop == "triple fault"


# --- software interrupts whose gate faults ---

@pytest.mark.parametrize("mode", ["protected", "long"])
@pytest.mark.parametrize("instruction, number", [("int 0x55", 0x55), ("int3", 3)])
def test_a_fault_at_a_gate_returns_to_the_int(mode, instruction, number):
    """Unicorn alone pushes the address of the instruction behind it."""
    guest = Guest(mode)
    guest.gate(number, kind=0x0e)
    result = guest.run(f"mov edi, here\nhere: {instruction}\nEND")
    assert result.vectors == [NOT_PRESENT]
    assert (result.last.error, result.last.ip) == (number * 8 + 2, result.edi)


def test_a_page_fault_at_a_gate_returns_to_the_int():
    guest = Guest("long")
    stack = DATA + PAGE  # the frame falls into the page before, which is missing
    guest.pages.set(DATA, 0)
    guest.poke(TSS_AT + 0x24, 0x38000, 8)
    guest.ram[IDT + 16 * PAGE_FAULT + 4] = 1
    result = guest.run(f"mov esp, {stack}\nmov edi, here\nhere: int 0x55\nEND")
    assert result.vectors == [PAGE_FAULT]
    assert (result.last.ip, result.last.error) == (result.edi, 2)


# --- stacks ---

def test_interrupt_stack_table():
    guest = Guest("long", ring=3)
    guest.poke(TSS_AT + 0x24, 0x38000, 8)
    guest.ram[IDT + 16 * UNDEFINED + 4] = 1
    result = guest.run("ud2")
    assert result.last.sp == 0x48000
    assert 0x38000 - 64 <= result.rsp < 0x38000


def test_return_to_ring_3_restores_its_stack():
    result = Guest("protected", 3, resume={BREAKPOINT}).run("""
        push 0x1234
        int3
        pop ebx
        mov cx, ss
        END""")
    assert (result.ebx, result.cx, result.last.sp) == (0x1234, 0x23, 0x48000 - 4)


def test_handlers_and_selectors_are_as_the_tests_think():
    guest = Guest("protected")
    assert guest.peek(IDT + 8 * UNDEFINED, 2) == HANDLERS + 16 * UNDEFINED
    assert guest.run("mov bx, ss\nEND").ebx == KDATA


def test_a_task_gate_switches_and_returns():
    guest = Guest("protected")
    guest.second_task("mov ecx, 0x77\npushf\npop ebp\nmov esi, [TSS2_AT]\niret\njmp $")
    guest.gate(0x81, 0, 0x60, 0xe5)
    result = guest.run("mov ebx, 0x55\nint 0x81\nmov edi, 0x99\nstr ax\nEND")
    assert (result.ebx, result.edi, result.ax) == (0x55, 0x99, 0x50)
    assert result.stop == "end" and guest.peek(0x5000) == 0x50


@isolated
def test_a_real_mode_stack_that_wraps():
    result = Guest("real").run("mov sp, 1\nint 0x80\nmov bx, 7\nEND")
    assert result.stop in ("end", "triple fault")
