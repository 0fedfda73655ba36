"""What a parser returns: typed elements in reading order, each with its place.

Invariants: elements stand in reading order; a heading precedes what it heads; texts hold no lone
surrogates and no NUL; pages, slides and rows are 1-based as a person counts them.
"""

from dataclasses import dataclass
from enum import Enum

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes


class ElementKind(Enum):
    """What kind of piece an element is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list-item"
    TABLE_ROW = "table-row"
    CODE = "code"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One piece of a document.

    Attributes:
        kind: What the piece is.
        text: Its text, stripped, not empty. Cells of a table row are joined by " | ".
        level: Depth of a heading, 1 for the outermost; 0 for everything else.
        page: 1-based page, or None when the format has no pages.
        slide: 1-based slide, or None.
        sheet: Sheet name, or None.
        row: 1-based sheet row, or None.
        header: For a table row, the text of the table's header row, else empty. Chunks repeat it.
        section: Titles of the chapters that a sidecar has it in, the outermost first.
        keywords: Words by which sidecars describe the document and those chapters.
    """

    kind: ElementKind
    text: str
    level: int = 0
    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    row: int | None = None
    header: str = ""
    section: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """What a parser found in one document.

    Attributes:
        elements: Pieces in reading order, at least one.
        attributes: What the document says of itself; its title is that of its own metadata or the
            first heading.
        warnings: Short notes for the report, such as "encoding guessed: cp1252"; never document
            text.
        pages: Pages or slides of the file, those without text included; 0 without pages.
        confidence: Mean confidence of text that was recognised in images, in [0, 1]; None when
            none was.
    """

    elements: tuple[Element, ...]
    attributes: DocumentAttributes = NO_ATTRIBUTES
    warnings: tuple[str, ...] = ()
    pages: int = 0
    confidence: float | None = None
