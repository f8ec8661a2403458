"""Drives: `-hda FILE`, `-cdrom FILE`, `-drive KEY=VALUE,...` and the image as a bare argument."""
from pyemu.cache_modes import CACHES
from pyemu.config import DriveConfig, UserError, VirtioBlkConfig
from pyemu.options import keyvalue
from pyemu.options.request import Request

FORMATS = ("raw", "qcow2")
CDROM_INDEX = 2  # where -cdrom is, and an empty CD-ROM drive unless something else is there
UNITS_PER_BUS = 2
KEYS = ("file", "format", "if", "index", "bus", "unit", "media", "snapshot", "readonly",
        "read-only", "cache", "discard", "werror", "rerror", "id")
DISCARDS = {"ignore": False, "off": False, "unmap": True, "on": True}
WRITE_ERRORS = ("report", "ignore", "enospc", "stop")
READ_ERRORS = ("report", "ignore", "stop")
PLACES = {"ide": 4, "floppy": 2, "virtio": 24, "none": 100}  # drives of each interface
NAMES = {"ide": "IDE", "floppy": "floppy", "virtio": "virtio", "none": "unconnected"}
OTHER_INTERFACES = ("scsi", "sd", "mtd", "pflash")


def hard_disk(index: int):
    """The handler of -hda (index 0) to -hdd (3)."""
    def handle(request: Request, file: str) -> None:
        letter = "abcd"[index]
        _add_image(request, DriveConfig(file, index, f"-hd{letter} {file}"))
    return handle


def cdrom(request: Request, file: str) -> None:
    _add_image(request, DriveConfig(
        file, CDROM_INDEX, f"-cdrom {file}", media="cdrom", read_only=True))


def floppy(index: int):
    """The handler of -fda (index 0) and -fdb."""
    def handle(request: Request, file: str) -> None:
        _add_image(request, DriveConfig(
            file, index, f"-fd{'ab'[index]} {file}", interface="floppy"))
    return handle


def bare_image(request: Request, file: str) -> None:
    _add_image(request, DriveConfig(file, 0, file))


def finish(request: Request) -> None:
    """The drives that are there without being asked for, and what -snapshot says."""
    config = request.config
    if config.snapshot:
        for drive in config.drives:
            if drive.media == "disk" and drive.source not in request.drives_with_own_snapshot:
                drive.snapshot = True
    _plug_virtio_disks(request)
    taken = {(drive.interface, drive.index) for drive in config.drives}
    if not request.nodefaults:
        if ("ide", CDROM_INDEX) not in taken:
            config.drives.append(DriveConfig("", CDROM_INDEX, "", media="cdrom", read_only=True))
        if ("floppy", 0) not in taken:
            config.drives.append(DriveConfig("", 0, "", interface="floppy"))


def drive(request: Request, text: str) -> None:
    values = keyvalue.parse(text, KEYS)
    interface = values.get("if", "ide")
    if interface in OTHER_INTERFACES:
        raise UserError(f"bus type '{interface}' is not supported, only {', '.join(PLACES)} are")
    if interface not in PLACES:
        raise UserError(f"unsupported bus type '{interface}'")
    media = values.get("media", "disk")
    if media not in ("disk", "cdrom"):
        raise UserError(f"'{media}' invalid media")
    if not values.get("file") and media == "disk" and interface in ("ide", "virtio"):
        raise UserError("Device needs media, but drive is empty")
    if interface == "floppy":
        for key in "werror", "rerror":
            if key in values:
                raise UserError(f"{key} is not supported by this bus type")
    image_format = values.get("format")
    if image_format is not None and image_format not in FORMATS:
        raise UserError(f"Unknown driver '{image_format}', known are {', '.join(FORMATS)}")
    read_only = keyvalue.on_off(values, "readonly", keyvalue.on_off(values, "read-only", False))
    if read_only and media == "disk" and interface == "ide":
        raise UserError("Block node is read-only")  # ATA disks have no way to say so
    _add(request, DriveConfig(
        file=values.get("file", ""),
        index=_index(request, values, interface),
        source=f"-drive {text}",
        format=image_format,
        # What a drive does not say is settled by -snapshot, which may come later.
        snapshot=keyvalue.on_off(values, "snapshot", False),
        interface=interface,
        media=media,
        read_only=read_only or media == "cdrom",
        cache=_one_of(values, "cache", tuple(CACHES), "writeback", "invalid cache option"),
        discard=DISCARDS[_one_of(values, "discard", tuple(DISCARDS), "ignore",
                                 "Invalid discard option")],
        werror=_one_of(values, "werror", WRITE_ERRORS, "enospc",
                       f"'{values.get('werror')}' invalid write error action"),
        rerror=_one_of(values, "rerror", READ_ERRORS, "report",
                       f"'{values.get('rerror')}' invalid read error action"),
        id=values.get("id", ""),
    ))
    if "snapshot" in values:
        request.drives_with_own_snapshot.add(f"-drive {text}")


