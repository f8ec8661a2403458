"""The bench's tables: figures of paired runs as rows of Markdown, and the file that holds them."""
import statistics
from dataclasses import dataclass

MARKS = "<!-- make bench -->\n", "<!-- end of make bench -->\n"


@dataclass(frozen=True)
class Most:
    """What a row may show: a ratio, or a figure of ours in `unit`."""

    limit: float
    unit: str = ""

    def __str__(self):
        return f"{self.limit:g} {self.unit}".strip()


def head(*columns):
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def row(title, pairs, most=None):
    """A line with the medians of both and of their ratio, with its range; bold above `most`.

    pairs: the figures of each run, (ours, theirs).
    """
    ours, theirs = (statistics.median(figures) for figures in zip(*pairs, strict=True))
    ratios = sorted(one / other for one, other in pairs if other)
    ratio, spread = statistics.median(ratios), ""
    if len(ratios) > 1:
        spread = f" ({ratios[0]:.{places(ratio)}f}-{ratios[-1]:.{places(ratio)}f})"
    one, text = f"{ours:.2f}", f"{ratio:.{places(ratio)}f}"
    if most and most.unit:
        one = judged(one, most)
    elif most:
        text = judged(text, most)
    return f"| {title} | {one} | {theirs:.2f} | {text}{spread} | {most or ''} |"


def places(ratio):
    """How many digits after the point a ratio needs."""
    return 3 if ratio < 0.1 or 0.98 < ratio < 1.02 else 2


def judged(text, most):
    return f"**{text}**" if float(text) > most.limit else text


def put(path, text):
    """Replace what stands between the marks of a file, or the whole of one without marks."""
    old = path.read_text() if path.exists() else ""
    begin, end = MARKS
    if begin in old and end in old:
        before, rest = old.split(begin)
        text = before + begin + text + end + rest.split(end)[1]
    path.write_text(text)
