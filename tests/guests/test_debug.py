"""What a debugger does to the CPU: stops where it asked, and nothing that the guest can see."""
import pytest
from guests.harness import CODE, DATA, HANDLERS, PORT_IRQ, UNDEFINED, Guest
from pyemu.engine.cpu import DEBUG, HALTED, WATCH_READ, WATCH_WRITE

MODES = ["real", "protected", "long"]
COUNT = """
        xor ecx, ecx
next:   inc ecx         ; at offset 3, or 2 bytes less outside of 16-bit code
        cmp ecx, 5
        jne next
        END
"""


def stops(guest, code, limit=20):
    """Linear addresses where run() returns DEBUG, until it returns anything else."""
    guest.start(code)
    addresses = []
    while len(addresses) < limit and guest.cpu.run() == DEBUG:
        addresses.append(guest.cpu.cs[1] + guest.cpu.rip)
        yield addresses[-1]


def inc_at(mode):
    return CODE + (3 if mode == "real" else 2)


def go_past(cpu):
    """Step over the instruction at a breakpoint, as debuggers do."""
    here = cpu.cs[1] + cpu.rip
    cpu.set_breakpoints([])
    cpu.stepping = True
    assert cpu.run() == DEBUG
    cpu.stepping = False
    cpu.set_breakpoints([here])


@pytest.mark.parametrize("mode", MODES)
def test_a_breakpoint_stops_before_the_instruction_each_time(mode):
    guest = Guest(mode)
    guest.cpu.set_breakpoints([inc_at(mode)])
    seen = []
    for address in stops(guest, COUNT):
        seen.append((address, guest.cpu.rcx))
        go_past(guest.cpu)
    assert seen == [(inc_at(mode), count) for count in range(5)]
    assert guest.cpu.rcx == 5


def test_a_breakpoint_stays_until_it_is_taken_away():
    guest = Guest()
    guest.cpu.set_breakpoints([CODE + 2])
    guest.start(COUNT)
    assert [guest.cpu.run() for _ in range(3)] == [DEBUG] * 3
    guest.cpu.set_breakpoints([])
    assert guest.go_on().rcx == 5


def test_a_breakpoint_in_code_that_has_run_already():
    guest = Guest()
    assert guest.run(COUNT).stop == "end"
    guest.cpu.set_breakpoints([CODE + 2, CODE + 0x1000])
    assert next(stops(guest, COUNT)) == CODE + 2


@pytest.mark.parametrize("mode", MODES)
def test_steps_stop_after_each_instruction(mode):
    guest = Guest(mode)
    guest.cpu.set_breakpoints([CODE])
    assert next(stops(guest, "nop\nstc\nmov ecx, 7\njmp over\nnop\nover: END")) == CODE
    guest.cpu.stepping = True
    guest.cpu.set_breakpoints([])
    lengths = []
    for _ in range(4):
        before = guest.cpu.rip
        assert guest.cpu.run() == DEBUG
        lengths.append(guest.cpu.rip - before)
    assert lengths == [1, 1, 6 if mode == "real" else 5, 3]
    assert guest.cpu.rflags & 1
    assert not guest.cpu.rflags & 0x100  # the trap flag, which the guest could see
    guest.cpu.stepping = False
    assert guest.go_on().rcx == 7


def test_steps_leave_the_flags_as_they_are():
    code = "mov eax, 0x80000000\nadd eax, eax\npushf\npop rbx\nEND"
    expected = Guest().run(code).rbx
    guest = Guest()
    guest.start(code)
    guest.cpu.stepping = True
    while not guest.ended:
        guest.cpu.run()
    assert guest.cpu.rbx == expected


def test_a_step_into_a_fault_stops_at_the_handler():
    guest = Guest(resume=[UNDEFINED], skip={UNDEFINED: 2})
    guest.cpu.set_breakpoints([CODE])
    assert next(stops(guest, "ud2\nEND")) == CODE
    guest.cpu.stepping = True
    assert guest.cpu.run() == DEBUG
    assert guest.cpu.rip == HANDLERS + 16 * UNDEFINED
    guest.cpu.stepping = False
    assert guest.go_on().vectors == [UNDEFINED]


def test_no_interrupt_gets_into_a_step():
    guest = Guest()
    guest.on_port(PORT_IRQ + 1, write=lambda value: None)
    guest.cpu.set_breakpoints([CODE + 1])
    assert next(stops(guest, "sti\nnop\nnop\nnop\nEND")) == CODE + 1
    guest.interrupt(0x40)
    guest.cpu.stepping = True
    guest.cpu.set_breakpoints([])
    for step in range(1, 4):
        assert guest.cpu.run() == DEBUG
        assert guest.cpu.rip == CODE + 1 + step
    guest.cpu.stepping = False
    assert guest.go_on().vectors == [0x40]


