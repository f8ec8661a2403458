"""What can be chosen of a CPU model one by one: `-cpu MODEL,+FEATURE,-FEATURE,vendor=...`.

Names of features are QEMU's, which are mostly the manufacturers'.
Source: Intel SDM volume 2, CPUID; AMD64 APM volume 3, appendix E.
"""
from dataclasses import dataclass, field

# Place in the CPU's words of features: (leaf and register, names from bit 0 on; "-" for none)
WORDS: dict[int, tuple[str, str]] = {
    0: ("01H:EDX", "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn "
                   "clflush - ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"),
    1: ("01H:ECX", "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr "
                   "pdcm - pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx "
                   "f16c rdrand hypervisor"),
    2: ("07H:EBX", "fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - "
                   "avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt "
                   "avx512pf avx512er avx512cd sha-ni avx512bw avx512vl"),
    3: ("07H:ECX", "- avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni "
                   "avx512bitalg - avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect "
                   "cldemote - movdiri movdir64b - sgxlc pks"),
    4: ("07H:EDX", "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - "
                   "- serialize - tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile "
                   "amx-int8 spec-ctrl stibp - arch-capabilities core-capability ssbd"),
    6: ("80000001H:EDX", "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr-opt "
                         "pdpe1gb rdtscp - lm 3dnowext 3dnow"),
    7: ("80000001H:ECX", "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse "
                         "3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid-msr - tbm "
                         "topoext perfctr-core perfctr-nb"),
    8: ("80000007H:EDX", "- - - - - - - - invtsc"),
    9: ("80000008H:EBX", "clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - "
                         "- - - - - amd-ssbd virt-ssbd amd-no-ssb"),
    19: ("0DH:EAX", "xsaveopt xsavec xgetbv1 xsaves xfd"),
    20: ("06H:EAX", "- - arat"),
}
PLACES = {name: (word, bit) for word, (_, names) in WORDS.items()
          for bit, name in enumerate(names.split()) if name != "-"}

TRANSLATED = (
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush acpi mmx fxsr sse "
    "sse2 ss pni pclmulqdq monitor ssse3 cx16 sse4.1 sse4.2 movbe popcnt aes xsave rdrand "
    "hypervisor fsgsbase bmi1 smep bmi2 erms mpx adx smap clflushopt clwb syscall nx mmxext "
    "fxsr-opt pdpe1gb rdtscp lm 3dnowext 3dnow lahf-lm cr8legacy abm sse4a xsaveopt xgetbv1 arat")
SUPPORTED = frozenset(TRANSLATED.split())

ALIASES = {"sse3": "pni", "sse4-1": "sse4.1", "sse4-2": "sse4.2", "pclmuldq": "pclmulqdq",
           "xd": "nx", "i64": "lm", "ffxsr": "fxsr-opt"}

NUMBERS = {"family": 0xff + 0xf, "model": 0xff, "stepping": 0xf, "level": 0xffff_ffff,
           "xlevel": 0xffff_ffff}  # and the largest


@dataclass(frozen=True)
class CpuChanges:
    """How a CPU differs from its model.

    on, off: names of features. numbers: values by names of NUMBERS. vendor: twelve characters.
    model_id: at most 48 characters.
    """

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    numbers: dict[str, int] = field(default_factory=dict)
    vendor: str | None = None
    model_id: str | None = None


def canonical(name: str) -> str:
    """The name under which PLACES has a feature that the user calls so, if it has it."""
    name = name.replace("_", "-")
    return ALIASES.get(name, name)


def described(name: str) -> str:
    """As in "CPUID.07H:EBX.smap [bit 20]"."""
    word, bit = PLACES[name]
    return f"CPUID.{WORDS[word][0]}.{name} [bit {bit}]"
