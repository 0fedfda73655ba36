"""How far the cells of a workbook reach, found before any reader makes room for them.

Invariant: what a sheet declares as its dimension is not believed; its cells are looked at.
"""

import re
import zipfile
from collections.abc import Iterator

_PIECE_BYTES = 1 << 20
_OVERLAP_BYTES = 1 << 10
_SHEET = re.compile(r"/?xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*?\br=[\"'](\d{1,7})[\"']")
_WIDE_CELL = re.compile(rb"<(?:\w+:)?c\b[^>]*?\br=[\"']([A-Z]{3})\d{1,7}[\"']")
_NARROW_COLUMNS = 702  # A to ZZ


def widest_area(archive: zipfile.ZipFile) -> int:
    """Return an upper bound on the cells in the rectangle that holds all cells of any one sheet."""
    names = [name for name in archive.namelist() if _SHEET.fullmatch(name)]
    return max((_area(archive, name) for name in names), default=0)


def _area(archive: zipfile.ZipFile, name: str) -> int:
    last_row = 0
    last_column = _NARROW_COLUMNS
    for piece in _pieces(archive, name):
        last_row = max(last_row, *(int(row) for row in _ROW.findall(piece)), 0)
        for letters in set(_WIDE_CELL.findall(piece)):
            last_column = max(last_column, _column(letters))
    return last_row * last_column


def _pieces(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Yield the part in pieces that overlap by more than a tag."""
    tail = b""
    with archive.open(name) as stream:
        while data := stream.read(_PIECE_BYTES):
            piece = tail + data
            yield piece
            tail = piece[-_OVERLAP_BYTES:]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
