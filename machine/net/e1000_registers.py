"""The 82540EM's registers and bits by name.

Registers are named by their place in an array of doublewords, a quarter of their offset.
Source: Intel 8254x software developer's manual (317453), chapter 13; 3.2 and 3.3 (descriptors).
"""
from array import array
from typing import Any

from pyemu.machine.chip import Chip

SIZE = 0x20000  # bytes

CTRL, CTRL_COPY, STATUS = 0x0000 // 4, 0x0004 // 4, 0x0008 // 4
EECD, EERD, CTRL_EXT, MDIC = 0x0010 // 4, 0x0014 // 4, 0x0018 // 4, 0x0020 // 4
FCAL, FCAH, FCT, VET = 0x0028 // 4, 0x002C // 4, 0x0030 // 4, 0x0038 // 4
ICR, ITR, ICS, IMS, IMC = 0x00C0 // 4, 0x00C4 // 4, 0x00C8 // 4, 0x00D0 // 4, 0x00D8 // 4
RCTL, FCTTV, TXCW = 0x0100 // 4, 0x0170 // 4, 0x0178 // 4
TCTL, TIPG, AIFS = 0x0400 // 4, 0x0410 // 4, 0x0458 // 4
LEDCTL, PBA = 0x0E00 // 4, 0x1000 // 4
FCRTL, FCRTH = 0x2160 // 4, 0x2168 // 4
RDBAL, RDBAH, RDLEN, RDH, RDT = 0x2800 // 4, 0x2804 // 4, 0x2808 // 4, 0x2810 // 4, 0x2818 // 4
RDTR, RXDCTL, RADV, RSRPD = 0x2820 // 4, 0x2828 // 4, 0x282C // 4, 0x2C00 // 4
TXDMAC = 0x3000 // 4
TDBAL, TDBAH, TDLEN, TDH, TDT = 0x3800 // 4, 0x3804 // 4, 0x3808 // 4, 0x3810 // 4, 0x3818 // 4
TIDV, TXDCTL, TADV, TSPMT = 0x3820 // 4, 0x3828 // 4, 0x382C // 4, 0x3830 // 4
RXCSUM, MTA, RAL0, RAH0, VFTA = 0x5000 // 4, 0x5200 // 4, 0x5400 // 4, 0x5404 // 4, 0x5600 // 4
WUC, WUFC, WUS, MANC, IPAV = 0x5800 // 4, 0x5808 // 4, 0x5810 // 4, 0x5820 // 4, 0x5838 // 4
IP4AT, IP6AT = 0x5840 // 4, 0x5880 // 4
SWSM = 0x5B50 // 4  # later chips' semaphore: drivers such as U-Boot's want to see it set
MTA_COUNT, RA_COUNT, VFTA_COUNT, IP4AT_COUNT, IP6AT_COUNT = 128, 16, 128, 7, 4
# The packet buffer's pointers, for diagnosis: head, tail, both saved, count of packets
RDFH, RDFT, RDFHS, RDFTS, RDFPC = range(0x2410 // 4, 0x2438 // 4, 2)
TDFH, TDFT, TDFHS, TDFTS, TDFPC = range(0x3410 // 4, 0x3438 // 4, 2)

# Statistics: they stop at their maximum and are cleared by being read
CRCERRS, MPC = 0x4000 // 4, 0x4010 // 4
PRC64, PRC1522 = 0x405C // 4, 0x4070 // 4  # six ranges of sizes
GPRC, BPRC, MPRC, GPTC = 0x4074 // 4, 0x4078 // 4, 0x407C // 4, 0x4080 // 4
GORCL, GORCH, GOTCL, GOTCH = 0x4088 // 4, 0x408C // 4, 0x4090 // 4, 0x4094 // 4
RNBC, ROC = 0x40A0 // 4, 0x40AC // 4
TORL, TORH, TOTL, TOTH = 0x40C0 // 4, 0x40C4 // 4, 0x40C8 // 4, 0x40CC // 4
TPR, TPT, PTC64 = 0x40D0 // 4, 0x40D4 // 4, 0x40D8 // 4
MPTC, BPTC, TSCTC, TSCTFC = 0x40F0 // 4, 0x40F4 // 4, 0x40F8 // 4, 0x40FC // 4
STATISTICS_END = 0x4100 // 4
OCTETS = (GORCL, GOTCL, TORL, TOTL)  # 64 bits, cleared by reading the upper half

# CTRL
CTRL_RST, CTRL_VME, CTRL_PHY_RST = 1 << 26, 1 << 30, 1 << 31
CTRL_WRITABLE = 0x5BFC_1BE9
# STATUS: full duplex, 1000 Mbit/s, the same detected, transmit clock running; link up
STATUS_LINK_DOWN = 0x0000_0781
STATUS_LU = 1 << 1
# EECD
EE_SK, EE_CS, EE_DI, EE_DO, EE_REQ, EE_GNT, EE_PRES = 1, 2, 4, 8, 0x40, 0x80, 0x100
EECD_WRITABLE = EE_SK | EE_CS | EE_DI | EE_REQ | 0x30
# EERD
EERD_START, EERD_DONE, EERD_ADDRESS_SHIFT, EERD_DATA_SHIFT = 0x01, 0x10, 8, 16
# MDIC
MDIC_DATA, MDIC_REGISTER_SHIFT, MDIC_PHY_SHIFT, MDIC_OP_SHIFT = 0xFFFF, 16, 21, 26
MDIC_WRITE, MDIC_READ = 1, 2
MDIC_READY, MDIC_INTERRUPT, MDIC_ERROR = 1 << 28, 1 << 29, 1 << 30

# Causes in ICR, ICS, IMS, IMC: transmit descriptor written back, transmit queue empty, link
# changed, few receive descriptors, receiver overrun, receive timer, MDIO done, few transmit
# descriptors, small packet received
TXDW, TXQE, LSC, RXDMT0, RXO, RXT0 = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 6, 1 << 7
MDAC, TXD_LOW, SRPD = 1 << 9, 1 << 15, 1 << 16
CAUSES = 0x0001_FFFF

# RCTL
RCTL_EN, RCTL_SBP, RCTL_UPE, RCTL_MPE, RCTL_LPE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
RCTL_LBM, RCTL_BAM, RCTL_VFE = 3 << 6, 1 << 15, 1 << 18
RCTL_BSEX, RCTL_SECRC = 1 << 25, 1 << 26
RCTL_RDMTS_SHIFT, RCTL_MO_SHIFT, RCTL_BSIZE_SHIFT = 8, 12, 16
# TCTL
TCTL_EN, TCTL_PSP = 1 << 1, 1 << 3
# TXDCTL
TXDCTL_LWTHRESH_SHIFT = 25  # in units of 8 descriptors
# RXCSUM
RXCSUM_PCSS, RXCSUM_IPOFL, RXCSUM_TUOFL = 0xFF, 1 << 8, 1 << 9
# RDTR, TIDV
FLUSH = 1 << 31
RAH_VALID = 1 << 31

# Receive descriptor: status, errors
RXD_DD, RXD_EOP, RXD_IXSM, RXD_VP = 0x01, 0x02, 0x04, 0x08
RXD_TCPCS, RXD_IPCS, RXD_PIF = 0x20, 0x40, 0x80
RXD_TCPE, RXD_IPE = 0x20, 0x40

# Transmit descriptor: its second doubleword holds length, type and command, its third status
TXD_EOP, TXD_IC, TXD_TSE, TXD_RS, TXD_RPS = 1 << 24, 1 << 26, 1 << 26, 1 << 27, 1 << 28
TXD_DEXT, TXD_VLE, TXD_IDE = 1 << 29, 1 << 30, 1 << 31
TXD_DATA = 1 << 20  # in an extended one, else it is a context
TXD_LEGACY_LENGTH, TXD_LENGTH = 0xFFFF, 0xF_FFFF
TXD_DD, TXD_COLLISIONS = 0x01, 0x0E
TXD_IXSM, TXD_TXSM = 1 << 8, 1 << 9
TUCMD_TCP, TUCMD_IP = 1 << 24, 1 << 25

POWER_ON = {
    CTRL: 0x0014_0240,  # SWDPIN0 and 2, 1000 Mbit/s, set link up
    CTRL_COPY: 0x0014_0240,
    STATUS: STATUS_LINK_DOWN,
    EECD: EE_PRES | EE_DO,
    VET: 0x0000_8100,
    LEDCTL: 0x0000_0602,
    PBA: 0x0010_0030,   # 48 KiB for reception, 16 for transmission
    MANC: 0x0022_2300,
}

# Registers that hold what is written: which, how many, the bits they have
PLAIN = (
    (CTRL_EXT, 1, 0x00FF_FFFF), (FCAL, 1, 0xFFFF_FFFF), (FCAH, 1, 0xFFFF), (FCT, 1, 0xFFFF),
    (VET, 1, 0xFFFF_FFFF), (ITR, 1, 0xFFFF), (RCTL, 1, 0xFFFF_FFFF), (FCTTV, 1, 0xFFFF),
    (TXCW, 1, 0xFFFF_FFFF), (TCTL, 1, 0xFFFF_FFFF), (TIPG, 1, 0x3FFF_FFFF), (AIFS, 1, 0xFFFF),
    (LEDCTL, 1, 0xFFFF_FFFF), (PBA, 1, 0xFFFF_FFFF), (FCRTL, 1, 0xFFFF_FFFF),
    (FCRTH, 1, 0xFFFF_FFFF),
    (RDBAL, 1, 0xFFFF_FFF0), (RDBAH, 1, 0xFFFF_FFFF), (RDLEN, 1, 0xF_FF80), (RDH, 1, 0xFFFF),
    (RDT, 1, 0xFFFF), (RDTR, 1, 0xFFFF), (RXDCTL, 1, 0xFFFF_FFFF), (RADV, 1, 0xFFFF),
    (RSRPD, 1, 0xFFF),
    (RDFH, 1, 0x1FFF), (RDFT, 1, 0x1FFF), (RDFHS, 1, 0x1FFF), (RDFTS, 1, 0x1FFF),
    (RDFPC, 1, 0x1FFF), (TDFH, 1, 0x7FF), (TDFT, 1, 0x7FF), (TDFHS, 1, 0x1FFF),
    (TDFTS, 1, 0x1FFF), (TDFPC, 1, 0x1FFF),
    (TXDMAC, 1, 1), (TDBAL, 1, 0xFFFF_FFF0), (TDBAH, 1, 0xFFFF_FFFF), (TDLEN, 1, 0xF_FF80),
    (TDH, 1, 0xFFFF), (TDT, 1, 0xFFFF), (TIDV, 1, 0xFFFF), (TXDCTL, 1, 0xFFFF_FFFF),
    (TADV, 1, 0xFFFF), (TSPMT, 1, 0xFFFF_FFFF),
    (RXCSUM, 1, 0x7FF), (MTA, MTA_COUNT, 0xFFFF_FFFF), (RAL0, 2 * RA_COUNT, 0xFFFF_FFFF),
    (VFTA, VFTA_COUNT, 0xFFFF_FFFF),
    (WUC, 1, 0xFFFF_FFFF), (WUFC, 1, 0xFFFF_FFFF), (WUS, 1, 0xFFFF_FFFF), (IPAV, 1, 0xFFFF_FFFF),
    (MANC, 1, 0xFFFF_FFFF), (IP4AT, IP4AT_COUNT, 0xFFFF_FFFF), (IP6AT, IP6AT_COUNT, 0xFFFF_FFFF),
    (SWSM, 1, 0xFFFF_FFFF),
)
MASKS = {first + i: mask for first, count, mask in PLAIN for i in range(count)}


class Registers(Chip):
    """The array, which the parts of the chip share: `values` stays the same object."""

    def __init__(self, mac: bytes):
        self.mac = mac
        self.values = array("I", bytes(SIZE))
        self.reset()

    def reset(self) -> None:
        self.values[:] = array("I", bytes(SIZE))
        for register, value in POWER_ON.items():
            self.values[register] = value
        self.values[RAL0] = int.from_bytes(self.mac[:4], "little")
        self.values[RAH0] = int.from_bytes(self.mac[4:], "little") | RAH_VALID

    def save(self) -> dict[str, Any]:
        return {"version": self.VERSION, "values": self.values.tobytes()}

    def load(self, state: dict[str, Any]) -> None:
        self.values[:] = array("I", state["values"])
