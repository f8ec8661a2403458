"""Tools of the host: run them with everything that varies from build to build taken away."""
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EPOCH = 1_672_531_200  # 2023-01-01 00:00 UTC: the age of every file in every image

ENVIRONMENT = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "E2FSPROGS_FAKE_TIME": str(EPOCH),
    "MTOOLS_SKIP_CHECK": "1",
}
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # where mke2fs is, and where users do not look


class BuildError(Exception):
    """The image cannot be built; the message is one line for the user."""


def run(*command: str | int | Path, cwd: Path | None = None) -> str:
    """What `command` prints. Raises BuildError if it is missing or fails."""
    done = start(*command, cwd=cwd)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise BuildError(f"{command[0]}: {reason}")
    return done.stdout


def start(
    *command: str | int | Path, cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """How `command` ended and what it printed. Raises BuildError if it is missing."""
    words = [str(word) for word in command]
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    program = shutil.which(words[0], path=path)
    if program is None:
        raise BuildError(f"{words[0]}: not found (make image-packages installs it)")
    return subprocess.run(
        [program, *words[1:]], cwd=cwd, env={**os.environ, **ENVIRONMENT, "PATH": path},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def installed(path: Path, package: str) -> bytes:
    """The contents of a file of the host. Raises BuildError if its package is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BuildError(f"{path}: not found (Debian package {package})") from None


@contextmanager
def finished(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` at the end, or vanishes if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
