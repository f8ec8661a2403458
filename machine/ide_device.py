"""What the devices on an IDE channel have in common: task file, status, data blocks.

Source: ATA/ATAPI-6 (T13 1410D), section 7 (registers), 9.12 (signature), 9.5 and 9.6 (PIO data).
"""
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from pyemu.machine.block.backend import Backend
from pyemu.machine.block.request import Request
from pyemu.machine.chip import Chip
from pyemu.machine.ide_identify import DmaMode, transfer_mode
from pyemu.trace.hooks import trace_ide_reset

# Indices of the task file
FEATURES, COUNT, LBA_LOW, LBA_MID, LBA_HIGH, DEVICE = range(6)

# Status
BSY = 1 << 7
DRDY = 1 << 6
DSC = 1 << 4  # seek complete; an obsolete bit that firmware still looks at
DRQ = 1 << 3
ERR = 1 << 0
READY = DRDY | DSC

# Error
UNC = 1 << 6  # the data cannot be read
IDNF = 1 << 4  # there is no such sector
ABRT = 1 << 2
PASSED = 0x01  # the diagnostic code in the error register after a reset

DEVICE_AFTER_RESET = 0xA0  # two bits that were once always set


class Absent:
    """The registers of a place with no device, beside one: as QEMU's, with a signature of nobody.

    Bochs' BIOS, and others like it, takes any other one for a device.
    """

    channel: Any = None

    def __init__(self) -> None:
        self.soft_reset()

    def soft_reset(self) -> None:
        self.task = bytearray((0, 1, 1, 0xFF, 0xFF, DEVICE_AFTER_RESET))
        self.previous = bytearray(6)

    reset = soft_reset

    def hold(self) -> None:
        """There is nothing to wait for."""


class IdeDevice(Chip, ABC):
    """The registers of a device, and its buffer between it and the data port.

    The channel, which puts itself into `channel`, reads `task`, `previous`, `status`, `error`,
    `interrupt` (INTRQ pending), `buffer` and `position`, and calls `execute`, `block_done`,
    `hold`, `soft_reset`. The bus master looks at `dma_length` (bytes that a command waits to move;
    0 if none does) and calls `run_dma`, `refuse_dma` or `settle`.
    """

    STATE: ClassVar[tuple[str, ...]] = (
        "task", "previous", "status", "error", "interrupt", "buffer", "position", "sending",
        "receiving", "then", "dma_length", "dma_mode", "power")
    SIGNATURE = bytes(2)  # LBA mid and high after a reset
    READY_AFTER_RESET = READY
    ALWAYS: ClassVar[frozenset[int]] = frozenset()  # commands that are taken even while busy

    def __init__(self, backend: Backend | None) -> None:
        self.backend = backend  # None: there is no medium
        self.channel: Any = None
        self.asked: Request | None = None  # of the image, last
        self.dma_mode: DmaMode | None = None
        self.power = 0  # what CHECK POWER MODE answers

    def reset(self) -> None:
        self.soft_reset()

    def soft_reset(self) -> None:
        """End what was going on and show the signature."""
        trace_ide_reset(self)
        self._forget()
        self._sign()
        self.previous = bytearray(6)
        self.status = self.READY_AFTER_RESET
        self.error = PASSED
        self.interrupt = False
        self._stop()

    def hold(self) -> None:
        """SRST is asserted."""
        self._forget()
        self.status = BSY
        self.interrupt = False
        self._stop()

    @abstractmethod
    def execute(self, command: int) -> None:
        """Begin a command. The device is neither busy nor waiting for data."""

    @abstractmethod
    def run_dma(self) -> None:
        """Move all data by `channel.dma.to_memory()` or `from_memory()`, `end()` it, complete."""

    def refuse_dma(self) -> None:
        """The host's memory is too small for the command: it ends without an interrupt."""
        self.status = READY
        self.dma_length = 0

    def settle(self) -> None:
        """Wait until the image has done what was asked of it."""
        if self.status & BSY and self.backend:
            self.backend.drain()

    # For the commands

    def ask(self, request: Request) -> None:
        """Be busy until this request to the image has ended."""
        self.status = READY | BSY
        self.asked = request
        assert self.backend  # who asks has looked
        self.backend.start(request)

    def send(self, data: bytes, then: str) -> None:
        """Offer a block to the host; when it has taken all, call the method named `then`."""
        self.buffer: bytes | bytearray = data
        self.sending = True
        self._offer(then)
        self._interrupt()

    def receive(self, length: int, then: str, interrupt: bool) -> None:
        """Ask the host for a block; when it is in `buffer`, call the method named `then`.

        interrupt: false for the first block of a command.
        """
        self.buffer = bytearray(length)
        self.receiving = True
        self._offer(then)
        if interrupt:
            self._interrupt()

    def block_done(self) -> None:
        self.sending = self.receiving = False
        getattr(self, self.then)()

    def complete(self) -> None:
        """The command has succeeded: tell the host."""
        self.idle()
        self._interrupt()

    def fail(self, error: int) -> None:
        """The command has failed: tell the host why."""
        self._stop()
        self.status = DRDY | ERR
        self.error = error
        self._interrupt()

    def abort(self) -> None:
        self.fail(ABRT)

    def idle(self) -> None:
        """The command is over; the host knows already."""
        self._stop()
        self.status = READY
        self.error = 0

    def set_transfer_mode(self) -> None:
        """SET FEATURES, of which this is one that all devices have."""
        try:
            self.dma_mode = transfer_mode(self.task[COUNT])
        except ValueError:
            self.abort()
        else:
            self.complete()

    def enter(self, power: int) -> None:
        self.power = power
        self.complete()

    def check_power(self) -> None:
        self.task[COUNT] = self.power
        self.complete()

    def _sign(self) -> None:
        """Show what kind of device this is."""
        self.task = bytearray((0, 1, 1, *self.SIGNATURE, DEVICE_AFTER_RESET))

    def _offer(self, then: str) -> None:
        self.position = 0
        self.then = then
        self.status = READY | DRQ
        self.error = 0

    def _forget(self) -> None:
        """Not to hear of what was asked of the image."""
        if self.asked:
            self.asked.cancel()
            self.asked = None

    def _stop(self) -> None:
        self.buffer = b""
        self.position = 0
        self.sending = self.receiving = False
        self.then = "idle"
        self.dma_length = 0

    def _interrupt(self) -> None:
        self.interrupt = True
        self.channel.update()
