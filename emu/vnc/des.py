"""DES, as far as VNC's password needs it: one block, encrypted.

Bits are numbered from 1, the highest, as the standard does. Source: FIPS 46-3.
"""

INITIAL = """
    58 50 42 34 26 18 10 2 60 52 44 36 28 20 12 4 62 54 46 38 30 22 14 6 64 56 48 40 32 24 16 8
    57 49 41 33 25 17 9 1 59 51 43 35 27 19 11 3 61 53 45 37 29 21 13 5 63 55 47 39 31 23 15 7"""
EXPANSION = """
    32 1 2 3 4 5 4 5 6 7 8 9 8 9 10 11 12 13 12 13 14 15 16 17
    16 17 18 19 20 21 20 21 22 23 24 25 24 25 26 27 28 29 28 29 30 31 32 1"""
ROUND = "16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25"
KEY = """
    57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36
    63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4"""
SUBKEY = """
    14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2
    41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32"""
ROTATIONS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)

# Each box has four rows of sixteen: the outer two bits choose the row, the inner four the column.
BOXES = [
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
]


def encrypt(key: bytes, block: bytes) -> bytes:
    """Eight bytes encrypted with a key of eight, whose lowest bits are not used."""
    text = _permute(_bits(block), INITIAL)
    left, right = text[:32], text[32:]
    for subkey in _subkeys(key):
        left, right = right, _xor(left, _mix(right, subkey))
    return _bytes(_invert(right + left, INITIAL))


def _subkeys(key: bytes) -> list[str]:
    chosen = _permute(_bits(key), KEY)
    left, right = chosen[:28], chosen[28:]
    subkeys = []
    for count in ROTATIONS:
        left, right = left[count:] + left[:count], right[count:] + right[:count]
        subkeys.append(_permute(left + right, SUBKEY))
    return subkeys


def _mix(half: str, subkey: str) -> str:
    mixed = _xor(_permute(half, EXPANSION), subkey)
    sixes = (mixed[at:at + 6] for at in range(0, 48, 6))
    return _permute("".join(
        f"{int(box[int(six[0] + six[5] + six[1:5], 2)], 16):04b}"
        for box, six in zip(BOXES, sixes, strict=True)), ROUND)


def _permute(bits: str, table: str) -> str:
    return "".join(bits[int(place) - 1] for place in table.split())


def _invert(bits: str, table: str) -> str:
    """What `_permute` with the same table makes `bits` of."""
    places = [int(place) - 1 for place in table.split()]
    return "".join(bits[places.index(at)] for at in range(len(places)))


def _xor(one: str, other: str) -> str:
    return f"{int(one, 2) ^ int(other, 2):0{len(one)}b}"


def _bits(data: bytes) -> str:
    return f"{int.from_bytes(data):064b}"


def _bytes(bits: str) -> bytes:
    return int(bits, 2).to_bytes(8)
