"""The DSDT of the PC: its buses and devices, and how PCI interrupts are routed.

As ASL it would read: \\_SB.LNKA-LNKD, which set the PIRQ registers of the PIIX3; LNKS, the wired
SCI; \\_SB.PCI0 with its windows and _PRT; under it the ISA bridge with what sits on it; \\_S5.
Source: ACPI 6.5, sections 6.2.11-6.2.16 (_CRS, _PRS, _PRT, _SRS) and 7.4.2 (_Sx).
"""
from pyemu.machine import hpet
from pyemu.machine.acpi import aml
from pyemu.machine.acpi import resources as res

# The PCI interrupts: link devices by PIRQ, and the interrupts they may use
LINKS = ("LNKA", "LNKB", "LNKC", "LNKD")
PIRQ_CHOICES = (5, 10, 11)
SCI = 9
PIRQ_DISABLED = 0x80
PIRQRC, PIRQS = 0x60, 4  # registers of the PIIX3

PCI_SLOTS, PINS = 32, 4
SCI_SLOT, SCI_PIN = 1, 0  # the power management function

ISA_BRIDGE_ADDRESS = 1 << 16  # slot 1, function 0
PIRQ_FIELD = r"\_SB.PCI0.ISA.PRQ"

# _STA: present, decoding, shown, functioning
ENABLED, DISABLED, SHOWN_ENABLED = 0x0B, 0x09, 0x0F

CONFIG_PORTS = 0xCF8
PCI_MEMORY_END = 0xFEBF_FFFF  # then come the APICs and the BIOS
VGA_WINDOW = (0xA_0000, 0xB_FFFF)

# Ports that no other device of the tables claims: base, count
RESERVED_PORTS = ((0xAE00, 0x18), (0xAF00, 0x20), (0xAFE0, 4))
FW_CFG = (0x510, 0x0C)
COM_PORTS = ((0x3F8, 4), (0x2F8, 3))


def body(low_ram_end: int, serials: int, panic_port: int | None = None,
         hpet_base: int | None = None) -> bytes:
    """The AML of the table.

    low_ram_end: where RAM below 4 GiB ends and PCI memory may begin. panic_port: pvpanic's.
    hpet_base: address of the HPET's registers.
    """
    return b"".join((
        aml.scope(r"\_SB", *(_link(n) for n in range(PIRQS)), _sci_link(), _pci_root(low_ram_end),
                  _hpet(hpet_base) if hpet_base is not None else b""),
        aml.scope(r"\_SB.PCI0", _prt(), _isa_bridge(serials), _reserved(), _fw_cfg(),
                  _pvpanic(panic_port) if panic_port is not None else b""),
        aml.name(r"\_S5", aml.package((0, 0, 0, 0))),
    ))


def _link(pirq: int) -> bytes:
    """A link device: which interrupt the PIRQ is routed to, and how to change that."""
    register = aml.path(f"{PIRQ_FIELD}{pirq}")
    number = aml.path("IRQ0")
    return aml.device(
        LINKS[pirq],
        aml.name("_HID", aml.eisa_id("PNP0C0F")),
        aml.name("_UID", pirq),
        aml.name("_PRS", res.template(res.interrupts(PIRQ_CHOICES))),
        aml.method("_STA", 0,
                   aml.if_(aml.bit_and(register, PIRQ_DISABLED), aml.return_(DISABLED)),
                   aml.return_(ENABLED)),
        aml.method("_DIS", 0, aml.bit_or(register, PIRQ_DISABLED, register)),
        aml.method("_CRS", 0,
                   aml.name("BUF0", res.template(res.interrupts((0,)))),
                   aml.create_dword_field(aml.path("BUF0"), res.INTERRUPT_NUMBER, "IRQ0"),
                   aml.if_(aml.less(register, PIRQ_DISABLED), aml.store(register, number)),
                   aml.return_(aml.path("BUF0")),
                   serialized=True),
        aml.method("_SRS", 1,
                   aml.create_dword_field(aml.ARG0, res.INTERRUPT_NUMBER, "IRQ0"),
                   aml.store(number, register),
                   serialized=True),
    )


