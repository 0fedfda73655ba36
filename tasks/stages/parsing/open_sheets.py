"""The rows of an OpenDocument spreadsheet.

Invariant: what a file repeats a million times costs as much as it would take to write it down, and
no more than the limit on cells.
"""

from collections.abc import Iterator

from lxml import etree

from index_store.records import Reason
from tasks.stages.parsing.archive import attribute, local_name
from tasks.stages.parsing.open_text import cell_paragraphs
from tasks.stages.parsing.refusal import ParseRefused

_TEXT_CELLS = 5_000_000
_BLANKS = 16  # blank cells side by side that are kept; more say nothing
_MIDNIGHT = "T00:00:00"
_ROWS = ("table-row",)
_CELLS = ("table-cell", "covered-table-cell")


def hidden_styles(content: etree._Element) -> frozenset[str]:
    """Return the names of the styles that hide a sheet."""
    return frozenset(
        attribute(style, "name")
        for style in content.iter()
        if local_name(style) == "style" and attribute(style, "family") == "table"
        for properties in style
        if attribute(properties, "display") == "false"
    )


def sheet_rows(table: etree._Element) -> Iterator[tuple[int, list[str]]]:
    """Yield the 1-based number and the cells of every row that is not blank.

    Raises:
        ParseRefused: There are too many cells.
    """
    following, budget = 1, _TEXT_CELLS
    for row in _nodes(table, _ROWS):
        repeated = _repeats(row, "number-rows-repeated")
        cells = _cells(row, budget)
        if any(cells):
            budget -= len(cells) * repeated
            if budget < 0:
                raise _too_large()
            for number in range(following, following + repeated):
                yield number, cells
        following += repeated


def _cells(row: etree._Element, budget: int) -> list[str]:
    cells: list[str] = []
    for cell in _nodes(row, _CELLS):
        text = "" if local_name(cell) == "covered-table-cell" else _value(cell)
        repeated = _repeats(cell, "number-columns-repeated")
        if text and repeated > budget:
            raise _too_large()
        cells += [text] * (repeated if text else min(repeated, _BLANKS))
    return cells


def _value(cell: etree._Element) -> str:
    """Return a date in ISO form, anything else as it is shown."""
    if date := attribute(cell, "date-value"):
        return date.partition(".")[0].removesuffix(_MIDNIGHT).replace("T", " ")
    return cell_paragraphs(cell)


def _nodes(parent: etree._Element, wanted: tuple[str, ...]) -> Iterator[etree._Element]:
    """Yield rows or cells in order, those of groups and headers in their place."""
    for node in parent:
        name = local_name(node)
        if name in wanted:
            yield node
        elif name.startswith("table-") and name not in _CELLS:
            yield from _nodes(node, wanted)


def _repeats(node: etree._Element, name: str) -> int:
    text = attribute(node, name)
    return max(1, int(text)) if text.isdigit() else 1


def _too_large() -> ParseRefused:
    return ParseRefused(Reason.TOO_LARGE, f"more than {_TEXT_CELLS} cells")
