"""Evaluations as sheets that people fill in: CSV and XLSX, out and in again.

Invariants: a cell is never a formula, whatever an answer begins with; a mark that is no number from
0 to 10 is told with its line, and nothing is taken over then.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils.exceptions import InvalidFileException

from index_store.errors import UsageError
from tasks.stages.evaluation.grid import (
    CRITERIA,
    HIGHEST,
    Evaluation,
    Mark,
    Row,
    mark_of,
    summarise,
)

COLUMNS = (
    *("id", "question", "expected", "answer", "sources", "found"),
    *(*CRITERIA, "final", "by", "note"),
)
WIDTHS = {"question": 40, "expected": 40, "answer": 60, "sources": 30, "note": 30}
MAX_CELL = 32_767  # characters that a cell of a sheet takes
# What people call the columns, without accents and in lower case.
_NAMES = {
    "exactitude": "exactness",
    "exactness": "exactness",
    "accuracy": "exactness",
    "completude": "completeness",
    "completeness": "completeness",
    "format": "format",
    "format & clarte": "format",
    "format et clarte": "format",
    "id": "id",
    "question": "question",
    "note": "note",
    "commentaire": "note",
    "comment": "note",
}


def write_sheet(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation; the ending of the name, `.csv` or `.xlsx`, says as what.

    Raises:
        UsageError: The name ends otherwise.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        path.write_text(_as_csv(evaluation), encoding="utf-8-sig", newline="")
    elif kind == ".xlsx":
        path.write_bytes(_as_xlsx(evaluation))
    else:
        raise UsageError(f"sheet {path.name!r}: expected a name that ends in .csv or .xlsx")


def read_marks(path: Path, questions: Mapping[str, str]) -> dict[str, list[Mark]]:
    """Read marks that people gave; a line without any mark is passed over.

    Args:
        path: A CSV or XLSX file with a line per question and person.
        questions: Words of each question by its id.

    Returns:
        Marks by id of the question.

    Raises:
        UsageError: The file cannot be read, or lines are wrong; every problem is listed.
    """
    lines = list(_lines(path))
    head = [_NAMES.get(_folded(cell), "") for cell in (lines[0] if lines else ())]
    missing = [name for name in CRITERIA if name not in head]
    if missing or not {"id", "question"} & {*head}:
        raise UsageError(
            f"marks {path.name!r}: expected columns id or question, {', '.join(CRITERIA)}; "
            f"missing: {', '.join(missing) or 'id'}"
        )
    problems: list[str] = []
    marks: dict[str, list[Mark]] = {}
    ids = {" ".join(words.split()): name for name, words in questions.items()}
    for number, cells in enumerate(lines[1:], start=2):
        row = {name: cell.strip() for name, cell in zip(head, cells, strict=False) if name}
        if not any(row.get(name) for name in CRITERIA):
            continue
        name = row.get("id") or ids.get(" ".join(row.get("question", "").split()), "")
        if name not in questions:
            problems.append(f"line {number}: no question is {(name or row.get('question'))!r}")
        else:
            marks.setdefault(name, []).append(_mark(row, number, problems))
    if problems:
        raise UsageError(f"marks {path.name!r}: {'; '.join(problems)}")
    return marks


def _mark(row: Mapping[str, str], number: int, problems: list[str]) -> Mark:
    values = {}
    for name in CRITERIA:
        told = row.get(name, "")
        try:
            value = float(told.replace(",", "."))
        except ValueError:
            value = -1.0
        if not 0 <= value <= HIGHEST:
            problems.append(f"line {number}: {name} must be from 0 to {HIGHEST:g}, found {told!r}")
        values[name] = value
    return mark_of(values, note=row.get("note", ""))


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        if path.suffix.lower() == ".xlsx":
            book = load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            for cells in sheet.iter_rows(values_only=True):
                yield ["" if cell is None else str(cell) for cell in cells]
            return
        data = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, InvalidFileException, BadZipFile, KeyError) as error:
        raise UsageError(f"marks {path.name!r} cannot be read: {error}") from error
    head = data.partition("\n")[0]
    yield from csv.reader(io.StringIO(data), delimiter=";" if head.count(";") else ",")


def _folded(cell: str) -> str:
    apart = unicodedata.normalize("NFKD", cell.strip().lower())
    return "".join(mark for mark in apart if not unicodedata.combining(mark))


def _as_csv(evaluation: Evaluation) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in evaluation.rows:
        writer.writerow([_harmless(cell) for cell in _cells(row)])
    return out.getvalue()


def _as_xlsx(evaluation: Evaluation) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("answers")
    sheet.freeze_panes = "C2"
    for place, name in enumerate(COLUMNS):
        sheet.column_dimensions[chr(ord("A") + place)].width = WIDTHS.get(name, 13)
    sheet.append([_cell(sheet, name, bold=True) for name in COLUMNS])
    for row in evaluation.rows:
        sheet.append([_cell(sheet, cell) for cell in _cells(row)])
    told = book.create_sheet("summary")
    summary = summarise(evaluation)
    lines: Sequence[tuple[str, str | float | None]] = (
        ("version", evaluation.version),
        ("answered by", evaluation.answered_by),
        ("questions", summary.questions),
        ("marked", summary.marked),
        *((f"mean {name}", round(value, 4)) for name, value in summary.means.items()),
    )
    for name, value in lines:
        told.append([_cell(told, name, bold=True), _cell(told, value)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cells(row: Row) -> list[str | float | None]:
    mark = row.mark
    return [
        row.id,
        row.question,
        row.expected,
        row.answer,
        "\n".join(row.sources),
        None if row.found is None else round(row.found, 4),
        *(None if mark is None else mark.of(name) for name in CRITERIA),
        None if mark is None else round(mark.final, 4),
        "" if mark is None else mark.by,
        "" if mark is None else mark.note,
    ]


def _harmless(cell: str | float | None) -> str | float:
    """Return a cell that a spreadsheet does not take for a formula."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _cell(sheet: object, value: str | float | None, *, bold: bool = False) -> WriteOnlyCell:
    shown = value
    if isinstance(value, str):
        shown = "".join(mark for mark in value if mark.isprintable() or mark == "\n")[:MAX_CELL]
    cell = WriteOnlyCell(sheet, value=shown)
    if isinstance(shown, str):
        cell.data_type = "s"  # text stays text, also when it begins like a formula
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    cell.font = Font(bold=bold)
    return cell
