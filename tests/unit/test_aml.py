"""ACPI 6.5, 20.2: the encoding of AML terms."""
import pytest
from pyemu.machine.acpi import aml


@pytest.mark.parametrize("value, code", [
    (0, "00"), (1, "01"), (2, "0a02"), (255, "0aff"), (256, "0b0001"), (0x10000, "0c00000100"),
    (1 << 32, "0e0000000001000000")])
def test_integers_take_the_shortest_form(value, code):
    assert aml.integer(value).hex() == code


@pytest.mark.parametrize("text, code", [
    ("_HID", b"_HID"), ("A", b"A___"), ("\\", b"\\\0"), (r"\_SB", b"\\_SB_"),
    (r"\_SB.PCI0", b"\\\x2e_SB_PCI0"), ("^X.Y", b"^\x2eX___Y___"),
    (r"\_SB.PCI0.ISA", b"\\\x2f\x03_SB_PCI0ISA_")])
def test_names(text, code):
    assert aml.path(text) == code


@pytest.mark.parametrize("size, prefix", [
    (0, "01"), (62, "3f"), (63, "4104"), (4093, "4fff"), (4094, "810001"),
    (0xFFFFC, "8fffff"), (0xFFFFD, "c1000001")])
def test_package_length_counts_itself(size, prefix):
    encoded = aml.package_length(bytes(size))
    assert encoded[:len(encoded) - size].hex() == prefix


def test_package_too_long():
    class Huge(bytes):
        def __len__(self):
            return 1 << 28
    with pytest.raises(ValueError, match="268435456"):
        aml.package_length(Huge())


def test_eisa_id_of_a_pci_bus():
    assert aml.eisa_id("PNP0A03").hex() == "0c41d00a03"


def test_buffers_strings_and_packages():
    assert aml.buffer(b"\x79\0") == b"\x11\x05\x0a\x02\x79\0"
    assert aml.term("AB") == b"\x0dAB\0"
    assert aml.package((1, "A", b"\xff")) == b"\x12\x07\x03\x01\x0dA\0\xff"


def test_a_method():
    code = aml.method("_STA", 0, aml.return_(0x0F), serialized=True)
    assert code == b"\x14\x09_STA\x08\xa4\x0a\x0f"


def test_a_field_unit_must_fit():
    assert aml.field("REGN", aml.BYTE_ACCESS, ("PRQ0", 8)) == b"\x5b\x81\x0bREGN\x01PRQ0\x08"
    with pytest.raises(ValueError, match="64 bits"):
        aml.field("REGN", aml.BYTE_ACCESS, ("PRQ0", 64))
