"""`create` and `resize`."""
import errno
import os
from collections.abc import Callable
from typing import Any

from pyemu.config import UserError
from pyemu.img.arguments import Arguments, open_one, round_up, say, size_of
from pyemu.machine.block.base import ZEROS, BlockError
from pyemu.machine.block.hostfile import fallocate
from pyemu.machine.block.lock import lock_image
from pyemu.machine.block.open import FORMATS, backing_path
from pyemu.machine.block.qcow2_create import COMPRESSIONS, PREALLOCATIONS, Options
from pyemu.machine.block.qcow2_create import create as create_qcow2
from pyemu.machine.block.raw import RawFile
from pyemu.options import keyvalue

OPTIONS = {
    "qcow2": {
        "backing_file": "File name of a base image",
        "backing_fmt": "Image format of the base image",
        "cluster_size": "qcow2 cluster size",
        "compat": "Compatibility level (v2 [0.10] or v3 [1.1])",
        "compression_type": "Compression method used for image cluster compression",
        "lazy_refcounts": "Postpone refcount updates",
        "preallocation": "Preallocation mode (allowed values: off, metadata, falloc, full)",
        "refcount_bits": "Width of a reference count entry in bits",
        "size": "Virtual disk size",
    },
    "raw": {
        "preallocation": "Preallocation mode (allowed values: off, falloc, full)",
        "size": "Virtual disk size",
    },
}
NOT_SUPPORTED = ("data_file", "data_file_raw", "encryption", "extended_l2")
VERSIONS = {"0.10": 2, "v2": 2, "1.1": 3, "v3": 3}


def create(words: list[str]) -> int:
    arguments = Arguments(words, "f:b:F:o:uq")
    if arguments.all("o") and arguments.all("o")[-1] in ("help", "?"):
        print(options_help(arguments.get("f") or "raw"))
        return 0
    if not 1 <= len(arguments.words) <= 2:
        raise UserError("Expecting image file name")
    path = arguments.words[0]
    format = arguments.get("f") or "raw"
    if format not in FORMATS:
        raise UserError(f"{path}: Unknown file format '{format}'")
    values = option_values(path, format, ",".join(arguments.all("o")))
    if "b" in arguments:
        values["backing_file"] = arguments.values["b"]
    if "F" in arguments:
        values["backing_fmt"] = arguments.values["F"]
    if len(arguments.words) == 2:
        values["size"] = arguments.words[1]
    size = _size(path, values, open_backing="u" not in arguments)
    make(path, format, size, values, lambda text: say(arguments, text))
    return 0


def resize(words: list[str]) -> int:
    # A size to take off begins with a dash, but is no option.
    less = [words[-1]] if words and words[-1][:1] == "-" and words[-1][1:2].isdigit() else []
    arguments = Arguments(words[:len(words) - len(less)], "f:q", ("shrink", "preallocation="))
    arguments.words += less
    path, text = arguments.exactly(2, "Expecting image file name and size")
    if arguments.get("preallocation", "off") != "off":
        raise UserError("--preallocation is not supported, only 'off' is")
    node, _ = open_one(path, arguments.format(), writable=True)
    try:
        amount = size_of(text.lstrip("+-"))
        size = {"+": node.size + amount, "-": node.size - amount}.get(text[0], amount)
        if size <= 0:
            raise UserError("New image size must be positive")
        if size < node.size and "shrink" not in arguments:
            raise UserError(
                "Use the --shrink option to perform a shrink operation.\n"
                "pyemu-img: warning: Shrinking an image will delete all data beyond the shrunken "
                "image's end. Before performing such an operation, make sure there is no important "
                "data there.")
        node.resize(round_up(size))
    finally:
        node.close()
    say(arguments, "Image resized.")
    return 0


def option_values(path: str, format: str, text: str) -> dict[str, str]:
    """The values of -o. Raises UserError."""
    known = tuple(OPTIONS[format])
    try:
        return keyvalue.parse(text, (*known, *NOT_SUPPORTED)) if text else {}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def options_help(format: str) -> str:
    if format not in OPTIONS:
        raise UserError(f"Unknown file format '{format}'")
    return "\n".join([f"Supported {format} options:",
                      *(f"  {name}=... - {text}" for name, text in OPTIONS[format].items())])


