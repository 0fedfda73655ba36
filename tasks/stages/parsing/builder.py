"""Collects the elements of one document, cleaned, in reading order.

Invariant: an element without visible text is not collected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.normalisation import normalise, oddities, one_line

CELL_SEPARATOR = " | "
_TITLE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where elements stand; see the attributes of `Element`."""

    page: int | None = None
    slide: int | None = None
    sheet: str | None = None


_NOWHERE = Place()


def join_cells(cells: Iterable[str]) -> str:
    """Return the text of a table row, blank cells side by side as one; empty when all are blank."""
    cleaned = [one_line(cell) for cell in cells]
    kept = [text for before, text in pairwise(["", *cleaned]) if before or text]
    while kept and not kept[-1]:
        kept.pop()
    return CELL_SEPARATOR.join(kept)


class ElementBuilder:
    """Collects elements and warnings."""

    def __init__(self) -> None:
        self._elements: list[Element] = []
        self._warnings: dict[str, None] = {}
        self._place = _NOWHERE
        self._described = NO_ATTRIBUTES
        self._pages = 0
        self._confidence: float | None = None

    def move_to(self, place: Place) -> None:
        """Give all later elements this place."""
        self._place = place

    def notice(self, raw: str) -> None:
        """Warn of what is odd about a raw text; `add` and its kin do so themselves."""
        for oddity in oddities(raw):
            self.warn(oddity)

    def add(self, kind: ElementKind, text: str) -> None:
        """Add a piece of running text, its line ends made spaces."""
        self.notice(text)
        self._append(kind, one_line(text))

    def add_heading(self, text: str, level: int) -> None:
        """Add a heading, level 1 for the outermost."""
        self.notice(text)
        self._append(ElementKind.HEADING, one_line(text), level=max(1, level))

    def add_code(self, text: str) -> None:
        """Add preformatted text with its lines and indentation."""
        self.notice(text)
        self._append(ElementKind.CODE, normalise(text).strip("\n").rstrip())

    def add_row(self, cells: Sequence[str], *, row: int | None = None, header: str = "") -> None:
        """Add a table row.

        Args:
            cells: Texts of the cells.
            row: 1-based sheet row, or None.
            header: Text of the table's header row, from `join_cells`.
        """
        for cell in cells:
            self.notice(cell)
        self._append(ElementKind.TABLE_ROW, join_cells(cells), row=row, header=header)

    def include(self, parsed: ParsedDocument, *, below: int = 0) -> None:
        """Add all that a part of the document holds, such as a chapter or an attachment.

        Args:
            parsed: The part; its places are kept.
            below: Levels by which its headings go down.
        """
        for element in parsed.elements:
            level = element.level + below if element.level else 0
            self._elements.append(replace(element, level=level))
        for warning in parsed.warnings:
            self.warn(warning)

    def include_here(self, parsed: ParsedDocument) -> None:
        """Add all that a part of the document holds, as standing where the builder stands."""
        place = self._place
        self._elements += [
            replace(each, page=place.page, slide=place.slide, sheet=place.sheet)
            for each in parsed.elements
        ]

    def describe(self, attributes: DocumentAttributes) -> None:
        """Say what the document tells of itself; its title is given to `build`."""
        self._described = attributes

    def recognised(self, confidence: float) -> None:
        """Say with what confidence text was recognised in images, in [0, 1]."""
        self._confidence = confidence

    def count_pages(self, pages: int) -> None:
        """Say how many pages or slides the file has, those without text included."""
        self._pages = pages

    def warn(self, warning: str) -> None:
        """Note something for the report, once."""
        self._warnings.setdefault(warning)

    def build(self, title: str = "") -> ParsedDocument:
        """Return what was collected.

        Args:
            title: Title from the document's own metadata; without one the first heading serves.
        """
        headings = (e.text for e in self._elements if e.kind is ElementKind.HEADING)
        return ParsedDocument(
            elements=tuple(self._elements),
            attributes=replace(
                self._described, title=(one_line(title) or next(headings, ""))[:_TITLE_LENGTH]
            ),
            warnings=tuple(self._warnings),
            pages=self._pages,
            confidence=self._confidence,
        )

    def _append(
        self,
        kind: ElementKind,
        text: str,
        *,
        level: int = 0,
        row: int | None = None,
        header: str = "",
    ) -> None:
        if not text.strip():
            return
        place = self._place
        self._elements.append(
            Element(
                kind=kind,
                text=text,
                level=level,
                page=place.page,
                slide=place.slide,
                sheet=place.sheet,
                row=row,
                header=header,
            )
        )


def with_warning(parsed: ParsedDocument, warning: str) -> ParsedDocument:
    """Return a parsed document with one more warning, which comes first."""
    return replace(parsed, warnings=(warning, *parsed.warnings))
