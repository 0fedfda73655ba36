"""Tables of a page whose rules are drawn: every cell between rules, whatever it holds.

Invariants: a page keeps its letters; where the cells of its tables and the text above and below do
not hold every letter of the page, it is left as it is.
"""

import ctypes
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pypdfium2 import PdfObject, PdfPage, PdfTextPage, raw

CELL_BOUND = "\x1f"
"""Parts the cells of a row in the text of a page; no text has it, since it is a control."""

_MOST_SEGMENTS = 6000  # drawings have more
_STRAIGHT = 1.0  # points by which a rule may lean
_SHORTEST = 6.0  # points; shorter ones are dashes and the ends of thick rules
_NEAR = 3.0  # points between rules that are one, and between a rule and where it should end
_LEAST_CELLS = 2  # with text in a row, in at least as many rows
_NOWHERE = (float("nan"), float("nan"))  # no line leads there
_Float = ctypes.c_float


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line, across (`at` is its height) or down (`at` is its place from the left)."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Rules that cross: places of the lines across, from the top, and the lines down."""

    heights: tuple[float, ...]
    down: tuple[Rule, ...]

    def edges(self, top: float, bottom: float) -> list[float]:
        """Return where the cells of the row between two heights begin and end."""
        middle = (top + bottom) / 2
        return _merged([rule.at for rule in self.down if rule.start <= middle <= rule.end])


def read_tables(page: PdfPage, text_page: PdfTextPage) -> str | None:
    """Return the text of a page with its drawn tables row by row, None when it has none."""
    across, down = _rules(page)
    grids = find_grids(across, down)
    if not grids:
        return None
    left, below, right, above = page.get_bbox()
    parts: list[str] = []
    for grid in grids:
        parts.append(text_page.get_text_bounded(left, grid.heights[0], right, above))
        rows = [_row(text_page, grid, top, bottom) for top, bottom in pairwise(grid.heights)]
        if sum(sum(map(bool, row)) >= _LEAST_CELLS for row in rows) < _LEAST_CELLS:
            return None
        parts += [CELL_BOUND.join(row) for row in rows if any(row)]  # one alone is a line of text
        above = grid.heights[-1]
    parts.append(text_page.get_text_bounded(left, below, right, above))
    text = "\n".join(part.strip("\r\n") for part in parts if part.strip())
    return text if _letters(text) == _letters(text_page.get_text_range()) else None


def find_grids(across: Sequence[Rule], down: Sequence[Rule]) -> list[Grid]:
    """Return what crossing rules make, from the top of the page down; none stand side by side."""
    grids: list[Grid] = []
    left = list(down)
    while left:
        rows, found, left = _crossing(across, left)
        heights = _merged([rule.at for rule in rows])[::-1]
        if min(len(heights), len(_merged([rule.at for rule in found]))) > _LEAST_CELLS:
            grids.append(Grid(tuple(heights), tuple(found)))
    grids.sort(key=lambda grid: -grid.heights[0])
    apart = all(one.heights[-1] > other.heights[0] - _NEAR for one, other in pairwise(grids))
    return grids if apart else []


def _crossing(
    across: Sequence[Rule], down: Sequence[Rule]
) -> tuple[list[Rule], list[Rule], list[Rule]]:
    """Return the rules that are joined with the first one down, and those down that are not."""
    rows: list[Rule] = []
    found, left = [down[0]], list(down[1:])
    fresh = found
    while fresh:
        more = [rule for rule in across if rule not in rows and _meets(rule, fresh)]
        rows += more
        fresh = [rule for rule in left if _meets(rule, more)]
        left = [rule for rule in left if rule not in fresh]
        found += fresh
    return rows, found, left


def _meets(rule: Rule, others: Sequence[Rule]) -> bool:
    """Tell whether a rule crosses or touches any of others that run the other way."""
    return any(
        other.start - _NEAR <= rule.at <= other.end + _NEAR
        and rule.start - _NEAR <= other.at <= rule.end + _NEAR
        for other in others
    )


def _merged(places: Sequence[float]) -> list[float]:
    """Return places in order, those that are near each other as one."""
    merged: list[float] = []
    for place in sorted(places):
        if not merged or place - merged[-1] > _NEAR:
            merged.append(place)
    return merged


def _row(page: PdfTextPage, grid: Grid, top: float, bottom: float) -> list[str]:
    return [
        " ".join(page.get_text_bounded(start, bottom, end, top).split())
        for start, end in pairwise(grid.edges(top, bottom))
    ]


def _letters(text: str) -> Counter[str]:
    return Counter(each for each in text if each.isalnum())


def _rules(page: PdfPage) -> tuple[list[Rule], list[Rule]]:
    """Return the rules of a page, across and down; none of a page that is mostly drawn."""
    across: set[Rule] = set()
    down: set[Rule] = set()
    left = _MOST_SEGMENTS
    for path in page.get_objects(filter=(raw.FPDF_PAGEOBJ_PATH,), max_depth=1):
        left -= max(1, raw.FPDFPath_CountSegments(path))
        if left < 0:
            return [], []
        for (x0, y0), (x1, y1) in pairwise(_points(path)):
            if abs(y1 - y0) <= _STRAIGHT and abs(x1 - x0) >= _SHORTEST:
                across.add(Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
            elif abs(x1 - x0) <= _STRAIGHT and abs(y1 - y0) >= _SHORTEST:
                down.add(Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
    order = lambda rule: (rule.at, rule.start, rule.end)  # noqa: E731
    return sorted(across, key=order), sorted(down, key=order)


def _points(path: PdfObject) -> Iterator[tuple[float, float]]:
    """Yield the corners of a path in points of the page; a new stroke begins far from the last."""
    matrix = path.get_matrix()
    x, y = _Float(), _Float()
    begin = (0.0, 0.0)
    for number in range(raw.FPDFPath_CountSegments(path)):
        segment = raw.FPDFPath_GetPathSegment(path, number)
        raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        point = matrix.on_point(x.value, y.value)
        if raw.FPDFPathSegment_GetType(segment) == raw.FPDF_SEGMENT_MOVETO:
            yield _NOWHERE
            begin = point
        yield point
        if raw.FPDFPathSegment_GetClose(segment):
            yield begin
