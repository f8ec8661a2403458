"""The physical address space: RAM, ROM, devices, holes, and changes of the map while code runs."""
import mmap

import pytest
from guests.harness import (
    ALIAS,
    ALL,
    CODE,
    DATA,
    DEVICE,
    HOLE,
    PAGE,
    PAGE_FAULT,
    RAM_SIZE,
    TABLES,
    UNDEFINED,
    Guest,
    isolated,
)
from pyemu.engine.cpu import Cpu

FAR = 0xe0000000  # a gap of small granules
ABOVE = 1 << 40


# --- devices ---

@pytest.mark.parametrize("instruction, accesses", [
    ("mov al, [rsi]", [("read", 0, 1)]),
    ("mov ax, [rsi + 2]", [("read", 2, 2)]),
    ("mov eax, [rsi + 4]", [("read", 4, 4)]),
    ("mov rax, [rsi + 8]", [("read", 8, 4), ("read", 12, 4)]),
    ("mov [rsi + 1], bl", [("write", 1, 1, 0x88)]),
    ("mov [rsi + 2], bx", [("write", 2, 2, 0x7788)]),
    ("mov [rsi + 4], ebx", [("write", 4, 4, 0x55667788)]),
    ("mov [rsi + 8], rbx", [("write", 8, 4, 0x55667788), ("write", 12, 4, 0x11223344)]),
    ("inc dword [rsi]", [("read", 0, 4), ("write", 0, 4, 1)]),
    ("lock inc dword [rsi + 4]", [("read", 4, 4), ("write", 4, 4, 5)]),
])
def test_access_to_a_device(instruction, accesses):
    guest = Guest("long")
    result = guest.run(f"mov esi, DEVICE\nmov rbx, 0x1122334455667788\n{instruction}\nEND")
    assert result.stop == "end" and not result.events
    assert guest.device.accesses == accesses


def test_a_device_answers_what_it_is_asked_for():
    guest = Guest("long")
    guest.device.on_read = lambda offset, size: 0x1_2345_6789_abcd + offset
    result = guest.run("mov esi, DEVICE\nmov al, [rsi]\nmov bx, [rsi + 2]\nmov ecx, [rsi]\nEND")
    assert (result.rax & 0xff, result.bx, result.ecx) == (0xcd, 0xabcf, 0x6789abcd)


def test_string_instructions_on_a_device():
    guest = Guest("protected")
    result = guest.run("mov esi, DEVICE\nmov edi, DATA\nmov ecx, 4\nrep movsd\nEND")
    assert result.stop == "end"
    assert [guest.peek(DATA + 4 * i) for i in range(4)] == [0, 4, 8, 12]


def test_an_error_in_a_device_ends_the_run():
    guest = Guest("long")

    def fail(offset, size):
        raise LookupError("a bug in a chip")

    guest.device.on_read = fail
    with pytest.raises(LookupError, match="a bug in a chip"):
        guest.run("mov esi, DEVICE\nmov eax, [rsi]\nEND")
    guest.device.on_read = lambda offset, size: 5
    assert guest.run("mov esi, DEVICE\nmov eax, [rsi]\nEND").eax == 5, "still usable"


@isolated
def test_a_device_that_unmaps_itself():
    """As PCI functions do whose registers lie in the window that is being moved."""
    guest = Guest("long")

    def vanish(offset, size, value):
        guest.memory.unmap(guest.memory.find(DEVICE))

    guest.device.on_read = lambda offset, size: 5
    guest.device.on_write = vanish
    result = guest.run("mov esi, DEVICE\nmov eax, [rsi]\nmov [rsi], ebx\nmov ecx, [rsi]\nEND")
    assert (result.stop, result.eax, result.ecx) == ("end", 5, 0)


@isolated
def test_a_device_that_unmaps_itself_when_read():
    guest = Guest("long")

    def vanish(offset, size):
        guest.memory.unmap(guest.memory.find(DEVICE))
        return 7

    guest.device.on_read = vanish
    result = guest.run("mov esi, DEVICE\nmov eax, [rsi]\nmov ecx, [rsi]\nEND")
    assert (result.stop, result.eax, result.ecx) == ("end", 7, 0)


# --- what nobody answers ---

def test_holes_read_as_zeros_and_ignore_writes():
    """As with QEMU; a PC's bus reads as ones."""
    result = Guest("long").run("""
        mov esi, HOLE
        mov rax, rsi
        mov bl, 1
        mov [rsi], rsi
        mov rax, [rsi]
        mov bx, [rsi + 0xfff]
        lock add [rsi], esi
        pcmpeqb xmm0, xmm0
        movups xmm0, [rsi + 3]
        movq rcx, xmm0
        END""")
    assert (result.stop, result.rax, result.bx, result.rcx) == ("end", 0, 0, 0)


