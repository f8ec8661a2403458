"""Writes the man page and the completions before they are packed; the rest is in pyproject.toml."""
import sys
import types
from pathlib import Path

from setuptools import setup

package = types.ModuleType("pyemu")  # the folders as they lie here
package.__path__ = ["emu", "."]
exec(Path("emu/__init__.py").read_text(encoding="utf-8"), package.__dict__)
sys.modules["pyemu"] = package

from pyemu.options import pages  # noqa: E402

SHARE = {
    "share/man/man1": ("pyemu.1", pages.manual),
    "share/bash-completion/completions": ("pyemu", pages.bash),
    "share/zsh/site-functions": ("_pyemu", pages.zsh),
}

data_files = []
for folder, (name, make) in SHARE.items():
    target = Path("build", folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(make(), encoding="utf-8")
    data_files.append((folder, [str(target)]))

setup(data_files=data_files)
