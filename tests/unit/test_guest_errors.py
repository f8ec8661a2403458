"""-d guest_errors and unimp: what chips say, which is what QEMU's say of the same accesses."""
import pytest
from pyemu.machine.fdc_commands import Commands
from pyemu.machine.i8237 import Dma
from pyemu.machine.pvpanic import PvPanic
from pyemu.trace import log

from .test_fdc import FIFO, Host
from .test_i8042 import Board
from .test_i8237 import Memory
from .test_i8259 import Rig


@pytest.fixture
def said(capfd):
    """What these items show of what is done."""
    def lines(items, action):
        log.choose(items)
        try:
            action()
        finally:
            log.choose("none")
        return capfd.readouterr().err.splitlines()

    yield lines
    log.close()


def test_keyboard_commands_that_are_none(clock, said):
    board = Board(clock)
    assert said("guest_errors",
                lambda: [board.command(value) for value in (0x99, 0xf1, 0xaa, 0x56)]) == [
        "unsupported keyboard cmd=0x99", "unsupported keyboard cmd=0x56"]


def test_panic_events_that_are_none(said):
    assert said("guest_errors", lambda: PvPanic(None).write(0, 1, 0x44)) == [
        "pvpanic: unknown event 0x44."]


def test_floppy_commands_that_are_none(said):
    host = Host()
    assert said("unimp", lambda: host.fdc.write(FIFO, 1, 0x1f)) == [
        "fdc: unimplemented command 0x1f"]
    assert 0x1f not in Commands.WHOLE_BYTE


def test_modes_of_dma_that_no_pc_uses(said):
    command = Dma(Memory()).first.write
    assert said("unimp", lambda: [command(8, 1, value) for value in (1, 4, 0x60)]) == [
        "i8257_write_cont: cmd 0x01 not supported", "i8257_write_cont: cmd 0x60 not supported"]


def test_level_triggered_pics(said):
    assert said("unimp", lambda: Rig(icw1=0x19)) == [
        "i8259: level sensitive irq not supported"] * 2
    assert said("guest_errors", lambda: Rig(icw1=0x19)) == []
