"""The engine refuses any Unicorn but the one whose private state it knows, in one clear line."""
import pathlib
import shutil
import subprocess
import sys

import pytest
import unicorn
from guests.harness import in_child
from pyemu.engine import cpu as engine
from pyemu.engine.cpu import Cpu, EngineError, Vcpu
from unicorn import UC_ARCH_X86, UC_MODE_64, Uc

START = """
from pyemu.engine.cpu import Cpu, EngineError
try:
    Cpu()
    print("starts")
except EngineError as error:
    print(error)
"""

NEEDS = "needs the unicorn 2.1.4 wheel for Linux x86-64"
RETURN_VERSION = b"\xb8\xff\x04\x01\x02\xc3"  # mov eax, 0x020104ff; ret


def start_with(folder, old, new):
    """What a start says with a copy of the unicorn package whose library has `old` as `new`."""
    original = pathlib.Path(unicorn.__file__).parent
    shutil.copytree(original, folder / "unicorn",
                    ignore=shutil.ignore_patterns("*.a", "*.so.2", "__pycache__"))
    library = (original / "lib" / "libunicorn.so.2").read_bytes()
    assert old in library and len(old) == len(new)
    (folder / "unicorn" / "lib").mkdir(exist_ok=True)
    (folder / "unicorn" / "lib" / "libunicorn.so.2").write_bytes(library.replace(old, new))
    run = subprocess.run([sys.executable, "-c", START], env={"PYTHONPATH": str(folder)},
                         capture_output=True, text=True)
    return run.stdout + run.stderr


@pytest.mark.parametrize("old, new, answer", [
    (b"", b"", "starts"),
    (RETURN_VERSION, RETURN_VERSION.replace(b"\x04", b"\x05"),
     f"{NEEDS}, found another: version 2.1.5"),
    (b"\0cpu_abort_x86_64\0", b"\0cpu_abort_x86_65\0",  # cannot be loaded: Uc() finds another
     f"{NEEDS}, found another: unicorn has loaded it from elsewhere"),
])
def test_a_patched_library(tmp_path, old, new, answer):
    assert start_with(tmp_path, old, new).strip() == answer


def test_another_version_of_the_package(monkeypatch):
    monkeypatch.setattr(unicorn, "__version__", "2.0.1")
    with pytest.raises(EngineError, match=f"^{NEEDS}, found version 2.0.1$"):
        Cpu()


def test_a_library_that_unicorn_did_not_load(monkeypatch):
    monkeypatch.setattr(engine, "_library_path", lambda: "/usr/lib/libunicorn.so.2")
    with pytest.raises(EngineError, match=f"^{NEEDS}, found another: "):
        Cpu()


def test_an_instance_whose_functions_are_not_the_original_ones():
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    first = Vcpu(engine._library_path(), uc._uch.value, uc)
    with pytest.raises(EngineError, match=f"^{NEEDS}, found another: "):
        Vcpu(engine._library_path(), uc._uch.value, uc)
    assert first.rip == 0xfff0


def test_many_cpus_live_and_die():
    for _ in range(20):
        assert Cpu().rip == 0xfff0
    several = [Cpu() for _ in range(4)]
    assert {cpu.cs[1] for cpu in several} == {0xffff0000}


def test_a_fork_may_drop_the_cpus_of_its_parent():
    cpus = [Cpu()]

    def drop():
        cpus[0] = Cpu()
        return cpus.pop().rip

    assert in_child(drop, timeout=10) == 0xfff0
    assert cpus[0].rip == 0xfff0
