"""The CPU models that `-cpu` takes, by QEMU's names."""
import textwrap

from pyemu.cpu_features import PLACES

MODELS = {  # name: (model number of the CPU engine, what it is)
    "qemu64": (0, "64-bit virtual CPU"),
    "phenom": (1, "AMD Phenom 9550"),
    "core2duo": (2, "Intel Core 2 Duo T7700"),
    "kvm64": (3, "common 64-bit virtual CPU"),
    "qemu32": (4, "32-bit virtual CPU"),
    "kvm32": (5, "common 32-bit virtual CPU"),
    "coreduo": (6, "Intel Core Duo T2600"),
    "486": (7, "Intel 486"),
    "pentium": (8, "Intel Pentium"),
    "pentium2": (9, "Intel Pentium II"),
    "pentium3": (10, "Intel Pentium III"),
    "athlon": (11, "AMD Athlon"),
    "n270": (12, "Intel Atom N270"),
    "Conroe": (13, "Intel Celeron 4x0 (Core 2)"),
    "Penryn": (14, "Intel Core 2 Duo P9xxx"),
    "Nehalem": (15, "Intel Core i7 9xx"),
    "Westmere": (16, "Intel Xeon E56xx"),
    "SandyBridge": (17, "Intel Xeon E312xx"),
    "IvyBridge": (18, "Intel Xeon E3-12xx v2"),
    "Haswell": (19, "Intel Core, fourth generation"),
    "Broadwell": (20, "Intel Core, fifth generation"),
    "Skylake-Client": (21, "Intel Core, sixth generation"),
    "Skylake-Server": (22, "Intel Xeon (Skylake)"),
    "Cascadelake-Server": (23, "Intel Xeon (Cascade Lake)"),
    "Cooperlake": (24, "Intel Xeon (Cooper Lake)"),
    "Icelake-Client": (25, "Intel Core, tenth generation"),
    "Icelake-Server": (26, "Intel Xeon (Ice Lake)"),
    "Denverton": (27, "Intel Atom (Denverton)"),
    "Snowridge": (28, "Intel Atom (Snow Ridge)"),
    "KnightsMill": (29, "Intel Xeon Phi (Knights Mill)"),
    "Opteron_G1": (30, "AMD Opteron 240"),
    "Opteron_G2": (31, "AMD Opteron 22xx"),
    "Opteron_G3": (32, "AMD Opteron 23xx"),
    "Opteron_G4": (33, "AMD Opteron 62xx"),
    "Opteron_G5": (34, "AMD Opteron 63xx"),
    "EPYC": (35, "AMD EPYC"),
    "Dhyana": (36, "Hygon Dhyana"),
    "EPYC-Rome": (37, "AMD EPYC (Rome)"),
    "max": (0, "all features that the translator has"),
}


def listing() -> str:
    """The answer to `-cpu help`."""
    width = max(map(len, MODELS))
    return "\n".join(["Available CPUs:", *(
        f"x86 {name:{width}}  {text}" for name, (_, text) in sorted(
            MODELS.items(), key=lambda item: item[0].lower())),
        "", "Recognized CPUID flags:",
        *textwrap.wrap(" ".join(sorted(PLACES)), 76, initial_indent="  ", subsequent_indent="  ",
                       break_on_hyphens=False)])