def _sci_link() -> bytes:
    """The interrupt of the power management function is wired, whatever the PIRQs say."""
    setting = res.template(res.interrupts((SCI,)))
    return aml.device(
        "LNKS",
        aml.name("_HID", aml.eisa_id("PNP0C0F")),
        aml.name("_UID", PIRQS),
        aml.name("_STA", ENABLED),
        aml.name("_PRS", setting),
        aml.name("_CRS", setting),
        aml.method("_DIS", 0),
        aml.method("_SRS", 1),
    )


def _pci_root(low_ram_end: int) -> bytes:
    return aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa_id("PNP0A03")),
        aml.name("_UID", 0),
        aml.name("_CRS", res.template(
            res.bus_numbers(0, 0xFF),
            res.io(CONFIG_PORTS, 8),
            res.io_window(0, CONFIG_PORTS - 1),
            res.io_window(CONFIG_PORTS + 8, 0xFFFF),
            res.memory_window(*VGA_WINDOW, cacheable=True),
            res.memory_window(low_ram_end, PCI_MEMORY_END))),
    )


def _hpet(base: int) -> bytes:
    return aml.device(
        "HPET",
        aml.name("_HID", aml.eisa_id("PNP0103")),
        aml.name("_UID", 0),
        aml.name("_STA", SHOWN_ENABLED),
        aml.name("_CRS", res.template(res.memory(base, hpet.SIZE))),
    )


def _prt() -> bytes:
    """Slots take turns at the PIRQs, as `Piix3.line` has them."""
    def entry(slot: int, pin: int) -> bytes:
        link = LINKS[(slot - 1 + pin) % PIRQS]
        if (slot, pin) == (SCI_SLOT, SCI_PIN):
            link = "LNKS"
        return aml.package((slot << 16 | 0xFFFF, pin, aml.path(rf"\_SB.{link}"), 0))

    return aml.name("_PRT", aml.package(
        entry(slot, pin) for slot in range(PCI_SLOTS) for pin in range(PINS)))


def _isa_bridge(serials: int) -> bytes:
    return aml.device(
        "ISA",
        aml.name("_ADR", ISA_BRIDGE_ADDRESS),
        aml.operation_region("PIRQ", aml.PCI_CONFIG, PIRQRC, PIRQS),
        aml.field("PIRQ", aml.BYTE_ACCESS, *((f"PRQ{n}", 8) for n in range(PIRQS))),
        _isa("PIC", "PNP0000", res.io(0x20, 2), res.io(0xA0, 2), res.io(0x4D0, 2), res.irq(2)),
        _isa("TIMR", "PNP0100", res.io(0x40, 4), res.irq(0)),
        _isa("SPKR", "PNP0800", res.io(0x61, 1)),
        _isa("RTC", "PNP0B00", res.io(0x70, 2), res.irq(8)),
        _isa("KBD", "PNP0303", res.io(0x60, 1), res.io(0x64, 1), res.irq(1)),
        _isa("MOU", "PNP0F13", res.irq(12)),
        _isa("FDC0", "PNP0700", res.io(0x3F2, 4), res.io(0x3F7, 1), res.irq(6), res.dma(2)),
        *(_isa(f"COM{n}", "PNP0501", res.io(base, 8), res.irq(irq), uid=n)
          for n, (base, irq) in enumerate(COM_PORTS[:serials], 1)),
    )


def _isa(name: str, hid: str, *descriptors: bytes, uid: int | None = None) -> bytes:
    return aml.device(
        name,
        aml.name("_HID", aml.eisa_id(hid)),
        b"" if uid is None else aml.name("_UID", uid),
        aml.name("_STA", SHOWN_ENABLED),
        aml.name("_CRS", res.template(*descriptors)),
    )


def _reserved() -> bytes:
    """Registers of the board that no driver claims by itself."""
    return aml.device(
        "RSRC",
        aml.name("_HID", aml.eisa_id("PNP0C02")),
        aml.name("_CRS", res.template(*(res.io(base, count) for base, count in RESERVED_PORTS))),
    )


def _fw_cfg() -> bytes:
    """By this identifier Linux finds fw_cfg."""
    return aml.device(
        "FWCF",
        aml.name("_HID", "QEMU0002"),
        aml.name("_STA", ENABLED),
        aml.name("_CRS", res.template(res.io(*FW_CFG))),
    )


def _pvpanic(port: int) -> bytes:
    return aml.device(
        "PEVT",
        aml.name("_HID", "QEMU0001"),
        aml.name("_STA", SHOWN_ENABLED),
        aml.name("_CRS", res.template(res.io(port, 1))),
    )
