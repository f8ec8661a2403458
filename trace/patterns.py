"""Events by name and pattern: which there are, and switching them as the options say."""
import re
import sys
from collections.abc import Iterable

from pyemu.trace import _ring, hooks
from pyemu.trace.conditions import ConditionError, UnknownName, compile_condition
from pyemu.trace.options import Switch, TraceError, UnknownEvent


def matching(pattern: str) -> list[str]:
    """Names of the events that match, in the order of their ids. Raises UnknownEvent for a plain
    name that is none."""
    if "*" in pattern or "?" in pattern:
        glob = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        accepts = re.compile(glob).fullmatch
        return [name for name in hooks.events if accepts(name)]
    if pattern not in hooks.events:
        raise UnknownEvent(f'unknown event "{pattern}"')
    return [pattern]


def switch(pattern: str, on: bool) -> list[str]:
    """Switch all events that match on or off, but for the ones declared `disable`.

    Returns the names of those that match. Raises UnknownEvent.
    """
    names = matching(pattern)
    for name in names:
        if not hooks.events[name].disabled:
            hooks.hooks[name].enabled = on
    return names


def help_text() -> str:
    """The names of all events that can be traced, one a line."""
    return "\n".join(name for name, event in hooks.events.items() if not event.disabled)


def conditional(names: Iterable[str], condition: str | None, source: str
                ) -> dict[str, _ring.Filter | None]:
    """The condition compiled for each of the events that have its arguments.

    Raises TraceError if it makes no sense, or for none of them.
    """
    if condition is None:
        return dict.fromkeys(names)
    filters: dict[str, _ring.Filter | None] = {}
    missing: UnknownName | None = None
    for name in names:
        try:
            filters[name] = compile_condition(condition, hooks.events[name])
        except UnknownName as error:
            missing = error
        except ConditionError as error:
            raise TraceError(f"{source}: {error}") from None
    if missing is not None and not filters:
        raise TraceError(f"{source}: condition '{condition}': {missing}")
    return filters


def find(pattern: str, source: str) -> tuple[list[str], str | None]:
    """The events that match and can be traced; and a warning if there are none."""
    try:
        names = matching(pattern)
    except UnknownEvent:
        return [], f"{source}: warning: trace event '{pattern}' does not exist"
    able = [name for name in names if not hooks.events[name].disabled]
    if not names:
        return [], f"{source}: warning: no trace event matches '{pattern}'"
    if not able:
        return [], f"{source}: warning: trace event '{pattern}' is not traceable"
    return able, None


def apply(switches: Iterable[Switch], attribute: str = "enabled") -> list[str]:
    """Do what the options say; returns a warning for each that came to nothing.

    attribute: "enabled" for the trace file, "logged" for the log. Raises TraceError.
    """
    warnings = []
    for wish in switches:
        names, warning = find(wish.pattern, wish.source)
        if warning:
            warnings.append(warning)
        for name, condition in conditional(names, wish.condition, wish.source).items():
            hook = hooks.hooks[name]
            if wish.on:
                hook.filter = condition
            setattr(hook, attribute, wish.on)
    return warnings


def warn(warnings: Iterable[str]) -> None:
    """Tell them on stderr."""
    for warning in warnings:
        print(f"pyemu: {warning}" if warning.startswith("-") else f"pyemu:{warning}",
              file=sys.stderr, flush=True)
