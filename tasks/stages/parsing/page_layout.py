"""The lines of a page made paragraphs, headings and rows of tables.

Invariant: no word of the page is lost; hyphens that only part a word at a line's end are removed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.page_tables import CELL_BOUND
from tasks.stages.parsing.table_lines import find_rows

# PDFium writes U+FFFE for a hyphen at the end of a line and joins the lines.
_MARKED = re.compile(r"([^\s\ufffe]*)\ufffe(?:\r?\n)?(?=(\w?))")
_UNMARKED = re.compile(r"(?<=[^\W\d_])[-\u2010\xad]\r?\n(?=[a-zß-ÿœ])")
_SENTENCE_END = (".", "!", "?", ":", ";", "»", "”")
_SHORT_LINE = 0.8
"""A line below this share of the longest one is taken for the last of its paragraph."""


def add_page(builder: ElementBuilder, text: str, headings: Sequence[tuple[int, str]]) -> None:
    """Add the text of one page.

    Args:
        builder: Stands at the page already.
        text: Lines in reading order.
        headings: Level and title of the sections that the outline says begin here, in order. A
            title found as a line of its own is a heading there, any other heads the page.
    """
    lines = _mend(text).replace("\r", "").split("\n")
    known = {one_line(line).casefold() for line in lines}
    titles: dict[str, tuple[int, str]] = {}
    for level, title in headings:
        if title.casefold() in known:
            titles[title.casefold()] = (level, title)
        else:
            builder.add_heading(title, level)
    drawn = {
        place: line.split(CELL_BOUND) for place, line in enumerate(lines) if CELL_BOUND in line
    }
    rows = drawn | find_rows(["" if place in drawn else line for place, line in enumerate(lines)])
    headers = _headers(drawn)
    begin = 0
    for place in [*sorted(rows), len(lines)]:
        _add_prose(builder, lines[begin:place], titles)
        if place in rows:
            builder.add_row(rows[place], header=headers.get(place, ""))
        begin = place + 1


def _headers(drawn: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Return the header of each row of drawn tables; rows of one table stand in a run."""
    headers: dict[int, str] = {}
    header = ""
    for place, cells in drawn.items():
        if place - 1 in drawn:
            headers[place] = header
        else:
            header = join_cells(cells) if looks_like_header(cells) else ""
    return headers


def _add_prose(
    builder: ElementBuilder, lines: Sequence[str], titles: dict[str, tuple[int, str]]
) -> None:
    for paragraph in _paragraphs(lines, titles):
        level, title = titles.pop(paragraph.casefold(), (0, ""))
        if level:
            builder.add_heading(title, level)
        else:
            builder.add(ElementKind.PARAGRAPH, paragraph)


def _mend(text: str) -> str:
    return _UNMARKED.sub("", _MARKED.sub(_rejoin, text))


def _rejoin(match: re.Match[str]) -> str:
    before, after = match[1], match[2]
    # The hyphen is the word's own after another one, as in "c'est-à-dire", or before a capital.
    own = "-" in before or not after.islower() or not before[-1:].isalpha()
    return f"{before}-" if own else before


def _paragraphs(lines: Sequence[str], titles: dict[str, tuple[int, str]]) -> Iterator[str]:
    """Join lines; a sentence that ends well before the right margin ends its paragraph."""
    width = max((len(line) for line in lines), default=0)
    current: list[str] = []
    for line in lines:
        stripped = one_line(line)
        alone = stripped.casefold() in titles
        if current and (alone or not stripped):
            yield " ".join(current)
            current = []
        if stripped:
            current.append(stripped)
        if alone or (stripped.endswith(_SENTENCE_END) and len(stripped) < _SHORT_LINE * width):
            yield " ".join(current)
            current = []
    if current:
        yield " ".join(current)
