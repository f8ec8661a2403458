"""Debian packages, fetched and unpacked by the host's apt and dpkg without being installed.

apt chooses the versions and checks the signatures. Packages for another architecture than the
host's come through package lists of our own, so that the machine's set-up stays as it is.
"""
import hashlib
import os
import re
import shutil
from pathlib import Path

from pyemu.images.host import BuildError, run

# 'URL' FILE SIZE ALGORITHM:DIGEST, as `apt-get --print-uris` prints it
URI_LINE = re.compile(r"'[^']+' (?P<file>\S+) \d+ (?P<algorithm>\w+):(?P<digest>[0-9a-f]+)")


class Packages:
    """Unpacked packages of one architecture, kept in a cache folder.

    cache: folder for the downloads, the unpacked files and apt's lists for another architecture.
    architecture: as dpkg calls it.
    """

    def __init__(self, cache: Path, architecture: str):
        self.cache = cache.resolve() / architecture
        self.options: list[str] = ["-qq"]
        if architecture != run("dpkg", "--print-architecture").strip():
            self.options += self._foreign(architecture)
            try:
                run("apt-get", "update", *self.options)
            except BuildError as error:  # what the lists still lack shows when it is asked for
                print(error, flush=True)

    def folder(self, name: str) -> Path:
        """The unpacked files of package `name`. Raises BuildError if apt cannot get it."""
        file, algorithm, digest = self._choice(name)
        unpacked = self.cache / "unpacked" / file.removesuffix(".deb")
        if unpacked.is_dir():
            return unpacked
        archive = self.cache / "archives" / file
        if not _is_intact(archive, algorithm, digest):
            print(f"fetch {file}", flush=True)
            archive.parent.mkdir(parents=True, exist_ok=True)
            run("apt-get", "download", *self.options, name, cwd=archive.parent)
            if not _is_intact(archive, algorithm, digest):
                raise BuildError(f"{archive}: not what apt promised")
        unfinished = unpacked.with_name(f".{unpacked.name}.{os.getpid()}")
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        try:
            run("dpkg-deb", "--extract", archive, unfinished)
            unfinished.rename(unpacked)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return unpacked

    def newest(self, name: str) -> str:
        """The package that `name`, which holds no files itself, stands for."""
        text = run("apt-cache", "depends", "--important", *self.options[1:], name)
        found = re.search(r"^  Depends: (\S+)$", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{name}: the package depends on nothing")
        return found[1]

    def _choice(self, name: str) -> tuple[str, str, str]:
        text = run("apt-get", "download", "--print-uris", *self.options, name)
        found = URI_LINE.search(text)
        if found is None:
            raise BuildError(f"{name}: apt names no file for it")
        return found["file"], found["algorithm"].lower(), found["digest"]

    def _foreign(self, architecture: str) -> list[str]:
        lists = self.cache / "lists"
        status = self.cache / "status"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        status.touch()
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "Dir::State::Lists": str(lists),
            "Dir::State::Status": str(status),
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
        }
        return [f"--option={key}={value}" for key, value in settings.items()]


def only_file(package: Path, pattern: str) -> Path:
    """The one file of an unpacked package that matches. Raises BuildError if it is not one."""
    found = list(package.glob(pattern))
    if len(found) != 1:
        raise BuildError(f"{package.name}: {len(found)} files match {pattern}, not one")
    return found[0]


def _is_intact(archive: Path, algorithm: str, digest: str) -> bool:
    if not archive.is_file():
        return False
    with archive.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest
