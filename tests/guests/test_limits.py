"""The known limits of the CPU, as docs/limits.md lists them. A test that fails here is good news:
mend the page, and turn the test into one of what now works.
"""
from guests.harness import DATA, DEVICE, UNDEFINED, Guest


def run(program, mode="long", ring=0, **options):
    return Guest(mode, ring, **options).run(program)


def test_data_breakpoints_do_not_trap():
    result = run(f"mov rax, {DATA}\nmov dr0, rax\nmov eax, 0x000d0402\nmov dr7, rax\n"
                 f"mov dword [{DATA}], 1\nEND")
    assert (result.stop, result.events) == ("end", [])


def test_alignment_is_not_checked():
    result = run(f"pushfq\nor dword [rsp], 1 << 18\npopfq\nmov eax, [{DATA + 1}]\nEND", ring=3)
    assert (result.stop, result.events) == ("end", [])


def test_segment_limits_are_not_checked():
    """A load beyond the limit of a 64 KiB segment."""
    result = run("mov ax, KDATA16\nmov ds, ax\nmov eax, [0x20000]\nEND", mode="protected")
    assert (result.stop, result.events) == ("end", [])


def test_rdpmc_is_undefined():
    (event,) = run("xor ecx, ecx\nrdpmc\nEND").events
    assert event.vector == UNDEFINED


def test_alignment_of_sse_operands_is_not_checked():
    result = run(f"mov rax, cr4\nor eax, 0x200\nmov cr4, rax\nmovaps xmm0, [{DATA + 8}]\nEND")
    assert (result.stop, result.events) == ("end", [])


def test_smsw_leaves_the_upper_half_of_a_32_bit_register():
    result = run("mov eax, -1\nsmsw eax\nmov ebx, cr0\nEND", mode="protected")
    assert (result.eax, result.ebx >> 16) == (0xffff0000 | result.ebx & 0xffff, 0)


def test_umip_is_not_there():
    result = run("mov eax, 7\nxor ecx, ecx\ncpuid\nsidt [rsp - 16]\nEND", ring=3)
    assert (result.stop, result.events, result.ecx & 4) == ("end", [], 0)


def test_sse_exceptions_are_not_raised():
    result = run("""mov rax, cr4
        or eax, 0x600
        mov cr4, rax
        push 0x1d80          ; all but division by zero masked
        ldmxcsr [rsp]
        xorps xmm0, xmm0
        pcmpeqd xmm1, xmm1
        psrld xmm1, 25
        pslld xmm1, 23       ; 1.0
        divps xmm1, xmm0
        END""")
    assert (result.stop, result.events) == ("end", [])


def test_the_local_apic_stays_where_it_is():
    result = run(f"mov ecx, 0x1b\nmov eax, {DEVICE | 0x900}\nxor edx, edx\nwrmsr\nrdmsr\n"
                 f"mov ebx, {DEVICE}\nmov ebx, [rbx + 0x30]\nEND")
    assert (result.stop, result.rax, result.rbx) == ("end", DEVICE | 0x900, 0x30)


def test_fpu_errors_do_not_reach_irq_13():
    """With CR0.NE clear an unmasked error raises FERR#, which nobody sees."""
    result = run("""mov rax, cr0
        and eax, ~0x20
        mov cr0, rax
        fninit
        push 0x37b           ; division by zero not masked
        fldcw [rsp]
        fld1
        fldz
        fdivp
        fwait
        END""")
    assert (result.stop, result.events) == ("end", [])
