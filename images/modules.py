"""Kernel modules: which others each needs, and the tables by which modprobe finds them.

Names have `_` where files may have `-`. Source: modules.dep(5), and the .modinfo section that
each module has, `key=value` strings which end with a zero byte.
"""
import re
from collections.abc import Iterable
from pathlib import Path

from pyemu.images.host import BuildError
from pyemu.images.tree import Tree

ORDER = "lib/modules/*/modules.order"


class Modules:
    """The modules of one unpacked kernel package.

    release: the kernel's version, as `uname -r` prints it.
    """

    def __init__(self, kernel: Path):
        folders = [file.parent for file in kernel.glob(ORDER)]
        if len(folders) != 1:
            raise BuildError(f"{kernel.name}: {len(folders)} folders of modules, not one")
        self.folder = folders[0]
        self.release = self.folder.name
        self._files = {
            file.stem.replace("-", "_"): file for file in self.folder.rglob("*.ko")}

    def closure(self, names: Iterable[str]) -> list[str]:
        """`names` and all they need, each after what it needs. Raises BuildError if one is none."""
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in order:
                for needed in self.needs(name):
                    visit(needed)
                order[name] = None

        for name in names:
            visit(name)
        return list(order)

    def needs(self, name: str) -> list[str]:
        """The modules that `name` itself refers to."""
        words = ",".join(self._information(name, "depends"))
        return [word.replace("-", "_") for word in words.split(",") if word]

    def install(self, tree: Tree, names: Iterable[str]) -> None:
        """Add `names`, all they need, and modprobe's tables for just these."""
        closure = self.closure(names)
        dependencies, aliases = [], []
        for name in closure:
            needed = self.closure([name])[-2::-1]
            dependencies.append(f"{self._path(name)}: {' '.join(map(self._path, needed))}".rstrip())
            aliases += [f"alias {alias} {name}" for alias in self._information(name, "alias")]
            tree.file(f"{self._root}/{self._path(name)}", self._file(name).read_bytes())
        tree.file(f"{self._root}/modules.dep", _lines(dependencies))
        tree.file(f"{self._root}/modules.alias", _lines(aliases))

    @property
    def _root(self) -> str:
        return f"/lib/modules/{self.release}"

    def _file(self, name: str) -> Path:
        try:
            return self._files[name]
        except KeyError:
            raise BuildError(f"{self.release}: this kernel has no module {name}") from None

    def _path(self, name: str) -> str:
        return self._file(name).relative_to(self.folder).as_posix()

    def _information(self, name: str, key: str) -> list[str]:
        pattern = rb"(?<![ -~])%b=([^\0]*)" % key.encode()
        values = re.findall(pattern, self._file(name).read_bytes())
        return [value.decode() for value in values]


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
