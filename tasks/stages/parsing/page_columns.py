"""Pages of two columns whose file draws them line by line, across the gutter.

Most files draw one column after the other, and PDFium's order is that of the file. Where a line of
the left column is followed by one of the right column again and again, the page is put in order.

Invariants: a page in order is left alone, and so is a table, whose cells do not fill their columns;
lines across both columns part what stands above them from what stands below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pypdfium2 import PdfTextPage

_MOST_PIECES = 3000
_LEAST_LINES = 6  # in each column
_MIDDLE = (0.35, 0.65)  # of the width of the text; where a gutter may be
_STEPS = 60
_MOST_PIECES_OF_LINE = 1.3
_SPACE = 1.2  # heights of a line; a gutter is wider, a justified space is not
_MOST_CROSSING = 0.2  # of the pieces; titles and wide figures
_LEAST_SWITCHES = 0.5  # of the lines of a column; once or twice is a page in order
_FILLED = 0.6  # of a column's width, by at least this share of its lines: prose, not cells


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a line, as PDFium draws its box: points from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> float:
        """Height of its middle."""
        return (self.bottom + self.top) / 2


def read_columns(page: PdfTextPage) -> str | None:
    """Return the text of a page column by column, or None when its own order is right."""
    count = page.count_rects()
    if not 2 * _LEAST_LINES <= count <= _MOST_PIECES:
        return None
    order = order_columns([Piece(*page.get_rect(number)) for number in range(count)])
    if order is None:
        return None
    boxes = ((line.left, line.bottom, line.right, line.top) for line in order)
    return "\n".join(str(page.get_text_bounded(*box)).strip() for box in boxes)


def order_columns(pieces: Sequence[Piece]) -> list[Piece] | None:
    """Return the lines of a page column by column, or None when their order is right.

    Args:
        pieces: In the order of the file.
    """
    pieces = _joined(pieces)
    jumps = sum(_jumps(one, other) for one, other in pairwise(pieces))
    gutter = _gutter(pieces) if jumps >= _LEAST_LINES * _LEAST_SWITCHES else None
    if gutter is None:
        return None
    sides = [_side(piece, gutter) for piece in pieces]
    left, right, across = (
        [piece for piece, side in zip(pieces, sides, strict=True) if side == wanted]
        for wanted in (-1, 1, 0)
    )
    if not (_is_prose(left) and _is_prose(right)):
        return None
    drawn = [side for side in sides if side]
    switches = sum(one < other for one, other in pairwise(drawn))
    if switches < _LEAST_SWITCHES * min(len(left), len(right)):
        return None
    return _banded(_lines(left), _lines(right), _lines(across))


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Join pieces of one line that no more than a space parts; boxes end within words."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and _continues(last, piece):
            joined[-1] = _around(last, piece)
        else:
            joined.append(piece)
    return joined


def _continues(last: Piece, piece: Piece) -> bool:
    height = max(last.top - last.bottom, piece.top - piece.bottom)
    return (
        last.bottom - height / 2 < piece.middle < last.top + height / 2
        and -height < piece.left - last.right < _SPACE * height
    )


def _jumps(last: Piece, piece: Piece) -> bool:
    """Tell whether the file goes on to the right on the same line."""
    return piece.left > last.right and last.bottom < piece.middle < last.top


def _around(one: Piece, other: Piece) -> Piece:
    return Piece(
        min(one.left, other.left),
        min(one.bottom, other.bottom),
        max(one.right, other.right),
        max(one.top, other.top),
    )


def _gutter(pieces: Sequence[Piece]) -> float | None:
    """Return the place in the middle that the fewest pieces cross, None when too many do."""
    least, most = min(each.left for each in pieces), max(each.right for each in pieces)
    low, high = (least + share * (most - least) for share in _MIDDLE)
    places = [low + (high - low) * step / _STEPS for step in range(_STEPS + 1)]
    crossed = [sum(each.left < place < each.right for each in pieces) for place in places]
    fewest = min(crossed)
    if fewest > _MOST_CROSSING * len(pieces):
        return None
    free = [place for place, count in zip(places, crossed, strict=True) if count == fewest]
    return free[len(free) // 2]


def _side(piece: Piece, gutter: float) -> int:
    if piece.left < gutter < piece.right:
        return 0
    return -1 if piece.right <= gutter else 1


def _lines(pieces: Sequence[Piece]) -> list[Piece]:
    """Merge pieces that stand side by side, from the top of the page down."""
    lines: list[Piece] = []
    for piece in sorted(pieces, key=lambda each: -each.middle):
        last = lines[-1] if lines else None
        if last is not None and last.bottom < piece.middle < last.top:
            lines[-1] = _around(last, piece)
        else:
            lines.append(piece)
    return lines


def _is_prose(pieces: Sequence[Piece]) -> bool:
    """Tell lines that fill their column from cells, of which several stand in one line."""
    lines = _lines(pieces)
    if len(lines) < _LEAST_LINES or len(pieces) > _MOST_PIECES_OF_LINE * len(lines):
        return False
    width = max(each.right for each in lines) - min(each.left for each in lines)
    filled = sum(each.right - each.left >= _FILLED * width for each in lines)
    return filled >= _FILLED * len(lines)


def _banded(left: Sequence[Piece], right: Sequence[Piece], across: Sequence[Piece]) -> list[Piece]:
    ordered: list[Piece] = []
    above = float("inf")
    for bound in [*across, None]:
        below = bound.middle if bound is not None else float("-inf")
        for column in (left, right):
            ordered += [line for line in column if below < line.middle <= above]
        if bound is not None:
            ordered.append(bound)
        above = below
    return ordered
