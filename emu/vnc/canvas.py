"""The screen as clients are shown it, and which of its tiles have changed."""
import numpy as np
from pyemu.display.renderer import FIRST_SIZE

TILE = 16  # pixels, both ways
MOST_RECTANGLES = 256  # of an update; more become the one around them all

Rectangle = tuple[int, int, int, int]  # left, top, width, height


class Canvas:
    """picture: pixels 0x00RRGGBB (height, width), which stay as they are until `take`."""

    def __init__(self) -> None:
        self.picture = np.zeros(FIRST_SIZE, np.uint32)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.picture.shape
        return width, height

    def grid(self, changed: bool) -> np.ndarray:
        """One bool for each tile: (rows, columns)."""
        height, width = self.picture.shape
        return np.full((-(-height // TILE), -(-width // TILE)), changed)

    def take(self, picture: np.ndarray, lines: np.ndarray) -> np.ndarray:
        """Copy those lines that may have changed. Which tiles have: bools (rows, columns)."""
        if picture.shape != self.picture.shape:
            self.picture = picture.copy()
            return self.grid(True)
        tiles = self.grid(False)
        places = np.flatnonzero(lines)
        if len(places):
            differs = picture[places] != self.picture[places]
            self.picture[places] = picture[places]
            by_column = np.logical_or.reduceat(
                differs, np.arange(0, picture.shape[1], TILE), axis=1)
            rows, starts = np.unique(places // TILE, return_index=True)
            tiles[rows] = np.logical_or.reduceat(by_column, starts, axis=0)
        return tiles


def rectangles(tiles: np.ndarray, width: int, height: int) -> list[Rectangle]:
    """The tiles that are true, as rectangles of pixels within a picture of that size."""
    found: list[Rectangle] = []
    growing: dict[tuple[int, int], int] = {}  # runs of tiles, and the row they began in
    for row, line in enumerate((*tiles, np.zeros(tiles.shape[1], bool))):
        edges = np.flatnonzero(np.diff(line.astype(np.int8), prepend=0, append=0))
        runs = {(int(left), int(right)) for left, right in edges.reshape(-1, 2)}
        for run in [run for run in growing if run not in runs]:
            top = growing.pop(run)
            found.append((run[0], top, run[1] - run[0], row - top))
        for run in sorted(runs):
            growing.setdefault(run, row)
    if len(found) > MOST_RECTANGLES:
        rows, columns = np.nonzero(tiles)
        left, top = int(columns.min()), int(rows.min())
        found = [(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)]
    scaled = ((TILE * x, TILE * y, TILE * w, TILE * h) for x, y, w, h in found)
    return [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in scaled
            if x < width and y < height]
