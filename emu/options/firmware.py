"""What the firmware is told: boot order, files, the machine's UUID."""
import re

from pyemu.config import FirmwareFileConfig, UserError
from pyemu.options import keyvalue
from pyemu.options.request import Request
from pyemu.report import complain

BOOT_DEVICES = "abcdn"
BOOT_PLACES = 3  # the CMOS has room for three
BOOT_KEYS = ("order", "once", "menu", "strict", "splash-time", "reboot-timeout")
MOST_MILLISECONDS = 0xffff
FILE_NAME_LENGTH, USERS_FILES = 55, "opt/"


def boot(request: Request, text: str) -> None:
    config = request.config
    values = keyvalue.parse(text, BOOT_KEYS, implied="order")
    if "order" in values:
        config.boot_order = _boot_order(values["order"])
    if "once" in values:
        config.boot_once = _boot_order(values["once"])
    config.boot_menu = keyvalue.on_off(values, "menu", config.boot_menu)
    config.boot_strict = keyvalue.on_off(values, "strict", config.boot_strict)
    if "splash-time" in values:
        config.boot_wait_ms = _milliseconds(values, "splash-time", 0)
    if "reboot-timeout" in values:
        wait = _milliseconds(values, "reboot-timeout", -1)
        config.reboot_timeout_ms = None if wait < 0 else wait


def _boot_order(order: str) -> str:
    for place, device in enumerate(order):
        if device not in BOOT_DEVICES:
            raise UserError(f"Invalid boot device '{device}'")
        if device in order[:place]:
            raise UserError(f"Boot device '{device}' was given twice")
    if not order:
        raise UserError("the boot order is empty")
    if len(order) > BOOT_PLACES:
        raise UserError("Too many boot devices for PC")
    return order


def _milliseconds(values: dict[str, str], key: str, least: int) -> int:
    value = keyvalue.number(values, key, 0)
    if not least <= value <= MOST_MILLISECONDS:
        raise UserError(
            f"{key} is invalid, it should be a value between {least} and {MOST_MILLISECONDS}")
    return value


def fw_cfg(request: Request, text: str) -> None:
    values = keyvalue.parse(text, ("name", "file", "string"), implied="name")
    name, chosen = values.get("name"), [key for key in ("file", "string") if values.get(key)]
    if not name or len(chosen) != 1:
        raise UserError("name, plus exactly one of file and string, are needed")
    if not name.isascii():
        raise UserError("name has other characters than ASCII's")
    if len(name) > FILE_NAME_LENGTH:
        raise UserError(f"name too long (max. {FILE_NAME_LENGTH} char)")
    files = request.config.fw_cfg_files
    if name in files:
        raise UserError(f"duplicate fw_cfg file name: {name}")
    source = f"-fw_cfg {text}"
    if not name.startswith(USERS_FILES):
        complain(f"{source}: warning: externally provided fw_cfg item names should be prefixed "
                 f'with "{USERS_FILES}"')
    files[name] = FirmwareFileConfig(source, text=values.get("string"), file=values.get("file"))


def uuid(request: Request, text: str) -> None:
    if not re.fullmatch("-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12)), text):
        raise UserError("failed to parse UUID string: wrong format")
    request.config.uuid = bytes.fromhex(text.replace("-", ""))
