"""Events of translated code, switched while the guest runs: it cannot tell, and they are true."""
import pytest
from guests.harness import ALIAS, ALL, DATA, PAGE, PAGE_FAULT, Guest
from pyemu.trace import hooks

SWITCH = 0x90  # port


@pytest.fixture
def listen():
    """listen(event, function): from now on; None: no more."""
    used = []

    def listen(name, function):
        used.append(hooks.hooks[name])
        used[-1].listeners = (function,) if function else ()

    yield listen
    for hook in used:
        hook.listeners = ()


@pytest.mark.parametrize("probe", ["guest_user_syscall_ret", "count_blocks"])
def test_what_has_seen_code_goes_when_that_is_not_mapped_any_more(probe, listen):
    """Looking for it must leave no page fault behind, which would make the next one double."""
    guest = Guest(resume=[PAGE_FAULT], skip={PAGE_FAULT: 2})

    def switch(on):
        if probe == "count_blocks":
            guest.cpu.count_blocks(on)
        else:
            listen(probe, (lambda *arguments: None) if on else None)

    def unmap_and_switch_off(value):
        guest.pages.set(ALIAS, 0)
        switch(False)

    guest.place(DATA, "ret")
    guest.pages.set(ALIAS, DATA | ALL)
    guest.on_port(SWITCH, write=unmap_and_switch_off)
    switch(True)
    result = guest.run(f"""
        mov eax, 0x123456
        mov cr2, rax
        mov edi, {ALIAS}
        call rdi
        out {SWITCH}, al
        mov rax, cr3
        mov cr3, rax
        mov rsi, cr2
        mov edi, {ALIAS + PAGE}
        mov eax, [rdi]
        mov ebx, 5
        END""")
    assert (result.stop, result.vectors, result.ebx) == ("end", [PAGE_FAULT], 5)
    assert (result.rsi, result.last.cr2) == (0x123456, ALIAS + PAGE)


def test_a_translation_is_reported_when_it_is_made(listen):
    guest = Guest()
    translated = []
    guest.on_port(SWITCH, write=lambda value: listen(
        "translate_block", lambda block, pc, code: translated.append(pc)))
    result = guest.run(f"""
        mov esi, one
        mov edi, two
        out {SWITCH}, al
        jmp one
        one: jmp two
        two: END""")
    assert translated[:2] == [result.rsi, result.rdi]
