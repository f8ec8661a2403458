"""The man page and the completions know every option, and their readers understand them."""
import shutil
import subprocess

import pytest
from pyemu.cpu_models import MODELS
from pyemu.options import pages
from pyemu.options.table import OPTIONS


def test_manual_has_every_option(tmp_path):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-P-cbou"], input=pages.manual(),
                          capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for name in OPTIONS:
        assert f"-{name}" in done.stdout
    assert "./" not in pages.manual().splitlines()


def complete(*words):
    """What bash offers for the last of the words."""
    script = ('. /dev/fd/3; COMP_WORDS=(pyemu "$@"); COMP_CWORD=$#; _pyemu; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", f'exec 3<<"EOF"\n{pages.bash()}\nEOF\n{script}', "bash",
                           *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk.img").touch()
    (tmp_path / "firmware").mkdir()
    assert complete("-") == [f"-{name}" for name in OPTIONS]
    assert complete("-nogr") == ["-nographic"]
    assert complete("-cpu", "") == sorted(MODELS)
    assert complete("-vga", "s") == ["std"]
    assert complete("-hda", "") == ["disk.img", "firmware"]
    assert complete("-L", "") == ["firmware"]
    assert complete("di") == ["disk.img"]
    assert complete("-m", "") == []


def test_zsh_completion(tmp_path):
    text = pages.zsh()
    for name in OPTIONS:
        assert f"'-{name}[" in text
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=text, text=True, check=True)
