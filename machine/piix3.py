"""Intel PIIX3 (82371SB) south bridge, function 0: PCI interrupt routing and reset control.

Port CF9h is RST_CNT. The edge/level registers of the interrupts (4D0h) are the 8259's.
Source: Intel 82371SB datasheet (290550), sections 2.2.8 (PIRQRC), 2.5.4.1 (RST_CNT), 3.6.
"""
from collections.abc import Mapping, Sequence
from typing import Any

from pyemu.machine.line import Line, WiredOr
from pyemu.machine.pci import PciDevice
from pyemu.trace.hooks import trace_piix3_irq, trace_piix3_reset_control_write

IDS = (0x8086, 0x7000)
ISA_BRIDGE = 0x060100

PIRQRCA = 0x60
PIRQS = 4
UNROUTED = 0x80
ROUTABLE = (3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15)  # the other values are reserved

# Values of the other registers after reset
POWER_ON = {
    0x04: 0x0000,  # PCICMD
    0x4C: 0x4D,    # IORT, recovery time of ISA cycles
    0x4E: 0x03,    # XBCS, chip selects of the X bus
    0x69: 0x02,    # TOM, top of memory
    0x70: 0x80,    # MBIRQ0
    0x76: 0x0C,    # MBDMA0
    0x77: 0x0C,    # MBDMA1
    0x78: 0x02,    # PCSC
    0xA0: 0x08,    # SMICNTL
    0xA8: 0x0F,    # SMIEN
}
STATUS_MEDIUM_DEVSEL = 0x0200

# RST_CNT
SYSTEM_RESET = 0x02  # which kind of reset: kept, both reset everything here
RESET_CPU = 0x04     # 0 to 1 resets


class _ResetControl:
    """RST_CNT, port CF9h."""

    def __init__(self, chip: "Piix3"):
        self.chip = chip

    def read(self, offset: int, size: int) -> int:
        return self.chip.reset_type

    def write(self, offset: int, size: int, value: int) -> None:
        trace_piix3_reset_control_write(value)
        self.chip.reset_type = value & SYSTEM_RESET
        if value & RESET_CPU:
            self.chip.system.reset_request("guest-reset")


class Piix3(PciDevice):
    """irqs[n]: the ISA interrupts that are ROUTABLE. Each PIRQ holds the one it is routed to while
    a function drives it; functions share PIRQs, PIRQs share interrupts. system: is asked to reset.
    """

    STATE = (*PciDevice.STATE, "reset_type")

    def __init__(self, irqs: Sequence[Line] | Mapping[int, Line], system: Any):
        super().__init__("PIIX3", IDS, ISA_BRIDGE)
        self.system = system
        self.reset_control = _ResetControl(self)
        self.reset_type = 0
        for register, value in POWER_ON.items():
            self.set_default(register, 1, value)
        self.set_default(0x06, 2, STATUS_MEDIUM_DEVSEL)
        for pirq in range(PIRQS):
            self.set_default(PIRQRCA + pirq, 1, UNROUTED)
        self.config[:] = self.defaults
        self._irqs = {irq: irqs[irq] for irq in ROUTABLE}
        self._driven: set[int] = set()
        self._pirqs = [WiredOr(Line(lambda level: self._update_irqs())) for _ in range(PIRQS)]

    def line(self, slot: int, pin: int) -> Line:
        """An input for pin 1-4 (INTA-INTD) of a slot. The slots take turns at the four PIRQs."""
        return self._pirqs[(slot - 1 + pin - 1) % PIRQS].input()

    def reset(self) -> None:
        self.reset_type = 0
        super().reset()

    def restored(self) -> None:
        super().restored()
        self._update_irqs()

    def config_written(self, register: int, size: int) -> None:
        if register < PIRQRCA + PIRQS and register + size > PIRQRCA:
            self._update_irqs()

    def _update_irqs(self) -> None:
        routes = {self.config[PIRQRCA + pirq] for pirq in range(PIRQS) if self._pirqs[pirq].held}
        driven = routes & self._irqs.keys()
        for irq in driven ^ self._driven:
            trace_piix3_irq(irq, irq in driven)
            self._irqs[irq].set(irq in driven)
        self._driven = driven
