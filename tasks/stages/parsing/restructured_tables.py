"""The tables of reStructuredText: grids, simple ones, lists and delimited values.

Invariant: a cell that spans several lines is one cell; one that spans columns stands in the first.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence

from tasks.stages.parsing.builder import ElementBuilder, join_cells

_GRID = re.compile(r"\+(?:[-=]+\+)+$")
_SIMPLE = re.compile(r"={2,}(?: +={2,})+$")
_DASHES = re.compile(r"-{2,}(?: +-{2,})*$")
_HEADER_OPTION = re.compile(r":header:\s*(.+)")
_ROW_START = re.compile(r"\* +- ?(.*)")
_CELL_START = re.compile(r" *- ?(.*)")


def opens_table(lines: Sequence[str], start: int) -> bool:
    """Tell whether a grid or a simple table begins on a line."""
    line = lines[start].strip()
    return bool(_GRID.match(line) or _SIMPLE.match(line))


class TableReader:
    """Adds the rows of one table."""

    def __init__(self, builder: ElementBuilder, plain: Callable[[str], str]) -> None:
        """Keep what is needed.

        Args:
            builder: Where rows go.
            plain: Takes inline marks off a text.
        """
        self._builder = builder
        self._plain = plain
        self._header = ""

    def read(self, lines: Sequence[str], start: int) -> int:
        """Add a grid or simple table; return the position of the line after it."""
        if _GRID.match(lines[start].strip()):
            return self._read_grid(lines, start)
        return self._read_simple(lines, start)

    def read_delimited(self, body: Iterable[str], options: Iterable[str]) -> None:
        """Add the rows of a csv-table, its header among the options."""
        for option in options:
            if match := _HEADER_OPTION.match(option.strip()):
                self._add(next(csv.reader([match[1]], skipinitialspace=True)), heads=True)
        for row in csv.reader(body, skipinitialspace=True):
            self._add(row)

    def read_list(self, body: Iterable[str]) -> None:
        """Add the rows of a list-table, the first one as its header."""
        rows: list[list[str]] = []
        for line in body:
            if row := _ROW_START.match(line):
                rows.append([row[1]])
            elif rows and (cell := _CELL_START.match(line)):
                rows[-1].append(cell[1])
            elif rows and line.strip():
                rows[-1][-1] += f" {line.strip()}"
        for position, cells in enumerate(rows):
            self._add(cells, heads=position == 0 and len(rows) > 1)

    def _read_grid(self, lines: Sequence[str], start: int) -> int:
        end = start
        while end < len(lines) and lines[end].strip()[:1] in ("+", "|"):
            end += 1
        row: list[str] = []
        for line in (each.strip() for each in lines[start:end]):
            if line.startswith("+"):
                self._add(row, heads="=" in line)
                row = []
                continue
            cells = line.strip("|").split("|")
            row += [""] * (len(cells) - len(row))
            row = [
                f"{old} {new.strip()}"
                for old, new in zip(row, [*cells, *[""] * len(row)], strict=False)
            ]
        self._add(row)
        return end

    def _read_simple(self, lines: Sequence[str], start: int) -> int:
        spans = [match.span() for match in re.finditer("=+", lines[start])]
        borders, end = 0, start
        body: list[str] = []
        while end < len(lines) and borders < 3:
            line = lines[end]
            end += 1
            if _SIMPLE.match(line.strip()):
                borders += 1
                following = lines[end].strip() if end < len(lines) else ""
                self._add_simple(body, spans, heads=borders == 2 and bool(following))
                body = []
                if borders == 2 and not following:
                    break
            elif not _DASHES.match(line.strip()):
                body.append(line)
        self._add_simple(body, spans, heads=False)
        return end

    def _add_simple(
        self, lines: Sequence[str], spans: Sequence[tuple[int, int]], *, heads: bool
    ) -> None:
        rows: list[list[str]] = []
        for line in lines:
            stops = [start for start, _ in spans[1:]] + [None]
            cells = [
                line[start:stop].strip() for (start, _), stop in zip(spans, stops, strict=True)
            ]
            if rows and not cells[0]:
                rows[-1] = [f"{old} {new}" for old, new in zip(rows[-1], cells, strict=True)]
            else:
                rows.append(cells)
        for row in rows:
            self._add(row, heads=heads)

    def _add(self, cells: Sequence[str], *, heads: bool = False) -> None:
        texts = [self._plain(cell.strip()) for cell in cells]
        if any(texts):
            self._builder.add_row(texts, header="" if heads else self._header)
            if heads:
                self._header = join_cells(texts)
