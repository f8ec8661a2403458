"""python -m pyemu.images NAME...: build images; see `--help`."""
import argparse
import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pyemu.images import cirros, mini
from pyemu.images.host import BuildError

IMAGES: dict[str, Callable[[Path, Path], None]] = {
    "mini": partial(mini.build, architecture="amd64"),
    "cirros": cirros.build,
    "mini32": partial(mini.build, architecture="i386"),
}
DEFAULTS = ("mini", "cirros")  # what "all" means


def main(arguments: list[str] | None = None) -> int:
    """Build what the arguments name. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pyemu.images", description="Build bootable images from Debian packages.")
    parser.add_argument("images", nargs="+", metavar="NAME", choices=[*IMAGES, "all"],
                        help=f"{', '.join(IMAGES)}, or all ({' and '.join(DEFAULTS)})")
    parser.add_argument("--out", type=Path, default=Path("images/out"), metavar="DIR",
                        help="where NAME.img goes (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/images"), metavar="DIR",
                        help="where packages are kept (default: %(default)s)")
    options = parser.parse_args(arguments)
    names = dict.fromkeys(
        name for word in options.images for name in (DEFAULTS if word == "all" else (word,)))
    try:
        with _alone(options.cache):
            for name in names:
                path = options.out / f"{name}.img"
                print(f"build {path}", flush=True)
                IMAGES[name](path, options.cache)
    except (BuildError, OSError) as error:
        print(f"pyemu.images: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Wait until no other build uses the cache folder; keep it until the end."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
