"""CSV: delimiter, header and encoding are found; every row keeps its number."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.encoding import decode

_DELIMITERS = (",", ";", "\t", "|", ":")
_SAMPLE_LINES = 60
_RUNAWAY_CHARACTERS = 50_000
_LONGEST_NAME = 120
_YEAR = re.compile(r"(?:19|20)\d\d")
_NUMBER = re.compile(r"[-+(]?[\d\s.,:/%€$£'-]*\d[\d\s.,:/%€$£)'-]*")


def parse_csv(path: Path) -> ParsedDocument:
    """Parse a .csv file.

    Raises:
        ParseRefused: The file is no text.
    """
    decoded = decode(path.read_bytes())
    builder = ElementBuilder()
    for warning in decoded.warnings:
        builder.warn(warning)
    # Not splitlines(): it also splits at separators that are lawful inside fields.
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    lines = text.split("\n")
    delimiter = sniff_delimiter(lines)
    rows = list(_rows(lines, delimiter))
    if _runs_away(rows):
        builder.warn("a quote is never closed: quotes are taken as text")
        rows = list(_rows(lines, delimiter, quoted=False))
    add_table(builder, rows)
    return builder.build()


def sniff_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that parts the first lines most evenly; a comma when none does."""
    sample = [line for line in lines[:_SAMPLE_LINES] if line.strip()]
    scores = {delimiter: _evenness(sample, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (0.0, 0) else ","


def add_table(builder: ElementBuilder, rows: Iterable[tuple[int, Sequence[str]]]) -> None:
    """Add the rows of a sheet, each with the header row of the table that it stands in.

    A header is looked for at the first row with more than one cell, and again after blank rows
    when the number of cells changes there.

    Args:
        builder: Where the rows go.
        rows: 1-based number and cells, in order.
    """
    filled = [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)]
    header, width, seeking = "", 0, True
    for position, (number, cells) in enumerate(filled):
        count = sum(1 for cell in cells if cell.strip())
        if position and number > filled[position - 1][0] + 1 and count != width:
            header, seeking = "", True
        builder.add_row(cells, row=number, header=header)
        if seeking and count > 1:
            seeking, width = False, count
            followed = position + 1 < len(filled) and filled[position + 1][0] == number + 1
            header = join_cells(cells) if followed and looks_like_header(cells) else ""


def looks_like_header(cells: Sequence[str]) -> bool:
    """Tell whether the cells of a first row name columns: several, distinct, short, no numbers."""
    names = [cell.strip() for cell in cells if cell.strip()]
    if len(names) < 2 or len(names) * 2 < len(cells):
        return False
    short = all(len(name) <= _LONGEST_NAME for name in names)
    distinct = len(set(names)) >= 0.8 * len(names)
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    years = all(_YEAR.fullmatch(number) for number in numbers)
    return short and distinct and years and len(numbers) < len(names)


def _evenness(sample: Sequence[str], delimiter: str) -> tuple[float, int]:
    """Return the share of lines with the commonest number of columns, and that number."""
    try:
        counts = Counter(len(cells) for cells in csv.reader(sample, delimiter=delimiter))
    except csv.Error:
        return (0.0, 0)
    counts.pop(1, None)
    if not counts:
        return (0.0, 0)
    columns, lines = max(counts.items(), key=lambda item: (item[1], item[0]))
    return (round(lines / max(1, len(sample)), 1), columns)


def _rows(
    lines: Sequence[str], delimiter: str, *, quoted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=False,
    )
    number = 1
    for cells in reader:
        yield number, cells
        number = reader.line_num + 1


def _runs_away(rows: Iterable[tuple[int, list[str]]]) -> bool:
    return any(
        len(cell) > _RUNAWAY_CHARACTERS and cell.count("\n") > 100
        for _, cells in rows
        for cell in cells
    )
