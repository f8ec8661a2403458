"""`-cpu MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off][,KEY=VALUE]`, as QEMU has it.

Features with a sign have the last word, and of these the ones that are taken away. What the
translator does not have is not shown to the guest: a warning, or with `enforce` an error.
"""
from pyemu.config import UserError
from pyemu.cpu_features import NUMBERS, PLACES, SUPPORTED, CpuChanges, canonical, described
from pyemu.cpu_models import MODELS, listing
from pyemu.options import keyvalue
from pyemu.options.request import Answer, Request
from pyemu.report import complain

VENDOR_LENGTH, NAME_LENGTH = 12, 48


def cpu(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer(listing())
    model, *parts = keyvalue.split(text)
    if model == "host":
        raise UserError("CPU model 'host' requires KVM, which is not here")
    if model not in MODELS:
        raise UserError(f"unable to find CPU model '{model}' (-cpu help lists them)")
    request.config.cpu_model = model
    request.config.cpu_changes = _changes(model, parts)


def _changes(model: str, parts: list[str]) -> CpuChanges:
    plus: set[str] = set()
    minus: set[str] = set()
    values = {"check": "on", "enforce": "off"}
    for part in filter(None, parts):
        if part[0] in "+-":
            (plus if part[0] == "+" else minus).add(_feature(model, part[1:]))
        else:
            key, equals, value = part.partition("=")
            values[key] = value if equals else "on"
    check, enforce = (keyvalue.on_off(values, key, False) for key in ("check", "enforce"))
    del values["check"], values["enforce"]

    vendor, name = values.pop("vendor", None), values.pop("model-id", None)
    if vendor is not None:
        _check_text("vendor", vendor, VENDOR_LENGTH, VENDOR_LENGTH)
    if name is not None:
        _check_text("model-id", name, 0, NAME_LENGTH)
    numbers = {key: _number(values, key) for key in NUMBERS if key in values}
    switches = {_feature(model, key): keyvalue.on_off(values, key, False)
                for key in values if key not in numbers}
    on = ({key for key, value in switches.items() if value} | plus) - minus
    off = ({key for key, value in switches.items() if not value} - plus) | minus
    missing = sorted(on - SUPPORTED, key=PLACES.__getitem__)
    if missing and (check or enforce):
        for feature in missing:
            complain(f"warning: TCG doesn't support requested feature: {described(feature)}")
    if missing and enforce:
        raise UserError("TCG doesn't support requested features")
    return CpuChanges(frozenset(on & SUPPORTED), frozenset(off), numbers, vendor, name)


def _feature(model: str, name: str) -> str:
    feature = canonical(name)
    if feature not in PLACES:
        raise UserError(f"Property '{model}-x86_64-cpu.{name}' not found")
    return feature


def _number(values: dict[str, str], key: str) -> int:
    number = keyvalue.number(values, key, 0)
    if not 0 <= number <= NUMBERS[key]:
        raise UserError(f"Property .{key} doesn't take value {number} "
                        f"(minimum: 0, maximum: {NUMBERS[key]})")
    return number


def _check_text(key: str, value: str, shortest: int, longest: int) -> None:
    if not shortest <= len(value) <= longest or not value.isascii():
        raise UserError(f"Property '.{key}' doesn't take value '{value}'")
