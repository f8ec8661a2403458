"""QEMU's option arguments: `value,key=value,flag,noflag`, with `,,` for a comma in a value."""
import re

from pyemu.config import UserError


def split(text: str) -> list[str]:
    """Cut at single commas; a doubled comma stands for itself."""
    parts, part, position = [], "", 0
    while position < len(text):
        if text.startswith(",,", position):
            part += ","
            position += 2
            continue
        if text[position] == ",":
            parts.append(part)
            part = ""
        else:
            part += text[position]
        position += 1
    return [*parts, part]


def parse(text: str, allowed: tuple[str, ...], implied: str | None = None) -> dict[str, str]:
    """The keys and values of `text`, the last of each key: see `pairs`."""
    return dict(pairs(text, allowed, implied))


def pairs(text: str, allowed: tuple[str, ...],
          implied: str | None = None) -> list[tuple[str, str]]:
    """The keys and values of `text` in order.

    implied: the key of a first part that has no `=`. A later part without one is a flag:
    `wait` is `wait=on`, `nowait` is `wait=off`. Raises UserError for a key not in `allowed`.
    """
    found: list[tuple[str, str]] = []
    for number, part in enumerate(split(text)):
        key, equals, value = part.partition("=")
        if not equals:
            if number == 0 and implied is not None:
                key, value = implied, part
            elif part.startswith("no") and part[2:] in allowed:
                key, value = part[2:], "off"
            elif part == "" and number:
                continue  # a comma at the end
            else:
                value = "on"
        if key not in allowed:
            raise UserError(f"Invalid parameter '{key}'")
        found.append((key, value))
    return found


def on_off(values: dict[str, str], key: str, default: bool) -> bool:
    """The value of a switch."""
    value = values.get(key)
    if value is None:
        return default
    if value in ("on", "yes", "true"):
        return True
    if value in ("off", "no", "false"):
        return False
    raise UserError(f"Parameter '{key}' expects 'on' or 'off'")


def number(values: dict[str, str], key: str, default: int) -> int:
    """The value of a number, in C's notation."""
    value = values.get(key)
    if value is None:
        return default
    try:
        return int(value, 0)
    except ValueError:
        raise UserError(f"Parameter '{key}' expects a number") from None


SUFFIXES = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


def size(text: str, key: str, unit: str = "B") -> int:
    """A size in bytes: a number and a suffix; `unit` is the suffix where there is none."""
    match = re.fullmatch(r"(0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?)([BKMGTPE]?)", text, re.IGNORECASE)
    if match:
        digits, suffix = match.groups()
        count = float(digits) if "." in digits else int(digits, 0 if "x" in digits.lower() else 10)
        result = int(count * (1 << SUFFIXES[suffix.upper() or unit]))
        if result < 1 << 64:
            return result
    raise UserError(f"Parameter '{key}' expects a non-negative number below 2^64, "
                    "with a suffix K, M, G, T, P or E if need be")


def host(text: str) -> str:
    """A host's name or address. Raises UserError for what no host can be called."""
    try:
        text.encode("idna")
    except UnicodeError:
        raise UserError(
            f"address resolution failed for {text}: Name or service not known") from None
    return text
