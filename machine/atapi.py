"""An IDE device that takes packets: the protocol that brings them in and their answers out.

PACKET asks the host for 12 bytes. What these order goes back through the data port, in blocks of at
most the byte count limit that the host has put into LBA mid and high, or by bus-master DMA. The
count register tells what a block is; a failed command leaves a sense key in the error register.
Source: ATA/ATAPI-6 (T13 1410D), sections 8.23 (PACKET), 8.10 (DEVICE RESET), 9.8 and 9.9.
"""
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from pyemu.machine.block.backend import Backend
from pyemu.machine.ide_device import (
    BSY,
    COUNT,
    DEVICE,
    FEATURES,
    LBA_HIGH,
    LBA_MID,
    READY,
    IdeDevice,
)
from pyemu.machine.ide_identify import identify_packet
from pyemu.trace.hooks import (
    trace_ide_atapi_cmd_error,
    trace_ide_atapi_cmd_packet,
    trace_ide_atapi_cmd_reply_end_eot,
    trace_ide_atapi_cmd_reply_end_new,
)

PACKET_SIZE = 12

# Features of PACKET
BY_DMA = 1 << 0
OVERLAPPED = 1 << 1

# Interrupt reason, in the count register
COMMAND = 1 << 0
TO_HOST = 1 << 1
REASON = 0b111

WIDEST_LIMIT = 0xFFFE  # bytes in a block

SET_TRANSFER_MODE = 0x03
DEVICE_RESET = 0x08
STANDBY, IDLE, ACTIVE = 0x00, 0x80, 0xFF  # what CHECK POWER MODE answers


class Sense(NamedTuple):
    """Why a command has failed: sense key, additional sense code and its qualifier."""

    key: int
    code: int
    qualifier: int = 0


class CheckCondition(Exception):
    """The command cannot be carried out."""

    def __init__(self, sense: Sense):
        self.sense = sense


class AtapiDevice(IdeDevice):
    """What carries the packets. A derived class has `command` and `refill`.

    pending: bytes of the answer that are here already; left: bytes that `refill` has to fetch.
    """

    STATE = (*IdeDevice.STATE, "limit", "by_dma", "pending", "left", "sense")
    SIGNATURE = b"\x14\xeb"
    READY_AFTER_RESET = 0  # it is ready when the first packet has come
    ALWAYS = frozenset((DEVICE_RESET,))

    def __init__(self, backend: Backend | None, serial: str, model: str, firmware: str):
        super().__init__(backend)
        self.serial = serial
        self.model = model
        self.firmware = firmware

    def reset(self) -> None:
        self.dma_mode = None
        self.soft_reset()

    def soft_reset(self) -> None:
        super().soft_reset()
        self.sense = Sense(0, 0)
        self.power = ACTIVE
        self.limit = 0
        self.by_dma = False

    def _stop(self) -> None:
        super()._stop()
        self.pending = b""
        self.left = 0

    def execute(self, command: int) -> None:
        self.status = READY
        self.error = 0
        self.COMMANDS.get(command, AtapiDevice.abort)(self)

    @abstractmethod
    def command(self, packet: bytes) -> None:
        """Begin what the packet orders: `reply`, `done` or `check` ends it."""

    @abstractmethod
    def refill(self, length: int, then: Callable[[], None]) -> None:
        """Move at least `length` of the bytes left, or all of them, into `pending`; go on."""

    def reply(self, data: bytes = b"", left: int = 0) -> None:
        """Answer with `data` and as many bytes more as `refill` is to fetch."""
        self.pending = data
        self.left = left
        total = len(data) + left
        if not total:
            self.done()
        elif self.by_dma:
            self.status = READY | BSY
            self.dma_length = total
            self.channel.dma.request()
        elif not self.limit:
            self.abort()
        else:
            self._send_block()

    def done(self) -> None:
        """The packet's command has succeeded."""
        if trace_ide_atapi_cmd_reply_end_eot:
            trace_ide_atapi_cmd_reply_end_eot(self, READY)
        self._give_reason(TO_HOST | COMMAND)
        self.complete()

    def check(self, sense: Sense) -> None:
        """The packet's command has failed: the host may ask why."""
        trace_ide_atapi_cmd_error(self, sense.key, sense.code)
        self.sense = sense
        self._give_reason(TO_HOST | COMMAND)
        self.fail(sense.key << 4)

    # The packet and its data

    def _packet(self) -> None:
        features = self.task[FEATURES]
        self.by_dma = bool(features & BY_DMA)
        self.limit = min(self.task[LBA_MID] | self.task[LBA_HIGH] << 8, WIDEST_LIMIT)
        if features & OVERLAPPED or (self.by_dma and not self.channel.dma):
            self.abort()
        else:
            self._give_reason(COMMAND)
            self.receive(PACKET_SIZE, "_packet_is_here", interrupt=False)

    def _packet_is_here(self) -> None:
        packet = bytes(self.buffer)
        if trace_ide_atapi_cmd_packet:
            trace_ide_atapi_cmd_packet(self, self.limit, packet.hex(" "))
        self.status = READY | BSY
        self.command(packet)

    def _send_block(self) -> None:
        total = len(self.pending) + self.left
        length = total if total <= self.limit else self.limit & ~1
        if not total:
            self.done()
        elif len(self.pending) < length:
            self.status = READY | BSY
            self.refill(length - len(self.pending), self._send_block)
        else:
            block, self.pending = self.pending[:length], self.pending[length:]
            self.task[LBA_MID], self.task[LBA_HIGH] = length & 0xFF, length >> 8
            self._give_reason(TO_HOST)
            if trace_ide_atapi_cmd_reply_end_new:
                trace_ide_atapi_cmd_reply_end_new(self, self.status)
            self.send(block, "_send_block")

    def run_dma(self) -> None:
        self.dma_length = 0
        self.channel.dma.to_memory(self.pending)
        self.pending = b""
        if self.left:
            self.refill(self.left, self.run_dma)
        else:
            self.channel.dma.end()
            self.done()

    def _give_reason(self, reason: int) -> None:
        self.task[COUNT] = self.task[COUNT] & ~REASON | reason

    # Commands besides

    def _identify_packet(self) -> None:
        self.send(identify_packet(self.serial, self.firmware, self.model, self.dma_mode), "idle")

    def _not_a_disk(self) -> None:
        """A host that takes us for one is shown the signature."""
        device = self.task[DEVICE]
        self._sign()
        self.task[DEVICE] = device
        self.abort()

    def _reset(self) -> None:
        self.soft_reset()

    def _set_features(self) -> None:
        if self.task[FEATURES] == SET_TRANSFER_MODE:
            self.set_transfer_mode()
        else:
            self.abort()

    COMMANDS: ClassVar[dict[int, Callable[["AtapiDevice"], None]]] = {
        DEVICE_RESET: _reset,
        0xA0: _packet,
        0xA1: _identify_packet,
        0xE0: lambda device: device.enter(STANDBY),
        0xE1: lambda device: device.enter(IDLE),
        0xE2: lambda device: device.enter(STANDBY),
        0xE3: lambda device: device.enter(IDLE),
        0xE5: IdeDevice.check_power,
        0xE6: lambda device: device.enter(STANDBY),  # SLEEP: the next packet wakes it
        0x20: _not_a_disk,  # READ SECTOR(S)
        0xEC: _not_a_disk,  # IDENTIFY DEVICE
        0xEF: _set_features,
    }
