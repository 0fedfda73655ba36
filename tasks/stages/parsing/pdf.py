"""PDF through PDFium: pages in order, hyphenation mended, sections from the outline."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pypdfium2 import PdfDocument, PdfiumError

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.refusal import ParseRefused

_OUTLINE_ITEMS = 10_000
_OUTLINE_DEPTH = 8
_HYPHENATED = re.compile(r"(?<=[^\W\d_])(?:[\x02\ufffe]|[-\u2010\xad](?=\r?\n[a-zà-ÿ]))\s*")
_SENTENCE_END = (".", "!", "?", ":", ";", "»", "”")


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
        raise ParseRefused(Reason.CORRUPT, f"PDFium: {error}") from error
    builder = ElementBuilder()
    try:
        outline = _outline(document)
        for number in range(1, len(document) + 1):
            builder.move_to(Place(page=number))
            try:
                text = _page_text(document, number - 1)
            except PdfiumError:
                builder.warn(f"page {number} cannot be read")
                continue
            _add_page(builder, text, outline.get(number, []))
        return builder.build(title=document.get_metadata_value("Title"))
    finally:
        document.close()


def _page_text(document: PdfDocument, index: int) -> str:
    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            return str(text_page.get_text_range())
        finally:
            text_page.close()
    finally:
        page.close()


def _outline(document: PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Return (level, title) of the bookmarks by 1-based page."""
    found: dict[int, list[tuple[int, str]]] = {}
    for item in islice(document.get_toc(max_depth=_OUTLINE_DEPTH), _OUTLINE_ITEMS):
        target = item.get_dest()
        index = target.get_index() if target else None
        if index is not None and (title := one_line(item.get_title())):
            found.setdefault(index + 1, []).append((item.level + 1, title))
    return found


def _add_page(builder: ElementBuilder, text: str, headings: list[tuple[int, str]]) -> None:
    lines = _HYPHENATED.sub("", text).replace("\r", "").split("\n")
    waiting = list(headings)
    known = {one_line(line).casefold() for line in lines}
    while waiting and waiting[0][1].casefold() not in known:
        level, title = waiting.pop(0)
        builder.add_heading(title, level)
    for paragraph in _paragraphs(lines):
        if waiting and paragraph.casefold() == waiting[0][1].casefold():
            level, title = waiting.pop(0)
            builder.add_heading(title, level)
        else:
            builder.add(ElementKind.PARAGRAPH, paragraph)


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Join lines; a sentence that ends well before the right margin ends its paragraph."""
    width = max((len(line) for line in lines), default=0)
    current: list[str] = []
    for line in lines:
        stripped = line.strip()
        if stripped:
            current.append(stripped)
        if current and (not stripped or _ends_paragraph(stripped, width)):
            yield one_line(" ".join(current))
            current = []
    if current:
        yield one_line(" ".join(current))


def _ends_paragraph(line: str, width: int) -> bool:
    return line.endswith(_SENTENCE_END) and len(line) < 0.8 * width
