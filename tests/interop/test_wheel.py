"""The wheel, installed where there is no compiler, boots a guest."""
import os
import subprocess
import sys
from pathlib import Path

from boot.console import IMAGES, ROOT, Console, shell

PROGRAMS = ("env", "sh", "dirname", "uname")  # all that is in PATH


def test_wheel(tmp_path):
    subprocess.run(["make", "-s", "wheel"], cwd=ROOT, check=True, timeout=600)
    wheel, = (ROOT / "dist").glob("pyemu-*.whl")
    assert "manylinux" in wheel.name
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS:
        (tmp_path / "bin" / program).symlink_to(f"/usr/bin/{program}")
    environment = {name: value for name, value in os.environ.items()
                   if name.startswith(("PIP_", "SSL_", "HTTP", "http"))}
    environment |= {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "TERM": "dumb"}
    installed = tmp_path / "venv/bin"
    subprocess.run([installed / "pip", "install", "-q", "--only-binary", ":all:", wheel],
                   env=environment, cwd=tmp_path, check=True, timeout=600)
    share = tmp_path / "venv/share"
    for page in ("man/man1/pyemu.1", "bash-completion/completions/pyemu",
                 "zsh/site-functions/_pyemu"):
        assert (share / page).stat().st_size > 2000
    version = subprocess.run([installed / "pyemu", "--version"], env=environment, cwd=tmp_path,
                             capture_output=True, text=True, check=True).stdout
    assert "\nunicorn 2.1.4\nSeaBIOS " in version
    command = [installed / "pyemu", "-hda", IMAGES / "mini.img", "-snapshot", "-nographic"]
    with Console(command, env=environment, cwd=Path(tmp_path)) as console:
        shell(console)
        console.type("poweroff")
        assert console.wait() == 0
