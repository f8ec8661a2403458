"""A root file system as an ext4 partition, written by mke2fs and debugfs without root.

debugfs makes each inode in order of path, so the layout depends on nothing of the host. There is
no journal: nothing to replay after a machine was switched off, and less to start.
"""
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pyemu.images.host import EPOCH, BuildError, run, start
from pyemu.images.tree import Entry, Tree

BLOCK = 4096  # bytes
FEATURES = "^has_journal,^metadata_csum,^64bit,^resize_inode,^orphan_file,^metadata_csum_seed"
TIMES = ("atime", "ctime", "mtime", "crtime")


def write(image: Path, offset: int, size: int, tree: Tree, label: str, uuid: str) -> None:
    """Make a file system with the contents of `tree` inside the file `image`.

    offset, size: where in the file it goes and how long it gets, in bytes.
    Raises BuildError if the contents do not fit.
    """
    options = f"offset={offset},hash_seed={uuid},root_owner=0:0,lazy_itable_init=0"
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", BLOCK, "-O", FEATURES, "-m", 0,
        "-L", label, "-U", uuid, "-E", options, image, size // BLOCK)
    with TemporaryDirectory() as folder:
        commands = [f"set_current_time @{EPOCH}"]
        for number, (path, entry) in enumerate(tree):
            source = Path(folder, str(number))
            if stat.S_ISREG(entry.mode):
                source.write_bytes(entry.data)
            commands += _creation(path, entry, source)
        script = Path(folder, "script")
        script.write_text("".join(f"{command}\n" for command in commands))
        _debugfs(script, f"{image}?offset={offset}")


def _creation(path: str, entry: Entry, source: Path) -> Iterator[str]:
    yield f'cd "{PurePosixPath(path).parent}"'
    name = PurePosixPath(path).name
    if stat.S_ISDIR(entry.mode):
        yield f'mkdir "{name}"'
    elif stat.S_ISREG(entry.mode):
        yield f'write "{source}" "{name}"'
    elif stat.S_ISLNK(entry.mode):
        yield f'symlink "{name}" "{entry.data.decode()}"'
    else:
        yield f'mknod "{name}" c {entry.device[0]} {entry.device[1]}'
    fields = {"mode": f"0{entry.mode:o}", "uid": str(entry.uid), "gid": str(entry.gid)}
    fields |= dict.fromkeys(TIMES, f"@{EPOCH}")
    for field, value in fields.items():
        yield f'set_inode_field "{name}" {field} {value}'


def _debugfs(script: Path, file_system: str) -> None:
    """Run a script. debugfs ends with status 0 whatever happened, so its words are judged."""
    done = start("debugfs", "-w", "-f", script, file_system)
    _banner, *complaints = done.stderr.splitlines()
    if complaints or done.returncode:
        raise BuildError(f"debugfs: {' '.join(complaints[:1]) or 'failed'}")
