"""Workbooks saved as one XML file (SpreadsheetML 2003), which carry the name .xls.

Invariant: a row or cell without an index follows the one before it.
"""

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from tasks.stages.parsing.archive import attribute, local_name, parse_xml
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.delimited import add_table
from tasks.stages.parsing.elements import ParsedDocument

_MIDNIGHT = "T00:00:00.000"


def parse_xml_sheets(path: Path) -> ParsedDocument:
    """Parse a SpreadsheetML file.

    Raises:
        ParseRefused: It is no well-formed XML.
    """
    root = parse_xml(path.read_bytes(), path.suffix)
    builder = ElementBuilder()
    for sheet in root:
        if local_name(sheet) == "Worksheet":
            builder.move_to(Place(sheet=attribute(sheet, "Name")))
            for table in sheet:
                if local_name(table) == "Table":
                    add_table(builder, _rows(table))
    return builder.build()


def _rows(table: etree._Element) -> Iterator[tuple[int, list[str]]]:
    number = 0
    for row in table:
        if local_name(row) == "Row":
            number = _index(row, number)
            yield number, _cells(row)


def _cells(row: etree._Element) -> list[str]:
    # Gaps between columns are closed: an index may name the last column there is.
    return ["".join(_data(cell)) for cell in row if local_name(cell) == "Cell"]


def _data(cell: etree._Element) -> Iterator[str]:
    for node in cell:
        if local_name(node) == "Data":
            yield "".join(node.itertext()).removesuffix(_MIDNIGHT)


def _index(node: etree._Element, before: int) -> int:
    index = attribute(node, "Index")
    return int(index) if index.isdigit() else before + 1
