"""The guest's backtrace, in each mode, with frame pointers and without, and on rubbish."""
import random
import re

import pytest
from guests.harness import CODE, Guest
from pyemu.backtrace import backtrace
from pyemu.trace import control
from pyemu.trace.symbols import Symbols

WITH_FRAMES = """
    xor {bp}, {bp}
    call outer
    END
outer:
    push {bp}
    mov {bp}, {sp}
    push {ax}
    call inner
    pop {ax}
    pop {bp}
    ret
inner:
    push {bp}
    mov {bp}, {sp}
    mov al, 0
    out 0x90, al
    pop {bp}
    ret
"""
WITHOUT_FRAMES = """
    mov {bp}, 0x123
    mov {bx}, outer
    call {bx}
    END
outer:
    push {ax}
    call inner
    pop {ax}
    ret
inner:
    mov al, 0
    out 0x90, al
    ret
"""
REGISTERS = {"real": "", "protected": "e", "long": "r"}


def traced(mode, source):
    """The lines at the OUT of a program."""
    guest, seen = Guest(mode), []
    guest.on_port(0x90, write=lambda value: seen.append(backtrace(guest.cpu, guest.memory)))
    letter = REGISTERS[mode]
    names = {name: letter + name for name in ("ax", "bx", "bp", "sp")}
    assert guest.run(source.format(**names)).stop == "end"
    return seen[0].splitlines()


@pytest.mark.parametrize("mode", REGISTERS)
def test_frame_pointers_lead_from_call_to_call(mode):
    lines = traced(mode, WITH_FRAMES)
    assert [line.split()[0] for line in lines] == ["#0", "#1", "#2"]
    ip, inner, outer = (int(line.split()[1], 16) for line in lines)
    assert CODE < outer < inner < ip < CODE + 64


@pytest.mark.parametrize("mode", REGISTERS)
def test_without_frame_pointers_the_stack_is_searched(mode):
    lines = traced(mode, WITHOUT_FRAMES)
    assert [line.split()[0] for line in lines[:3]] == ["#0", "?", "?"]
    ip, inner, outer = (int(line.split()[1], 16) for line in lines[:3])
    assert CODE < outer < inner < ip < CODE + 64


def test_names_of_symbols(monkeypatch):
    monkeypatch.setattr(control, "symbols", Symbols([(CODE, "start"), (CODE + 9, "outer")]))
    lines = traced("long", WITH_FRAMES)
    assert re.fullmatch(r"#0  0x[0-9a-f]{16} outer\+0x[0-9a-f]+", lines[0])
    assert re.fullmatch(r"#2  0x[0-9a-f]{16} start\+0x[0-9a-f]+", lines[2])


@pytest.mark.parametrize("mode", REGISTERS)
def test_rubbish_in_the_registers_does_no_harm(mode):
    guest, random_bits = Guest(mode), random.Random(1)
    guest.run("END")
    for _ in range(200):
        bits = random_bits.choice((8, 16, 20, 32, 47, 64))
        guest.cpu.rsp, guest.cpu.rbp = (random_bits.getrandbits(bits) for _ in range(2))
        assert len(backtrace(guest.cpu, guest.memory).splitlines()) < 1100
    for rsp in (0, 1, (1 << 64) - 1, (1 << 64) - 9, 1 << 47):
        guest.cpu.rsp = guest.cpu.rbp = guest.cpu.rip = rsp
        assert backtrace(guest.cpu, guest.memory).startswith("#0 ")
