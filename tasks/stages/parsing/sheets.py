"""Spreadsheets: every visible sheet, row by row, values as a person sees them.

calamine reads; openpyxl is the second reader for workbooks whose few cells lie far apart, for those
that calamine refuses, and for formulas without a stored value.
Invariants: no reader is given a workbook whose cells would not fit into memory; every row keeps its
sheet and number.
"""

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from index_store.records import Reason
from tasks.stages.parsing.archive import open_package
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.cell_text import cell_text
from tasks.stages.parsing.delimited import add_table
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import count_words
from tasks.stages.parsing.parse_options import options_in_force
from tasks.stages.parsing.refusal import ParseRefused, describe
from tasks.stages.parsing.sheet_bounds import widest_area
from tasks.stages.parsing.sparse_sheets import Sheet, read_sparse

_DENSE_CELLS = 20_000_000
"""A reader that fills rectangles gets no larger one; 32 bytes a cell."""
_LOCKED = "a password is needed to open this workbook"
_BINARY_WORKBOOK = "xl/workbook.bin"
_FEW_WORDS = 3
_TEXT_CELLS = 5_000_000
_MERGED_AREAS = 50_000
_LONGEST_REPEATED = 200  # a longer text is a remark, not a category


def parse_sheets(path: Path) -> ParsedDocument:
    """Parse an .xlsx, .xlsm, .xlsb or .xls file.

    Raises:
        ParseRefused: It is damaged, encrypted, too large or no workbook.
    """
    if _ending(path) != ".xlsx":  # openpyxl reads neither of the binary kinds
        return _build(_dense(path))
    with open_package(path) as archive:
        area = widest_area(archive)
    if area > _DENSE_CELLS:
        return _build(read_sparse(path))
    try:
        parsed = _build(_dense(path))
    except ParseRefused as refusal:
        if refusal.reason is Reason.CORRUPT:
            return _build(read_sparse(path))
        raise
    words = count_words((element.text for element in parsed.elements), enough=_FEW_WORDS)
    return parsed if words >= _FEW_WORDS else _build(read_sparse(path, formulas=True))


def _build(sheets: Iterable[Sheet]) -> ParsedDocument:
    builder = ElementBuilder()
    budget = _TEXT_CELLS
    for sheet in sheets:
        if not sheet.visible:
            builder.warn("hidden sheets were left out")
            continue
        builder.move_to(Place(sheet=sheet.name))
        rows = []
        for number, cells in sheet.rows:
            budget -= len(cells)
            if budget < 0:
                raise ParseRefused(Reason.TOO_LARGE, f"more than {_TEXT_CELLS} cells")
            rows.append((number, cells))
        add_table(builder, rows)
    return builder.build()


def _dense(path: Path) -> Iterator[Sheet]:
    try:
        workbook = _open(path)
    except PasswordError as error:
        raise ParseRefused(
            Reason.ENCRYPTED, "a password is needed to open this workbook"
        ) from error
    except (CalamineError, zipfile.BadZipFile) as error:
        raise _refusal(error) from error
    hidden_too = options_in_force().hidden_sheets
    for metadata in workbook.sheets_metadata:
        if metadata.typ is not SheetTypeEnum.WorkSheet:
            continue
        visible = metadata.visible is SheetVisibleEnum.Visible or hidden_too
        rows: Iterable[tuple[int, list[str]]] = ()
        if visible:
            try:
                rows = _rows(workbook.get_sheet_by_name(metadata.name))
            except CalamineError as error:
                raise _refusal(error) from error
        yield Sheet(name=metadata.name, visible=visible, rows=rows)


def _is_package(path: Path) -> bool:
    # Not zipfile.is_zipfile, which finds the archives that old workbooks hold inside.
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _open(path: Path) -> CalamineWorkbook:
    """Open a workbook under a name that says what it is; calamine believes the extension."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"workbook{_ending(path)}"
        link.symlink_to(path.absolute())
        return CalamineWorkbook.from_path(link)


def _ending(path: Path) -> str:
    if not _is_package(path):
        return ".xls"
    with open_package(path) as archive:
        return ".xlsb" if _BINARY_WORKBOOK in archive.namelist() else ".xlsx"


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    top, left = sheet.start or (0, 0)
    merged = _merged_downwards(sheet, left)
    repeated: dict[int, tuple[int, str]] = {}  # by column: the last row, and what it repeats
    for number, row in enumerate(sheet.to_python(skip_empty_area=True), start=top):
        cells = [cell_text(value) for value in row]
        if merged and any(cells):
            for column, (last, text) in repeated.items():
                if number <= last and column < len(cells) and not cells[column]:
                    cells[column] = text
        for column, last in merged.get(number, ()):
            if column < len(cells) and len(cells[column]) <= _LONGEST_REPEATED:
                repeated[column] = (last, cells[column])
        yield number + 1, cells


def _merged_downwards(sheet: CalamineSheet, left: int) -> dict[int, list[tuple[int, int]]]:
    """Return the merged areas of several rows by their first row: column and last row, from 0.

    A category that stands once beside many rows belongs to each of them.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for (first, column), (last, _) in islice(sheet.merged_cell_ranges or (), _MERGED_AREAS):
        if last > first and column >= left:
            found.setdefault(first, []).append((column - left, last))
    return found


def _refusal(error: Exception) -> ParseRefused:
    if "password" in str(error).lower():
        return ParseRefused(Reason.ENCRYPTED, _LOCKED)
    return ParseRefused(Reason.CORRUPT, describe(error))
