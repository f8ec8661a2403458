"""What format an image has, by its first bytes."""

# What other formats begin with: (offset, bytes, name). They must not be taken for raw.
MAGICS = (
    (0, b"QFI\xfb\0\0\0\1", "qcow"),
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (0, b"QED\0", "qed"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image\0", "bochs"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
)


def probe(head: bytes) -> str:
    """The format of an image that begins with `head` (one sector); "raw" if none claims it."""
    for offset, magic, name in MAGICS:
        if head.startswith(magic, offset):
            return name
    return "raw"