def virtio_disk(request: Request, text: str) -> None:
    """-device virtio-blk-pci: a disk on PCI for a drive, which may be named later."""
    values = keyvalue.parse(text, ("driver", "drive", "serial", "id"), implied="driver")
    if not values.get("drive"):
        raise UserError("drive property not set")
    request.config.virtio_disks.append(
        VirtioBlkConfig(f"-device {text}", values["drive"], values.get("serial", ""),
                        values.get("id", "")))


def _plug_virtio_disks(request: Request) -> None:
    """A drive for each disk, and a disk for each drive with if=virtio."""
    config = request.config
    drives = {drive.name: drive for drive in config.drives}
    for disk in config.virtio_disks:
        drive = drives.get(disk.drive)
        if drive is None:
            raise UserError(f"{disk.source}: Property 'virtio-blk-device.drive' can't find value "
                            f"'{disk.drive}'")
        if drive.interface != "none" or drive.device:
            raise UserError(f"{disk.source}: Drive '{disk.drive}' is already in use by another "
                            "device")
        if not drive.file:
            raise UserError(f"{disk.source}: Device needs media, but drive is empty")
        drive.device = "virtio-blk"
    for drive in config.drives:
        if drive.interface == "virtio":
            drive.device = "virtio-blk"
            config.virtio_disks.append(VirtioBlkConfig(drive.source, drive.name))
    if len(config.virtio_disks) > PLACES["virtio"]:
        raise UserError(f"there are only {PLACES['virtio']} places for virtio disks")


def _one_of(values: dict[str, str], key: str, known: tuple[str, ...], default: str,
            complaint: str) -> str:
    value = values.get(key, default)
    if value not in known:
        raise UserError(complaint)
    return value


def _index(request: Request, values: dict[str, str], interface: str) -> int:
    """The place that the keys name, or else the first free one."""
    places = PLACES[interface]
    if "bus" in values or "unit" in values:
        if "index" in values:
            raise UserError("index cannot be used with bus and unit")
        bus = keyvalue.number(values, "bus", 0)
        unit = keyvalue.number(values, "unit", 0)
        if bus < 0 or not 0 <= unit < UNITS_PER_BUS:
            raise UserError(f"unit {unit} of bus {bus} does not exist")
        index = bus * UNITS_PER_BUS + unit
    elif "index" in values:
        index = keyvalue.number(values, "index", 0)
    else:
        taken = {drive.index for drive in request.config.drives if drive.interface == interface}
        index = next(index for index in range(places + 1) if index not in taken)
    if not 0 <= index < places:
        raise UserError(f"there is no {NAMES[interface]} drive {index}: the machine has places "
                        f"0 to {places - 1}")
    return index


def _add_image(request: Request, new: DriveConfig) -> None:
    if not new.file:
        raise UserError("The 'file' block driver requires a file name")
    _add(request, new)


def _add(request: Request, new: DriveConfig) -> None:
    for other in request.config.drives:
        if (other.interface, other.index) == (new.interface, new.index):
            bus, unit = divmod(new.index, UNITS_PER_BUS)
            raise UserError(
                f"drive with bus={bus}, unit={unit} (index={new.index}) exists: {other.source}")
        if new.id and other.id == new.id:
            raise UserError(f"Duplicate ID '{new.id}' for drive")
    request.config.drives.append(new)
