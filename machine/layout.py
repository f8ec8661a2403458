"""Where everything is on the PC, as on QEMU's `pc`: ports, memory, interrupts, PCI slots."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# Ports: first, number
PIC_MASTER = 0x20, 2
PIC_SLAVE = 0xA0, 2
ELCR = 0x4D0, 2
PIT = 0x40, 4
PORT_61 = 0x61, 1
I8042_DATA = 0x60, 1
I8042_COMMAND = 0x64, 1
RTC = 0x70, 2
POST = 0x80, 1
PORT_92 = 0x92, 1
APM = 0xB2, 2
FW_CFG = 0x510, 2
FW_CFG_DMA = 0x514, 8
DEBUG_CONSOLES = (0x402, 1), (0xE9, 1)
PCI_ADDRESS = 0xCF8, 4
PCI_DATA = 0xCFC, 4
VGA_MONO, VGA, DISPI = (0x3B0, 12), (0x3C0, 32), (0x1CE, 2)
PCI_HOTPLUG, CPU_HOTPLUG, GPE0 = (0xAE00, 0x18), (0xAF00, 32), (0xAFE0, 4)
SERIALS = (0x3F8, 8), (0x2F8, 8), (0x3E8, 8), (0x2E8, 8)
TESTDEV, TESTDEV_FLUSH, TESTDEV_BYTES, TESTDEV_LINES = (
    (0xE0, 4), (0xE4, 4), (0xE8, 4), (0x2000, 24))
DMA_FIRST, DMA_SECOND, DMA_PAGES = (0x00, 16), (0xC0, 32), (0x81, 15)
FDC, FDC_DIR = (0x3F0, 6), (0x3F7, 1)
IDE_DATA, IDE_COMMAND = ((0x1F0, 1), (0x170, 1)), ((0x1F1, 7), (0x171, 7))
IDE_CONTROL = (0x3F6, 1), (0x376, 1)
IDE_DRIVES = 4

# ISA interrupts
IRQ_TIMER, IRQ_KEYBOARD, IRQ_CASCADE, IRQ_RTC, IRQ_SCI, IRQ_MOUSE = 0, 1, 2, 8, 9, 12
IRQ_FDC = 6
IRQ_SERIALS = 4, 3, 4, 3
GSI_HPET = 2  # of the I/O APIC alone
IRQ_IDE = 14, 15
ISA_IRQS = 0, 1, *range(3, 16)  # 2 is the cascade of the 8259s

DMA_FDC = 2  # the channel
FLOPPY_DRIVES = 2

# PCI slots
SLOT_HOST, SLOT_PIIX3, SLOT_VGA, SLOT_NIC = 0, 1, 2, 3
FUNCTION_IDE, FUNCTION_PM = 1, 3

# Memory
VGA_WINDOW, VGA_WINDOW_SIZE = 0xA0000, 0x20000
PAM_BASE = 0xC0000
PAM_SEGMENTS = *((0xC0000 + 0x4000 * n, 0x4000) for n in range(12)), (0xF0000, 0x10000)
LOW_BIOS_SIZE = 0x20000  # the last part of the BIOS is seen below 1 MiB, too
HIGH_RAM = 4 * GIB
IO_APIC, LOCAL_APIC, APIC_SIZE = 0xFEC00000, 0xFEE00000, 0x1000
HPET, HPET_SIZE = 0xFED00000, 0x1000
TESTDEV_MEMORY, TESTDEV_MEMORY_SIZE = 0xFF000000, 0x10000
VIDEO_RAM_SIZE = 16 * MIB

LOW_RAM_LIMIT = 0xE000_0000  # with more, only LOW_RAM lies below 4 GiB, and the rest above
LOW_RAM = 0xC000_0000


def split_ram(size: int) -> tuple[int, int]:
    """Bytes of RAM below and above 4 GiB."""
    low = size if size < LOW_RAM_LIMIT else LOW_RAM
    return low, size - low