def test_a_step_out_of_hlt_goes_on_behind_it():
    """As in QEMU: the interrupt wakes the CPU, and is taken after the step."""
    guest = Guest()
    assert guest.run("sti\nhlt\nafter: nop\nmov esi, after\nEND").stop == "halt"
    guest.cpu.stepping = True
    assert guest.cpu.run() == HALTED, "there is nothing to wake for"
    guest.interrupt(0x40)
    assert guest.cpu.run() == DEBUG
    behind = guest.cpu.rip
    guest.cpu.stepping = False
    result = guest.go_on()
    assert (result.vectors, behind, result.last.ip) == ([0x40], result.rsi + 1, result.rsi + 1)


ACCESSES = f"""
        mov ebx, {DATA}
        mov dword [rbx + 8], 1
        mov eax, [rbx]
        mov dword [rbx], 2
after:  inc dword [rbx]
        add al, [rbx + 3]
        mov word [rbx - 1], 0
        END
"""


@pytest.mark.parametrize(("access", "values"), [
    (WATCH_WRITE, [2, 3, 0]), (WATCH_READ, [0, 3, 3]), (WATCH_READ | WATCH_WRITE, [0, 2, 3, 3, 0]),
])
def test_a_watchpoint_stops_after_the_instruction(access, values):
    guest = Guest()
    guest.cpu.set_watchpoints([(0x1000000, 4, access), (DATA, 4, access)])
    seen = []
    for _ in stops(guest, ACCESSES):
        assert guest.cpu.watch_hit == 1
        seen.append(guest.peek(DATA))
    assert seen == values
    assert guest.ended
    assert guest.peek(DATA + 8) == 1


def test_watching_leaves_the_flags_as_they_are():
    code = f"""
        mov ebx, {DATA}
        mov eax, 0x80000000
        add eax, eax
        mov [rbx], eax
        pushf
        pop rcx
        sub eax, 1
        pushf
        pop rdx
        END"""
    expected = Guest().run(code)
    guest = Guest()
    guest.cpu.set_watchpoints([(DATA, 1, WATCH_WRITE)])
    assert len(list(stops(guest, code))) == 1
    assert (guest.cpu.rcx, guest.cpu.rdx) == (expected.rcx, expected.rdx)
    guest.cpu.set_watchpoints([])
    assert guest.run(code).rcx == expected.rcx


def test_the_guests_own_breakpoints_work_beside():
    guest = Guest(resume=[1])
    code = "mov rax, after\nmov dr0, rax\nmov eax, 0x401\nmov dr7, rax\nnop\nafter: nop\nEND"
    guest.cpu.set_breakpoints([CODE])
    list(stops(guest, code, limit=1))
    guest.cpu.set_breakpoints([])
    guest.run(code, timeout=1)
    assert guest.events()[0].vector == 1


@pytest.mark.parametrize("wrong", [5, [None], [1 << 64], ["x"]])
def test_breakpoints_are_addresses(wrong):
    with pytest.raises((TypeError, OverflowError)):
        Guest().cpu.set_breakpoints(wrong)


@pytest.mark.parametrize("wrong", [5, [3], [(1, 2)], [(1, 2, "x")]])
def test_watchpoints_are_triples(wrong):
    with pytest.raises(TypeError):
        Guest().cpu.set_watchpoints(wrong)


def test_mxcsr_can_be_set():
    guest = Guest()
    guest.on_port(0x90, write=lambda value: setattr(guest.cpu, "mxcsr", 0x7f80))  # towards zero
    result = guest.run(f"""
        mov edi, {DATA}
        mov rax, __?float64?__(1.75)
        movq xmm0, rax
        cvtsd2si ecx, xmm0
        out 0x90, al
        cvtsd2si edx, xmm0
        stmxcsr [rdi]
        END""")
    assert (result.ecx, result.edx, guest.peek(DATA)) == (2, 1, 0x7f80)


def test_flags_can_be_set():
    cpu = Guest().cpu
    for flags in (0x2, 0x8d7, 0x602, 0x202):
        cpu.rflags = flags
        assert cpu.rflags == flags


@pytest.mark.parametrize("name", ["cr0", "cr3", "cr4", "efer", "dr0", "dr7", "fpu_control"])
def test_what_the_cpu_derives_more_from_is_set_by_the_guest_alone(name):
    with pytest.raises(AttributeError):
        setattr(Guest().cpu, name, 0)
