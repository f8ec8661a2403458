"""What the processor does, told by kernels that run on both emulators (processor.asm)."""
import hashlib
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from boot.console import PYEMU, ROOT

QEMU = "qemu-system-x86_64"
SOURCE = Path(__file__).with_name("processor.asm")
BUILT = ROOT / "build/kernels"
OPTIONS = ["-nodefaults", "-display", "none", "-serial", "stdio",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
SECONDS = 60

DAZ, FTZ = 0x40, 0x8000
OPERATIONS = ("addsd", "subsd", "mulsd", "divsd", "maxsd", "sqrtsd", "cvtsd2ss", "cvtss2sd",
              "mulps", "addps", "divss", "addpd", "mulpd")
OPERANDS = (  # of doubles, and of floats: the least normal and a half, denormals, denormal results
    (0x0010000000000000, 0x3fe0000000000000), (0x0010000000000001, 0x3fefffffffffffff),
    (0x8000000000000003, 0x4340000000000000), (0x0000000000000003, 0x0010000000000000),
    (0x3810000000000000, 0x36a0000000000001), (0x3f0000003f000000, 0x0080000180000003),
    (0x0080000100800000, 0x8080000000800001))

BODIES = {
    "CR8 is the task priority": """
        mov eax, 0x35
        mov [LAPIC + 0x80], eax
        mov rax, cr8
        SHOW rax
        mov eax, 9
        mov cr8, rax
        mov eax, [LAPIC + 0x80]
        SHOW rax
        mov eax, [LAPIC + 0xa0]         ; PPR
        SHOW rax
        mov rax, cr8
        SHOW rax
        END""",
    "CR8 holds interrupts back": """
        sti
        mov eax, 5
        mov cr8, rax
        mov dword [LAPIC + 0x300], 0x40055  ; to itself
        mov dword [LAPIC + 0x300], 0x40041
        mov dword [LAPIC + 0x300], 0x40061
        nop
        SHOW rax
        mov eax, 4
        mov cr8, rax
        SHOW rax
        mov eax, 15
        mov cr8, rax
        mov dword [LAPIC + 0x300], 0x400ef
        nop
        SHOW rax
        xor eax, eax
        mov cr8, rax
        SHOW rax
        END""",
    "CR8 withdraws a request": """
        cli
        mov dword [LAPIC + 0x300], 0x40055
        mov eax, 5
        mov cr8, rax
        sti
        nop
        nop
        SHOW rax
        mov eax, 4
        mov cr8, rax
        nop
        SHOW rax
        END""",
    "the local APIC switched off": """
        mov ecx, 0x1b
        mov eax, 0xfe000900
        xor edx, edx
        wrmsr
        rdmsr
        SHOW rax
        SHOW rdx
        mov eax, [LAPIC + 0x30]
        SHOW rax                            ; where it was
        mov eax, 0xfee00000 | 0x100
        wrmsr
        rdmsr
        SHOW rax
        mov eax, 1
        cpuid
        SHOW rdx
        END""",
    "FTZ and DAZ": "".join(f"""
        push {0x1f80 | flush}
        ldmxcsr [rsp]
        fninit
        mov rbx, {a}
        mov rcx, {b}
        movq xmm0, rbx
        movq xmm1, rcx
        {operation} xmm0, xmm1
        movq rax, xmm0
        SHOW rax
        push rbx
        fld qword [rsp]             ; the x87 flushes nothing
        fmul dword [half]
        fstp qword [rsp]
        pop rax
        SHOW rax""" for flush, (a, b), operation in itertools.product(
            (0, DAZ, FTZ, FTZ | DAZ), OPERANDS, OPERATIONS)) + """
        END
half:   dd 0.5""",
}


def build(body):
    """The kernel that runs these lines, built if it is not there."""
    source = SOURCE.read_text().replace("        BODY\n", body + "\n")
    kernel = BUILT / f"processor-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if not kernel.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        text = kernel.with_suffix(".asm")
        text.write_text(source)
        subprocess.run(["nasm", "-f", "bin", "-o", kernel, text], check=True)
    return kernel


def run(emulator, body, *options):
    """What a kernel says."""
    if not shutil.which(QEMU):
        pytest.skip(f"{QEMU} is not installed")
    done = subprocess.run([emulator, *OPTIONS, "-kernel", build(body), *options], timeout=SECONDS,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    return done.stdout.split("\n")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_like_qemu(body):
    ours = run(PYEMU, body)
    assert ours == run(QEMU, body) and len(ours) > 1
