"""PDF through PDFium: pages in order, hyphenation mended, sections from the outline.

Invariant: running heads, feet and page numbers are no text of a page.
"""

import re
from contextlib import closing
from itertools import islice
from pathlib import Path

from pypdfium2 import PdfDocument, PdfiumError

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.damaged_pdf import read_damaged
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.page_columns import read_columns
from tasks.stages.parsing.page_furniture import drop_furniture
from tasks.stages.parsing.page_images import read_images
from tasks.stages.parsing.page_layout import add_page
from tasks.stages.parsing.page_tables import read_tables
from tasks.stages.parsing.parse_options import OcrMode, options_in_force
from tasks.stages.parsing.refusal import ParseRefused

_OUTLINE_ITEMS = 10_000
_OUTLINE_DEPTH = 8
_NO_TITLE = re.compile(r"\W*(?:anonymous|untitled|sans titre|unknown)?\W*\d*", re.IGNORECASE)
_PROGRAM = re.compile(r"^Microsoft (?:Word|PowerPoint|Excel) - ")


def parse_pdf(path: Path) -> ParsedDocument:
    """Parse a .pdf file.

    Raises:
        ParseRefused: It is encrypted, damaged, or no PDF.
    """
    try:
        document = PdfDocument(path)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise ParseRefused(Reason.ENCRYPTED, "a password is needed to open this PDF") from error
        return read_damaged(path)
    with closing(document):
        return _read(document)


def _read(document: PdfDocument) -> ParsedDocument:
    builder = ElementBuilder()
    builder.count_pages(len(document))
    outline = _outline(document)
    headings: list[tuple[int, str]] = []
    for number, text in enumerate(drop_furniture(_read_texts(document, builder)), start=1):
        headings += outline.get(number, [])
        if text.strip():  # sections that begin on pages without text head the next one with
            builder.move_to(Place(page=number))
            add_page(builder, text, headings)
            headings = []
    return builder.build(title=_title(document))


def _read_texts(document: PdfDocument, builder: ElementBuilder) -> list[str]:
    """Return the text of every page, recognised in its image where that is asked for."""
    texts = _texts(document, builder)
    options = options_in_force()
    if options.ocr is OcrMode.OFF:
        return texts
    read = read_images(document, texts, options)
    for warning in read.warnings:
        builder.warn(warning)
    if read.confidence is not None:
        builder.recognised(read.confidence)
    return read.texts


def _texts(document: PdfDocument, builder: ElementBuilder) -> list[str]:
    """Return the text of every page, empty for one that cannot be read."""
    texts = []
    for number in range(1, len(document) + 1):
        try:
            texts.append(_page_text(document, number - 1))
        except PdfiumError:
            builder.warn(f"page {number} cannot be read")
            texts.append("")
    return texts


def _title(document: PdfDocument) -> str:
    title = _PROGRAM.sub("", one_line(document.get_metadata_value("Title")))
    return "" if _NO_TITLE.fullmatch(title) else title


def _page_text(document: PdfDocument, index: int) -> str:
    with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
        found = read_tables(page, text_page) or read_columns(text_page)
        return found or str(text_page.get_text_range())


def _outline(document: PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Return (level, title) of the bookmarks by 1-based page."""
    found: dict[int, list[tuple[int, str]]] = {}
    for item in islice(document.get_toc(max_depth=_OUTLINE_DEPTH), _OUTLINE_ITEMS):
        target = item.get_dest()
        index = target.get_index() if target else None
        if index is not None and (title := one_line(item.get_title())):
            found.setdefault(index + 1, []).append((item.level + 1, title))
    return found
