"""The slow, sparse reader of workbooks: cells cost what they are, not where they stand.

openpyxl's own iteration fills the gaps between cells, which never ends when one stands in the last
row and column; its parser of a sheet's XML does not.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
from openpyxl.worksheet._reader import WorkSheetParser

from index_store.records import Reason
from tasks.stages.parsing.cell_text import cell_text
from tasks.stages.parsing.refusal import ParseRefused, describe

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet of a workbook.

    Attributes:
        name: As shown on its tab.
        visible: Whether a person sees it.
        rows: 1-based row number and texts of the cells; read once.
    """

    name: str
    visible: bool
    rows: Iterable[tuple[int, list[str]]]


def read_sparse(path: Path, *, formulas: bool = False) -> Iterator[Sheet]:
    """Read a workbook with openpyxl.

    Args:
        path: The file.
        formulas: Whether to take formulas where they stand instead of their stored values.

    Raises:
        ParseRefused: openpyxl cannot read it.
    """
    # From a stream, because openpyxl refuses paths without an extension that it knows.
    with _refusing(), path.open("rb") as stream:
        workbook = openpyxl.load_workbook(stream, read_only=True, data_only=not formulas)
        for sheet in workbook.worksheets:
            visible = sheet.sheet_state == "visible"
            rows = _rows(sheet, formulas=formulas) if visible else ()
            yield Sheet(name=sheet.title, visible=visible, rows=rows)


def _rows(sheet: "ReadOnlyWorksheet", *, formulas: bool) -> Iterator[tuple[int, list[str]]]:
    workbook = sheet.parent
    with _refusing(), sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=not formulas,
            epoch=workbook.epoch,
            date_formats=workbook._date_formats,
            timedelta_formats=workbook._timedelta_formats,
        )
        for number, cells in parser.parse():
            yield number, [cell_text(cell["value"]) for cell in cells]


@contextmanager
def _refusing() -> Iterator[None]:
    """Make whatever openpyxl raises a refusal."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except (ParseRefused, MemoryError, OSError):
        raise
    except Exception as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error
