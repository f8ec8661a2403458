"""`from pyemu.trace.hooks import trace_NAME`: a hook for each event of the trace-events files.

They are read at import, one file a folder, so two lines add an event: its declaration and the call
`trace_NAME(...)`; nothing is built. A hook is false while calling it has no effect. A hook that is
not declared is an ImportError that says where the declaration belongs.
"""
import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec

from pyemu.trace import grammar
from pyemu.trace._ring import Hook

PACKAGES = ("pyemu", "pyemu.machine", "pyemu.roms", "pyemu.trace", "pyemu.images")
FILE_NAME = "trace-events"

events: dict[str, grammar.Event] = {}  # in the order of their ids
hooks: dict[str, Hook] = {}


def files() -> list[tuple[str, str]]:
    """(path, group) of every trace-events file of the project, in the order of ids."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        for root in (spec and spec.submodule_search_locations) or ():
            base = "_".join(package.split(".")[1:]) or "emu"
            for folder, below, names in os.walk(root):
                below[:] = sorted(name for name in below if name[0] not in "._")
                if FILE_NAME in names:
                    rest = os.path.relpath(folder, root)
                    group = base if rest == "." else f"{base}_{rest.replace(os.sep, '_')}"
                    found.setdefault(os.path.join(folder, FILE_NAME), group)
    return list(found.items())


def declare(new: Iterable[grammar.Event]) -> list[Hook]:
    """Make the hooks of events; their ids follow those there are."""
    made = []
    for event in new:
        hook = Hook(event.name, len(hooks), event.types, event.printf)
        events[event.name] = event
        hooks[event.name] = hook
        globals()["trace_" + event.name] = hook
        made.append(hook)
    return made


def declare_file(path: str, group: str = "") -> list[Hook]:
    """Make the hooks of one more file. Raises GrammarError, OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    return declare(grammar.parse(text, path, group, known=events.values()))


def __getattr__(name: str) -> Hook:
    if not name.startswith("trace_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise ImportError(f"no event '{name[6:]}' is declared: expected it in {_where_it_belongs()}",
                      name=__name__)


def _where_it_belongs() -> str:
    """The trace-events file beside the module that asks for a hook."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return os.path.join(os.path.dirname(frame.f_code.co_filename), FILE_NAME)


for _path, _group in files():
    declare_file(_path, _group)
