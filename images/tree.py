"""A root file system in the making: path -> entry, with the owner and mode each is to have.

Nothing is made on the host, which would need root for owners and devices; the writers
(`cpio`, `ext4`) take the entries from here in order of their paths.
"""
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyemu.images.host import BuildError


@dataclass(frozen=True)
class Entry:
    """One file. mode has type and permissions; data is its content, or a link's target."""

    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)  # major, minor


class Tree:
    """Paths are absolute, as in the guest. Folders above an entry come by themselves."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        """(path, entry) in order of path, so each folder comes before what it holds."""
        return iter(sorted(self.entries.items(), key=lambda item: item[0].split("/")))

    def folder(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        self._add(path, Entry(stat.S_IFDIR | mode, b"", uid, gid))

    def file(self, path: str, data: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        self._add(path, Entry(stat.S_IFREG | mode, data, uid, gid))

    def link(self, path: str, target: str) -> None:
        self._add(path, Entry(stat.S_IFLNK | 0o777, target.encode()))

    def character_device(self, path: str, major: int, minor: int, mode: int) -> None:
        self._add(path, Entry(stat.S_IFCHR | mode, device=(major, minor)))

    def overlay(self, folder: Path) -> None:
        """All files below `folder`: executable for all or for none, as git keeps them."""
        for source in sorted(folder.rglob("*")):
            path = f"/{source.relative_to(folder).as_posix()}"
            if source.is_symlink():
                self.link(path, str(source.readlink()))
            elif source.is_file():
                executable = source.stat().st_mode & stat.S_IXUSR
                self.file(path, source.read_bytes(), 0o755 if executable else 0o644)

    def permit(self, path: str, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Change who may do what with an entry that is there."""
        entry = self.entries[path]
        self.entries[path] = Entry(
            stat.S_IFMT(entry.mode) | mode, entry.data, uid, gid, entry.device)

    def take(self, package: Path, pattern: str) -> None:
        """The files and links of an unpacked package whose paths match `pattern`.

        Raises BuildError if there are none.
        """
        found = [path for path in sorted(package.glob(pattern)) if not path.is_dir()]
        if not found:
            raise BuildError(f"{package.name}: no {pattern} in this package")
        for source in found:
            path = f"/{source.relative_to(package).as_posix()}"
            if source.is_symlink():
                self.link(path, str(source.readlink()))
            else:
                self.file(path, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))

    def _add(self, path: str, entry: Entry) -> None:
        if not path.startswith("/") or path == "/":
            raise ValueError(f"{path!r} is no absolute path below the root")
        for parent in PurePosixPath(path).parents:
            if str(parent) != "/":
                self.entries.setdefault(str(parent), Entry(stat.S_IFDIR | 0o755))
        self.entries[path] = entry
