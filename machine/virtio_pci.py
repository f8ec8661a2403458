"""A virtio device on PCI as drivers of its first version see it: by the ports of BAR0.

Twenty bytes are the same for all kinds of device, the rest are those of its kind.

Source: Virtual I/O Device Version 1.1, sections 2.1 (status), 4.1.4.8 (legacy interface), 4.1.5.
"""
from abc import abstractmethod
from typing import Any, ClassVar

from pyemu.machine.pci import SUBSYSTEM_ID, SUBSYSTEM_VENDOR_ID, PciDevice
from pyemu.machine.pci_bar import IoBar
from pyemu.machine.virtio_queue import Queue, QueueError
from pyemu.trace.hooks import (
    trace_virtio_notify,
    trace_virtio_queue_notify,
    trace_virtio_set_status,
)

VENDOR = 0x1AF4
TRANSITIONAL = 0x1000  # device numbers from here on
PORTS = 128

# Offsets in BAR0, with the size of each register
HOST_FEATURES, GUEST_FEATURES, QUEUE_PAGE = 0x00, 0x04, 0x08
QUEUE_SIZE, QUEUE_SELECT, QUEUE_NOTIFY, STATUS, ISR, CONFIG = 0x0C, 0x0E, 0x10, 0x12, 0x13, 0x14

# Features of the transport
INDIRECT_DESCRIPTORS, EVENT_INDEX, ANY_LAYOUT = 1 << 28, 1 << 29, 1 << 27

# Status
NEEDS_RESET = 1 << 6

QUEUE_INTERRUPT = 1 << 0  # ISR


class VirtioPci(PciDevice):
    """kind: its number. features: the bits it offers, besides those of the transport.

    A derived class has `config_space()` and `process(queue)`, and may have `cancel()`.
    """

    STATE: ClassVar[tuple[str, ...]] = (
        *PciDevice.STATE, "features", "selected", "status", "isr", "broken")
    QUEUE_ENTRIES = 256

    def __init__(self, name: str, kind: int, class_code: int, memory: Any, features: int,
                 queues: int = 1):
        super().__init__(name, (VENDOR, TRANSITIONAL + kind - 1), class_code, pin=1,
                         bars={0: IoBar(_Registers(self), PORTS, width=4)})
        self.set_default(SUBSYSTEM_VENDOR_ID, 2, VENDOR)
        self.set_default(SUBSYSTEM_ID, 2, kind)
        self.config[:] = self.defaults
        self.offered = features | INDIRECT_DESCRIPTORS | EVENT_INDEX | ANY_LAYOUT
        self.queues = [Queue(memory, self.QUEUE_ENTRIES) for _ in range(queues)]
        self.reset_device()

    def reset(self) -> None:
        self.reset_device()
        super().reset()

    def reset_device(self) -> None:
        """What writing 0 to the status does."""
        self.cancel()
        self.features = 0
        self.selected = 0
        self.status = 0
        self.isr = 0
        self.broken = False
        for queue in self.queues:
            queue.reset()
        self.intx.set(False)

    def save(self) -> dict[str, Any]:
        return {**super().save(), "queues": [queue.save() for queue in self.queues]}

    def load(self, state: dict[str, Any]) -> None:
        for queue, saved in zip(self.queues, state["queues"], strict=True):
            queue.load(saved)
        super().load(state)

    def restored(self) -> None:
        super().restored()
        self.intx.set(bool(self.isr))

    @abstractmethod
    def config_space(self) -> bytes:
        """The registers of this kind of device."""

    @abstractmethod
    def process(self, queue: Queue) -> None:
        """Work on what is in the queue. Raises QueueError."""

    def cancel(self) -> None:
        """Forget what is going on."""

    def notify(self, queue: Queue) -> None:
        """Something has been given back."""
        if queue.wants_interrupt():
            if trace_virtio_notify:
                trace_virtio_notify(self, queue)
            self.isr |= QUEUE_INTERRUPT
            self.intx.set(True)

    def kick(self, number: int) -> None:
        """The driver has put something into a queue."""
        if number >= len(self.queues):
            return
        queue = self.queues[number]
        if trace_virtio_queue_notify:
            trace_virtio_queue_notify(self, number, queue)
        self.work(queue)

    def work(self, queue: Queue) -> None:
        """Process the queue, unless what was in it made no sense."""
        if self.broken:
            return
        try:
            self.process(queue)
        except QueueError:
            self.broken = True  # until the driver resets it
            self.status |= NEEDS_RESET

    def take_isr(self) -> int:
        value, self.isr = self.isr, 0
        self.intx.set(False)
        return value

    def set_status(self, value: int) -> None:
        trace_virtio_set_status(self, value)
        if value:
            self.status = value | self.status & NEEDS_RESET
        else:
            self.reset_device()

    def set_features(self, value: int) -> None:
        self.features = value & self.offered
        for queue in self.queues:
            queue.event_index = bool(value & EVENT_INDEX)


class _Registers:
    """BAR0."""

    def __init__(self, device: VirtioPci):
        self.device = device

    @property
    def queue(self) -> Queue | None:
        device = self.device
        return device.queues[device.selected] if device.selected < len(device.queues) else None

    def read(self, offset: int, size: int) -> int:
        device, queue = self.device, self.queue
        if offset >= CONFIG:
            at = offset - CONFIG
            return int.from_bytes(device.config_space()[at:at + size], "little")
        if offset == ISR:
            return device.take_isr()
        value = {HOST_FEATURES: device.offered, GUEST_FEATURES: device.features,
                 QUEUE_PAGE: queue.descriptors // 4096 if queue else 0,
                 QUEUE_SIZE: queue.maximum if queue else 0, QUEUE_SELECT: device.selected,
                 STATUS: device.status}.get(offset, 0)
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        device, queue = self.device, self.queue
        if offset == QUEUE_NOTIFY:
            device.kick(value)
        elif offset == STATUS:
            device.set_status(value & 0xFF)
        elif offset == GUEST_FEATURES:
            device.set_features(value)
        elif offset == QUEUE_SELECT:
            device.selected = value
        elif offset == QUEUE_PAGE and queue:
            queue.place_legacy(value)
