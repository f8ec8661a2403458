"""Types of arguments and results: they check values, and describe themselves to clients.

Each has `check(value, path)`, which raises QmpError with QEMU's text, `path` being what the text
calls the value ("keys[0].data"); and `describe(namer)`, the type's entry in query-qmp-schema, in
which other types are named by `namer(type)`.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Namer = Callable[[Any], str]


class QmpError(Exception):
    """What a command answers instead of a result."""

    def __init__(self, description: str, error_class: str = "GenericError"):
        super().__init__(description)
        self.error_class = error_class


def wrong_type(path: str, expected: str) -> QmpError:
    return QmpError(f"Invalid parameter type for '{path}', expected: {expected}")


class Builtin(NamedTuple):
    name: str
    json_type: str
    called: str  # in errors
    accepts: Callable[[Any], bool]

    def check(self, value: Any, path: str) -> None:
        if not self.accepts(value):
            raise wrong_type(path, self.called)

    def describe(self, namer: Namer) -> dict[str, Any]:
        return {"meta-type": "builtin", "json-type": self.json_type}


class Enum(NamedTuple):
    values: tuple[str, ...]

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "string")
        if value not in self.values:
            name = path.rpartition(".")[2]
            raise QmpError(f"Parameter '{name}' does not accept value '{value}'")

    def describe(self, namer: Namer) -> dict[str, Any]:
        return {"meta-type": "enum", "members": [{"name": value} for value in self.values],
                "values": list(self.values)}


class Array(NamedTuple):
    element: Any

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "array")
        for index, item in enumerate(value):
            self.element.check(item, f"{path}[{index}]")

    def describe(self, namer: Namer) -> dict[str, Any]:
        return {"meta-type": "array", "element-type": namer(self.element)}


class Member(NamedTuple):
    name: str
    type: Any
    optional: bool

    def describe(self, namer: Namer) -> dict[str, Any]:
        default = {"default": None} if self.optional else {}
        return {"name": self.name, **default, "type": namer(self.type)}


class Object(NamedTuple):
    """Members; and, by the value of the one called `tag`, those of a variant."""

    members: tuple[Member, ...]
    tag: str | None = None
    variants: tuple[tuple[str, Object], ...] = ()

    def check(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "object")
        known = set()
        prefix = f"{path}." if path else ""
        for member in self._members(value):
            if member.name in value:
                member.type.check(value[member.name], prefix + member.name)
            elif not member.optional:
                raise QmpError(f"Parameter '{prefix}{member.name}' is missing")
            known.add(member.name)
        for name in value:
            if name not in known:
                raise QmpError(f"Parameter '{prefix}{name}' is unexpected")

    def _members(self, value: dict[str, Any]) -> Iterator[Member]:
        """Those of the value's variant after the ones that all have."""
        yield from self.members
        if self.tag:
            yield from dict(self.variants).get(value[self.tag], NOTHING).members

    def describe(self, namer: Namer) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "meta-type": "object", "members": [member.describe(namer) for member in self.members]}
        if self.tag:
            entry |= {"tag": self.tag, "variants": [
                {"case": case, "type": namer(variant)} for case, variant in self.variants]}
        return entry


NOTHING = Object(())
BUILTINS = {
    "str": Builtin("str", "string", "string", lambda value: isinstance(value, str)),
    "int": Builtin("int", "int", "integer", lambda value: isinstance(value, int)
                   and not isinstance(value, bool) and -1 << 63 <= value < 1 << 63),
    "bool": Builtin("bool", "boolean", "boolean", lambda value: isinstance(value, bool)),
    "number": Builtin("number", "number", "number", lambda value: isinstance(value, int | float)
                      and not isinstance(value, bool)),
    "any": Builtin("any", "value", "value", lambda value: True),
}


class Schema:
    """Commands, with the types of their arguments and results, and events, out of a text.

        enum NAME: VALUE ...
        struct NAME: MEMBER=TYPE OPTIONAL?=TYPE LIST=[TYPE] ...
        union NAME TAG: MEMBER=TYPE ... | CASE=STRUCT ...
        command NAME(MEMBER=TYPE ...) -> TYPE, or NAME(TYPE) -> TYPE
        event NAME(MEMBER=TYPE ...)

    An indented line goes on with the one before. A type must have been defined above.
    """

    LINE = re.compile(r"(\w+) ([\w-]+)(?: ([\w-]+))?(?:: (.*))?(?:\((.*)\))?(?: -> (\S+))?")

    def __init__(self, text: str):
        self.types: dict[str, Any] = dict(BUILTINS)
        self.commands: dict[str, tuple[Object, Any]] = {}
        self.events: dict[str, Object] = {}
        for line in text.strip().replace("\n  ", " ").splitlines():
            match = self.LINE.fullmatch(re.sub(" +", " ", line.strip()))
            if match:
                self._define(*match.groups(default=""))
            elif line.strip():
                raise ValueError(f"not understood: {line}")

    def _define(self, kind: str, name: str, tag: str, body: str, arguments: str,
                result: str) -> None:
        if kind == "command":
            self.commands[name] = (
                self.types[arguments] if arguments in self.types
                else Object(self._members(arguments)),
                self._type(result) if result else NOTHING)
        elif kind == "event":
            self.events[name] = Object(self._members(arguments))
        elif kind == "enum":
            self.types[name] = Enum(tuple(body.split()))
        else:
            members, _, variants = body.partition(" | ")
            self.types[name] = Object(self._members(members), tag or None, tuple(
                (case, self.types[variant])
                for case, variant in (pair.split("=") for pair in variants.split())))

    def _members(self, text: str) -> tuple[Member, ...]:
        members = []
        for pair in text.split():
            name, _, type_name = pair.partition("=")
            members.append(Member(name.rstrip("?"), self._type(type_name), name.endswith("?")))
        return tuple(members)

    def _type(self, name: str) -> Any:
        return Array(self._type(name[1:-1])) if name.startswith("[") else self.types[name]

    def describe(self) -> list[dict[str, Any]]:
        """What query-qmp-schema answers. Types that are not JSON's own go by numbers."""
        entries: list[dict[str, Any]] = []
        names: dict[Any, str] = {}
        waiting: list[Any] = []

        def namer(type: Any) -> str:
            if type not in names:
                if isinstance(type, Builtin):
                    names[type] = type.name
                elif isinstance(type, Array):
                    names[type] = f"[{namer(type.element)}]"
                else:
                    names[type] = str(sum(name.isdigit() for name in names.values()))
                waiting.append(type)
            return names[type]

        for name, (arguments, result) in self.commands.items():
            entries.append({"name": name, "meta-type": "command", "arg-type": namer(arguments),
                            "ret-type": namer(result)})
        for name, data in self.events.items():
            entries.append({"name": name, "meta-type": "event", "arg-type": namer(data)})
        for type in waiting:  # grows while they are described
            entries.append({"name": names[type], **type.describe(namer)})
        return entries
