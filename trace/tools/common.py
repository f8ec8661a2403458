"""What the commands share: opening a trace, walking it with a progress bar, tables."""
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyemu.trace.grammar import Event
from pyemu.trace.progress import WIDTH, Progress
from pyemu.trace.reader import TraceReader
from pyemu.trace.simpletrace import load_events, tell_recovered, with_built_in


@contextmanager
def opened(path: str, events: Sequence[str] | None) -> Iterator[TraceReader]:
    with TraceReader(path, with_built_in(load_events(events))) as reader:
        yield reader
        tell_recovered(reader)


def columns(reader: TraceReader) -> Iterator[Any]:
    """Parts of the trace (see pyemu.trace.columns) with a progress bar."""
    from pyemu.trace.columns import parts
    progress = Progress(len(reader))
    try:
        for part in parts(reader):
            yield part
            progress.at(int(part.offsets[-1]) if len(part) else 0)
    finally:
        progress.end()


def declared(reader: TraceReader, name: str) -> Event:
    """The event of that name. Raises ValueError."""
    for event in reader.events:
        if event.name == name:
            return event
    raise ValueError(f"unknown event '{name}'")


def argument_of(event: Event, name: str) -> int:
    """The argument's position. Raises ValueError."""
    names = [argument for _, argument in event.args]
    if name not in names:
        raise ValueError(f"event '{event.name}' has no argument '{name}', only "
                         + (", ".join(names) or "none"))
    return names.index(name)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Text columns, the first `left` of them to the left."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    return "\n".join("  ".join(
        cell.ljust(width) if n < left else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in cells)


def us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.3f}"


def bars(powers: Iterable[tuple[int, int]], unit: str = "us") -> str:
    """A histogram by powers of two, as text."""
    rows = list(powers)
    most = max((count for _, count in rows), default=0)
    lines = []
    for limit, count in rows:
        label = us(limit) if unit == "us" else str(limit)
        lines.append(f"  < {label:>12} {unit} {count:>10} {'#' * (-(-WIDTH * count // most))}")
    return "\n".join(lines)
