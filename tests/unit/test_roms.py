"""Firmware is found by name along -L, then in Debian's folders."""
import pytest
from pyemu import roms
from pyemu.trace import hooks


@pytest.fixture
def traced(monkeypatch):
    calls = []
    monkeypatch.setattr(hooks, "trace_load_file", lambda name, path: calls.append((name, path)))
    return calls


def test_the_users_folders_come_first(tmp_path, monkeypatch, traced):
    first, second, debian = (tmp_path / n for n in ("first", "second", "debian"))
    monkeypatch.setattr(roms, "DEBIAN_FOLDERS", (debian,))
    for folder in (second, debian):
        folder.mkdir()
        (folder / "a.bin").write_bytes(folder.name.encode())
    assert roms.load("a.bin", [str(first), str(second)]) == b"second"
    assert roms.load("a.bin") == b"debian"
    assert traced == [("a.bin", str(second / "a.bin")), ("a.bin", str(debian / "a.bin"))]


def test_a_name_may_be_a_path(tmp_path, traced):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    assert roms.load(str(path)) == b"x"
    assert traced == [(str(path), str(path))]


def test_not_found_says_what_where_and_which_package(tmp_path, monkeypatch, traced):
    monkeypatch.setattr(roms, "DEBIAN_FOLDERS", (tmp_path,))
    with pytest.raises(roms.RomNotFound) as caught:
        roms.find("efi-e1000.rom", ["/nowhere"])
    assert str(caught.value) == (
        f"could not find firmware 'efi-e1000.rom' in /nowhere, {tmp_path}; "
        "install Debian's package ipxe-qemu")
    assert traced == []


def test_a_folder_is_not_firmware(tmp_path, monkeypatch):
    monkeypatch.setattr(roms, "DEBIAN_FOLDERS", (tmp_path,))
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(roms.RomNotFound):
        roms.find("a.bin")


def test_the_bios_is_looked_up_twice(tmp_path, traced):
    (tmp_path / "b.bin").write_bytes(bytes(256 << 10))
    assert len(roms.load_bios("b.bin", [str(tmp_path)])) == 256 << 10
    assert len(traced) == 2


@pytest.mark.parametrize("size", [0, 1000])
def test_a_bios_of_the_wrong_size(tmp_path, size):
    (tmp_path / "b.bin").write_bytes(bytes(size))
    with pytest.raises(roms.RomError, match=f"PC BIOS 'b.bin': {size} bytes"):
        roms.load_bios("b.bin", [str(tmp_path)])
