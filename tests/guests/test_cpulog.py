"""-d in_asm, exec, cpu, int, cpu_reset, guest_errors: lines in QEMU's layout."""
import re

import pytest
from guests.harness import CODE, Guest
from pyemu.cpulog import CpuLog
from pyemu.trace import hooks, log

UNASSIGNED = 0x3000_0000


@pytest.fixture
def logged(capfd):
    """Lines that a program makes under these items."""
    def run(items, code, mode="long", **options):
        guest = Guest(mode, **options)
        CpuLog(guest)
        log.choose(items)
        result = guest.run(code)
        log.choose("none")
        assert result.stop == "end"
        return capfd.readouterr().err.splitlines()

    yield run
    log.choose("none")
    for item in log.items.values():
        item.on_change = None
    log.close()
    assert not any(hook.listeners for hook in hooks.hooks.values())


def test_code_as_it_is_translated(logged):
    lines = logged("in_asm", "mov rax, 0x1122334455667788\nnop\nEND")
    at = lines.index(f"0x{CODE:08x}:  48 b8 88 77 66 55 44 33  movabsq  $0x1122334455667788, %rax")
    assert lines[at - 2:at] == ["----------------", "IN: "]
    assert lines[at + 1:at + 3] == [f"0x{CODE + 8:08x}:  22 11",
                                    f"0x{CODE + 10:08x}:  90                       nop      "]
    assert lines[1:3] == ["IN: ", "0xfffffff0:  ea 00 7c 00 00           ljmpw    $0x0:$0x7c00"]


def test_blocks_as_they_are_executed(logged):
    lines = logged("exec", "mov ecx, 3\nL: dec ecx\njnz L\nEND")
    pattern = r"Trace 0: 0x[0-9a-f]+ \[[0-9a-f]{16}/([0-9a-f]{16})/[0-9a-f]{8}/[0-9a-f]{8}\] "
    addresses = [int(re.fullmatch(pattern, line)[1], 16) for line in lines]
    assert addresses[0] == 0xfffffff0 and addresses.count(CODE + 5) == 2


def test_registers_before_each_block(logged):
    lines = logged("cpu", "mov ecx, 3\nL: dec ecx\njnz L\nEND")
    assert [line[-1] for line in lines if re.match(r"RAX=.* RCX=0{15}[1-3] ", line)]
    assert any(" RCX=0000000000000002 " in line for line in lines)
    assert any(" RCX=0000000000000001 " in line for line in lines)


def test_exceptions_and_interrupts(logged):
    lines = logged("int", "int 0x50\nmov al, 0x60\nout PORT_IRQ, al\nsti\nnop\nEND")
    soft, hard = (n for n, line in enumerate(lines) if ": v=" in line)
    assert re.match(r"     0: v=50 e=0000 i=1 cpl=0 IP=0008:0{8}[0-9a-f]{8} pc=[0-9a-f]{16} "
                    r"SP=0010:[0-9a-f]{16} env->regs\[R_EAX\]=[0-9a-f]{16}$", lines[soft])
    assert lines[soft + 1].startswith("RAX=")
    assert lines[hard - 1] == "Servicing hardware INT=0x60"
    assert lines[hard].startswith("     1: v=60 e=0000 i=0 cpl=0 ")


def test_a_page_fault_has_its_address(logged):
    lines = logged("int", "mov rax, 0x7fffffff000\nmov al, [rax]\nEND", resume=(14,), skip={14: 2})
    assert any(re.match(r" +\d+: v=0e e=0000 i=0 .* CR2=000007fffffff000$", line)
               for line in lines)


def test_exceptions_are_checked_first(logged):
    lines = logged("int", "mov rax, 0x7fffffff000\nmov al, [rax]\nud2\nint 0x50\nEND",
                   resume=(14, 6), skip={14: 2, 6: 2})
    checks = [n for n, line in enumerate(lines) if line.startswith("check_exception")]
    assert [lines[n] for n in checks] == ["check_exception old: 0xffffffff new 0xe",
                                          "check_exception old: 0xffffffff new 0x6"]
    assert all(": v=" in lines[n + 1] for n in checks)
def test_changes_of_control_registers(logged):
    lines = logged("mmu", "mov rax, cr3\nmov cr3, rax\nmov rax, cr0\nmov cr0, rax\nEND")
    cr3 = next(line for line in lines if line.startswith("CR3"))
    assert re.fullmatch("CR3 update: CR3=[0-9a-f]{16}", cr3)
    assert re.fullmatch("CR0 update: CR0=0x[0-9a-f]{8}", lines[-1])


def test_registers_with_those_of_the_fpu(logged):
    code = "fld1\njmp $ + 2\nEND"
    assert "FPR7=8000000000000000 3fff" in "\n".join(logged("cpu,fpu", code))
    assert not [line for line in logged("cpu", code) if line.startswith("FPR")]


def test_blocks_at_some_addresses_only(logged):
    log.start(log.LogOptions(ranges=(range(CODE + 5, CODE + 6),)))
    lines = logged("exec,in_asm", "mov ecx, 3\nL: dec ecx\njnz L\nEND")
    log.start(log.LogOptions())
    assert {line.split("/")[1] for line in lines if line.startswith("Trace")} == {
        f"{CODE + 5:016x}"}
    assert lines.count("IN: ") == 1


def test_accesses_that_nobody_answers(logged):
    lines = logged("guest_errors", f"mov eax, [{UNASSIGNED}]\nmov [{UNASSIGNED} + 4], al\nEND",
                   mode="protected")
    assert lines == ["Invalid read at addr 0x30000000, size 4, region '(null)', reason: rejected",
                     "Invalid write at addr 0x30000004, size 1, region '(null)', reason: rejected"]