@pytest.mark.parametrize("address", [1 << 32, ABOVE, (1 << 52) - PAGE])
def test_pages_beyond_4_gib(address):
    """Unicorn alone ends the run with an error."""
    guest = Guest("long", cpu="Haswell")
    guest.pages.set(ALIAS, address | ALL)
    result = guest.run("mov esi, ALIAS\nmov rax, [rsi]\nmov [rsi], rbx\ninc ebx\nEND")
    if result.vectors:  # above the model's physical address width the bits are reserved
        assert result.vectors == [PAGE_FAULT] and result.last.error & 8
    else:
        assert (result.stop, result.rax, result.ebx) == ("end", 0, 1)


@pytest.mark.parametrize("address", [RAM_SIZE - 2, DEVICE - 2, DEVICE + PAGE - 2, FAR - 2])
def test_accesses_across_a_border(address):
    guest = Guest("protected")
    guest.poke(RAM_SIZE - 2, 0x2211, 2)
    result = guest.run(f"""
        mov esi, {address}
        mov [esi], eax
        mov ebx, [esi]
        lock inc word [esi + 1]
        END""")
    assert result.stop == "end" and not result.events


def test_page_tables_in_a_hole():
    """They read as zeros: not present."""
    guest = Guest("long")
    guest.poke(guest.pages.directory + 8 * (DATA // guest.pages.span), HOLE | ALL, 8)
    result = guest.run("mov eax, [DATA]\nEND")
    assert (result.vectors, result.last.error & 1) == ([PAGE_FAULT], 0)


@pytest.mark.parametrize("mode", ["protected", "long"])
@pytest.mark.parametrize("address", [HOLE, DEVICE, 1 << 31])
def test_execution_of_a_hole_is_an_undefined_instruction(mode, address):
    """FF FF, as a PC's empty bus reads. Unicorn alone ends the run with an error."""
    guest = Guest(mode)
    guest.device.on_read = lambda offset, size: 0xffffffff
    jump = "jmp rax" if mode == "long" else "jmp eax"
    result = guest.run(f"mov eax, {address}\n{jump}")
    assert (result.vectors, result.last.ip) == ([UNDEFINED], address)


def test_execution_runs_off_the_end_of_ram():
    guest = Guest("protected")
    guest.place(RAM_SIZE - 4, b"\x90\x90\x90\x90")
    result = guest.run(f"mov eax, {RAM_SIZE - 4}\njmp eax")
    assert (result.vectors, result.last.ip) == ([UNDEFINED], RAM_SIZE)


# --- ROM ---

@pytest.fixture
def rom():
    guest = Guest("protected", resume={14})
    guest.memory.map_rom(FAR, b"\x11\x22\x33\x44" * 0x800, "rom")
    return guest


def test_rom_ignores_writes(rom):
    result = rom.run(f"""
        mov esi, {FAR}
        mov dword [esi], 0xaabbccdd
        mov eax, [esi]
        lock inc dword [esi + 4]
        mov ebx, [esi + 4]
        mov word [esi + 0xfff], 0
        mov ecx, [esi + 0xffe]
        mov edi, esi
        push ecx
        mov ecx, 16
        rep stosd
        pop ecx
        mov edx, [esi + 8]
        END""")
    assert result.stop == "end" and not result.events
    assert result.eax == result.ebx == result.edx == 0x44332211
    assert result.ecx == 0x22114433


def test_rom_is_not_written_by_dma(rom):
    rom.memory.write(FAR - 4, b"\xff" * 16)
    assert rom.memory.read(FAR - 4, 8) == b"\xff\xff\xff\xff\x11\x22\x33\x44"


def test_code_in_rom():
    guest = Guest("protected")
    guest.place(DATA, "mov ebx, 5\nmov byte [esi + 1], 6\njmp next\nnext: mov ecx, ebx\nret")
    guest.memory.map_rom(FAR, guest.memory.read(DATA, 64), "rom")
    result = guest.run(f"mov esi, {FAR}\ncall esi\ncall esi\nEND")
    assert (result.stop, result.ecx) == ("end", 5)


# --- changes from an OUT ---

def test_pam_segment_from_rom_to_ram_and_back():
    guest = Guest("protected")
    area = FAR + 0x10000
    ram = mmap.mmap(-1, 0x4000)
    guest.memory.add_pam(area, memoryview(ram), b"\x5a" * 0x4000)
    settings = {0: (False, False), 1: (True, False), 2: (False, True), 3: (True, True)}
    guest.on_port(0x90, write=lambda value: guest.memory.set_pam(
        area, 0x4000, *settings[value & 3]))
    steps = "".join(f"""
        mov al, {mode}
        out 0x90, al
        mov {register}, [esi]
        mov dword [esi], {value}
        """ for mode, register, value in [(0, "ebx", 1), (3, "ecx", 2), (1, "edx", 3),
                                          (2, "ebp", 4), (3, "edi", 5)])
    result = guest.run(f"mov esi, {area}\nxor eax, eax\n{steps}END")
    rom_word = 0x5a5a5a5a
    assert (result.ebx, result.ecx, result.edx, result.ebp, result.edi) == (
        rom_word, 0, 2, rom_word, 4)


def test_code_runs_on_while_its_pam_segment_is_switched():
    """As SeaBIOS copies itself: the code that writes the register lies in the segment."""
    guest = Guest("protected")
    area = FAR + 0x10000
    guest.place(DATA, """
        mov al, 3
        out 0x90, al
        mov ebx, 0x11
        jmp next
        next: mov ecx, 0x11
        END""")
    rom = guest.memory.read(DATA, 0x40)
    ram = mmap.mmap(-1, 0x4000)
    ram[:0x40] = rom.replace(b"\xb9\x11", b"\xb9\x22")
    guest.memory.add_pam(area, memoryview(ram), rom.ljust(0x4000, b"\0"))
    guest.on_port(0x90, write=lambda value: guest.memory.set_pam(area, 0x4000, True, True))
    result = guest.run(f"mov eax, {area}\njmp eax")
    assert (result.stop, result.ecx) == ("end", 0x22)


@pytest.mark.parametrize("virtual", [FAR, ALIAS])
def test_data_remapped_from_an_out(virtual):
    guest = Guest("long", resume={14}, skip={14: 7})
    guest.pages.set(ALIAS, FAR | ALL)
    guest.pages.set(DATA, 0)
    pages = [mmap.mmap(-1, PAGE), mmap.mmap(-1, PAGE)]
    pages[0][:4], pages[1][:4] = b"AAAA", b"BBBB"
    regions = [guest.memory.map_ram(FAR, pages[0], "first")]

    def swap(value):
        guest.memory.unmap(regions.pop())
        regions.append(guest.memory.map_ram(FAR, pages[1], "second"))

    guest.on_port(0x90, write=swap)
    result = guest.run(f"""
        mov rsi, {virtual}
        mov ebx, [rsi]
        out 0x90, al
        mov ecx, [rsi]
        mov edx, [DATA]
        mov dword [rsi], 0x43434343
        END""")
    assert (result.stop, result.ebx, result.ecx) == ("end", 0x41414141, 0x42424242)
    assert result.vectors == [PAGE_FAULT]
    assert (pages[0][:4], pages[1][:4]) == (b"AAAA", b"CCCC")


def test_unmapped_from_an_out():
    guest = Guest("long")
    region = guest.memory.map_ram(FAR, mmap.mmap(-1, PAGE), "ram")
    guest.on_port(0x90, write=lambda value: guest.memory.unmap(region))
    result = guest.run(f"mov rsi, {FAR}\nmov ebx, [rsi]\nout 0x90, al\nmov ecx, [rsi]\nEND")
    assert (result.stop, result.ebx, result.ecx) == ("end", 0, 0)


@isolated
def test_maps_and_unmaps_thousands_of_times():
    guest = Guest("long")
    page = mmap.mmap(-1, 16 * PAGE)
    state = []

    def flip(value):
        if state:
            guest.memory.unmap(state.pop())
        else:
            state.append(guest.memory.map_ram(FAR, page, "ram"))

    guest.on_port(0x90, write=flip)
    result = guest.run(f"""
        mov rsi, {FAR}
        mov ecx, 2000
        turn: out 0x90, al
        mov eax, [rsi]
        mov [rsi + rcx], al
        add ebx, eax
        out 0x90, al
        loop turn
        END""", timeout=15)
    assert result.stop == "end"


def test_translate():
    """The debugger's page walk, which must not disturb the guest."""
    guest = Guest("long")
    guest.pages.set(ALIAS, DATA + PAGE | ALL)
    guest.run("END")
    assert guest.cpu.translate(ALIAS + 0x123) == DATA + PAGE + 0x123
    assert guest.cpu.translate(ALIAS + PAGE) == -1
    assert guest.cpu.translate(TABLES) == TABLES


def test_dma_reads_and_writes_across_regions():
    guest = Guest("real")
    guest.memory.write(RAM_SIZE - 4, b"12345678")
    assert guest.memory.read(RAM_SIZE - 4, 8) == b"1234\xff\xff\xff\xff"
    assert guest.memory.read(CODE, 0) == b""


@pytest.mark.parametrize(("ask", "complaint"), [
    (lambda cpu: cpu.unmap(ABOVE), "no mapping begins at 0x10000000000"),
    (lambda cpu: cpu.show(ABOVE, 0, 1, bytearray(1), 1, 1), "no device begins at 0x10000000000"),
    (lambda cpu: cpu.map_device(ABOVE, 5, None), "0x5 bytes at 0x10000000000 are not whole pages"),
    (lambda cpu: [cpu.map_device(ABOVE, PAGE, None) for _ in range(2)],
     "memory at 0x10000000000 is already mapped"),
])
def test_complaints_name_the_whole_address(ask, complaint):
    with pytest.raises(ValueError) as raised:
        ask(Cpu())
    assert str(raised.value) == complaint