def make(path: str, format: str, size: int, values: dict[str, str],
         tell: Callable[[str], None]) -> None:
    """Make the image; `tell` takes the line about it. Raises UserError."""
    try:
        if format == "raw":
            tell(f"Formatting '{path}', fmt=raw size={size}"
                 f"{_described(values, ('preallocation',))}")
            _make_raw(path, round_up(size), values.get("preallocation", "off"))
            return
        options = qcow2_options(path, values)
        tell(_formatting(path, size, options, values))
        options.check()
        file = new_file(path, format)
        try:
            create_qcow2(file, round_up(size), options)
        finally:
            file.close()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _make_raw(path: str, size: int, preallocation: str) -> None:
    if preallocation not in ("off", "falloc", "full"):
        raise BlockError(f"Unsupported preallocation mode '{preallocation}'", errno.EINVAL)
    file = new_file(path, "raw")
    try:
        file.resize(size)
        if preallocation == "falloc" and size:
            fallocate(file.fd, 0, 0, size)
        elif preallocation == "full":
            for offset in range(0, size, ZEROS):
                file.write(offset, bytes(min(ZEROS, size - offset)))
    finally:
        file.close()


def new_file(path: str, format: str) -> RawFile:
    """An empty file, nobody else's. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        lock_image(fd, path, format, read_only=False)
        os.ftruncate(fd, 0)
        file = RawFile(fd)
        file.path = path
        return file
    except BaseException:
        os.close(fd)
        raise


def qcow2_options(path: str, values: dict[str, str]) -> Options:
    """Raises UserError."""
    for name in NOT_SUPPORTED:
        if values.get(name, "off") != "off":
            raise UserError(f"{path}: {name} is not supported")
    compat = values.get("compat", "1.1")
    if compat not in VERSIONS:
        raise UserError(f"{path}: Invalid parameter '{compat}'")
    compression = values.get("compression_type", "zlib")
    if compression not in COMPRESSIONS:
        raise UserError(f"{path}: Invalid parameter '{compression}'")
    preallocation = values.get("preallocation", "off")
    if preallocation not in PREALLOCATIONS:
        raise UserError(f"{path}: Invalid parameter '{preallocation}'")
    return Options(
        cluster_size=size_of(values.get("cluster_size", "64k")), version=VERSIONS[compat],
        refcount_bits=keyvalue.number(values, "refcount_bits", 16),
        lazy_refcounts=keyvalue.on_off(values, "lazy_refcounts", False),
        compression_type=compression, backing_file=values.get("backing_file"),
        backing_format=values.get("backing_fmt"), preallocation=preallocation)


def _size(path: str, values: dict[str, str], open_backing: bool) -> int:
    """Of the new image: as told, or that of its backing file, which must be one."""
    backing = values.get("backing_file")
    size = None
    if backing and not values.get("backing_fmt"):
        raise UserError(f"{path}: Backing file specified without backing format")
    if backing and values["backing_fmt"] not in FORMATS:
        raise UserError(f"{path}: Unknown backing file format '{values['backing_fmt']}'")
    if backing and open_backing:
        try:
            node, _ = open_one(backing_path(path, backing), values["backing_fmt"])
        except UserError as error:
            text = str(error)
            raise UserError(f"{path}: {text.partition(': ')[2]}\nCould not open backing image."
                            ) from None
        size = node.size
        node.close()
    if "size" in values:
        return size_of(values["size"])
    if size is None:
        raise UserError(f"{path}: Image creation needs a size parameter")
    return size


def _described(values: dict[str, Any], names: tuple[str, ...]) -> str:
    return "".join(f" {name}={values[name]}" for name in names if name in values)


def _formatting(path: str, size: int, options: Options, values: dict[str, str]) -> str:
    backing = "".join(f" {name}={value}" for name, value in (
        ("backing_file", options.backing_file), ("backing_fmt", options.backing_format)) if value)
    return (f"Formatting '{path}', fmt=qcow2 cluster_size={options.cluster_size} extended_l2=off"
            f"{_described(values, ('preallocation',))} compression_type={options.compression_type} "
            f"size={size}{_described(values, ('compat',))}{backing} lazy_refcounts="
            f"{'on' if options.lazy_refcounts else 'off'} refcount_bits={options.refcount_bits}")
