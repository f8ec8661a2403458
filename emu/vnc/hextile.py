"""Hextile: tiles of 16 by 16, each one colour, or rectangles on a background, or plain pixels.

The rectangles here are runs within a line; all tiles are taken apart by numpy at once.
Source: RFC 6143, section 7.7.4.
"""
import numpy as np

TILE = 16
PIXELS = TILE * TILE

# Of a tile
PLAIN, BACKGROUND, FOREGROUND, RUNS, COLOURED = 0x01, 0x02, 0x04, 0x08, 0x10
MOST_RUNS = 255


def encode(pixels: np.ndarray) -> bytes:
    """A client's pixels (height, width)."""
    height, width = pixels.shape
    across, down = -(-width // TILE), -(-height // TILE)
    tiles, inside = _tiles(pixels, across, down)
    ordered = np.sort(tiles, axis=1)
    lowest, background, highest = ordered[:, 0], ordered[:, PIXELS // 2], ordered[:, -1]
    foreground = np.where(lowest == background, highest, lowest).astype(pixels.dtype)
    other = (tiles != background[:, None]) & inside
    single = lowest == highest
    two = ((tiles == background[:, None]) | (tiles == foreground[:, None])).all(axis=1)
    runs = _Runs(tiles.reshape(-1, TILE, TILE), other.reshape(-1, TILE, TILE))
    plain_bytes = inside.sum(axis=1) * pixels.itemsize

    colours = background[:, None].view(np.uint8)
    seconds = foreground[:, None].view(np.uint8)
    parts: list[bytes] = []
    last = None  # background that carries over to the next tile
    for number in range(across * down):
        colour = colours[number].tobytes()
        if single[number]:
            parts.append(b"\0" if colour == last else bytes([BACKGROUND]) + colour)
        elif two[number] and (count := runs.count(number)) <= MOST_RUNS:
            parts.append(bytes([BACKGROUND | FOREGROUND | RUNS]) + colour
                         + seconds[number].tobytes() + bytes([count]) + runs.places(number))
        elif runs.count(number) <= MOST_RUNS and runs.size(number) < plain_bytes[number]:
            parts.append(bytes([BACKGROUND | RUNS | COLOURED]) + colour
                         + bytes([runs.count(number)]) + runs.coloured(number))
        else:
            y, x = number // across * TILE, number % across * TILE
            parts.append(bytes([PLAIN]) + pixels[y:y + TILE, x:x + TILE].tobytes())
            last = None
            continue
        last = colour
    return b"".join(parts)


def _tiles(pixels: np.ndarray, across: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of each tile, (tiles, PIXELS), and which of them are inside the picture.

    What is outside repeats the edge, so that it adds no colours.
    """
    height, width = pixels.shape
    margin = (0, down * TILE - height), (0, across * TILE - width)
    padded = np.pad(pixels, margin, "edge").astype(pixels.dtype, copy=False)
    inside = np.pad(np.ones((height, width), bool), margin)
    return _cut(padded, across, down), _cut(inside, across, down)


def _cut(picture: np.ndarray, across: int, down: int) -> np.ndarray:
    return picture.reshape(down, TILE, across, TILE).swapaxes(1, 2).reshape(-1, PIXELS)


class _Runs:
    """Runs of one colour in the lines of each tile (tiles, lines, columns), where `other` says."""

    def __init__(self, tiles: np.ndarray, other: np.ndarray):
        new = np.ones(tiles.shape, bool)  # begins here, unlike what is to its left
        new[:, :, 1:] = tiles[:, :, 1:] != tiles[:, :, :-1]
        new[:, :, 1:] |= other[:, :, 1:] != other[:, :, :-1]
        final = np.ones(tiles.shape, bool)
        final[:, :, :-1] = new[:, :, 1:]
        starts = new & other
        number, line, column = np.nonzero(starts)
        length = np.nonzero(final & other)[2] - column  # less one
        self._places = np.stack((column << 4 | line, length << 4), axis=1).astype(np.uint8)
        colours = tiles[number, line, column][:, None].view(np.uint8)
        self._coloured = np.concatenate((colours, self._places), axis=1)
        self._bounds = np.searchsorted(number, np.arange(len(tiles) + 1)).tolist()

    def count(self, number: int) -> int:
        return self._bounds[number + 1] - self._bounds[number]

    def size(self, number: int) -> int:
        """Bytes of a tile's runs, each with its colour."""
        return self.count(number) * self._coloured.shape[1]

    def places(self, number: int) -> bytes:
        return self._places[self._bounds[number]:self._bounds[number + 1]].tobytes()

    def coloured(self, number: int) -> bytes:
        return self._coloured[self._bounds[number]:self._bounds[number + 1]].tobytes()
