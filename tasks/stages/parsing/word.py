"""Word documents: headings, paragraphs, lists, tables, notes and text boxes in reading order.

Read from the parts themselves, so that strict, macro-enabled and template documents are one case.
Invariants: tracked insertions count as text, tracked deletions and hidden runs do not; a text box
follows the paragraph that anchors it, and so does a footnote.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from lxml import etree

from index_store.records import Reason
from tasks.stages.parsing.archive import (
    attribute,
    local_name,
    open_package,
    package_title,
    read_xml,
    relations,
)
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.word_numbering import Numbering
from tasks.stages.parsing.word_styles import ParagraphStyle, read_styles, style_of

_SKIPPED = frozenset(
    (
        "del",
        "moveFrom",
        "delText",
        "instrText",
        "delInstrText",
        "pPr",
        "rPr",
        "sectPr",
        "tblPr",
        "tblGrid",
        "trPr",
        "tcPr",
        "sdtPr",
        "rt",
        "Fallback",
    )
)
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}


def parse_docx(path: Path) -> ParsedDocument:
    """Parse a .docx file.

    Raises:
        ParseRefused: It is damaged, encrypted or no Word document.
    """
    with open_package(path) as archive:
        main = relations(archive, "").get("officeDocument", "word/document.xml")
        root = read_xml(archive, main)
        if root is None:
            raise ParseRefused(Reason.CORRUPT, "the document part is missing")
        parts = relations(archive, main)
        reader = _Reader(archive, parts)
        reader.read_blocks(root)
        if reader.is_empty:
            for kind in ("header", "footer"):
                reader.read_part(parts.get(kind, ""))
        return reader.builder.build(title=package_title(archive))


class _Reader:
    def __init__(self, archive: ZipFile, parts: dict[str, str]) -> None:
        self.builder = ElementBuilder()
        self.is_empty = True
        self._archive = archive
        self._numbering = Numbering(read_xml(archive, parts.get("numbering", "")))
        styles = read_xml(archive, parts.get("styles", ""))
        self._styles = read_styles(styles, self._numbering.depths)
        self._notes = {
            kind: _note_nodes(read_xml(archive, parts.get(kind, ""))) for kind in _NOTES.values()
        }

    def read_part(self, part: str) -> None:
        root = read_xml(self._archive, part)
        if root is not None:
            self.read_blocks(root)

    def read_blocks(self, parent: etree._Element) -> None:
        """Add the paragraphs and tables below a node, however they are wrapped."""
        for node in parent:
            name = local_name(node)
            if name == "p":
                self._read_paragraph(node)
            elif name == "tbl":
                self._read_table(node)
            elif name not in _SKIPPED:
                self.read_blocks(node)

    def _read_paragraph(self, paragraph: etree._Element) -> None:
        style = style_of(_child(paragraph, "pPr"), self._styles)
        inline = _Inline()
        inline.read(paragraph)
        self._add(self._numbered(inline.text(), style), style)
        for box in inline.boxes:
            self.read_blocks(box)
        for kind, key in inline.references:
            note = self._notes[kind].pop(key, None)
            if note is not None:
                self.builder.add(ElementKind.NOTE, _flat_text(note))

    def _add(self, text: str, style: ParagraphStyle) -> None:
        self.is_empty = self.is_empty and not text.strip()
        if style.level:
            self.builder.add_heading(text, style.level)
        else:
            kind = ElementKind.LIST_ITEM if style.number else ElementKind.PARAGRAPH
            self.builder.add(kind, text)

    def _numbered(self, text: str, style: ParagraphStyle) -> str:
        """Return the text of a paragraph after its number, if it has one that Word shows."""
        label = self._numbering.label(style.number, style.depth) if style.number else ""
        return f"{label} {text}" if label and text.strip() else text

    def _read_table(self, table: etree._Element) -> None:
        rows = [list(_descend(row, "tc")) for row in _descend(table, "tr")]
        if self._is_layout(rows):
            for row in rows:
                for cell in row:
                    self.read_blocks(cell)
            return
        header = ""
        for position, row in enumerate(rows):
            cells = [self._cell_text(cell) for cell in row]
            self.is_empty = self.is_empty and not any(cells)
            self.builder.add_row(cells, header=header)
            if position == 0 and len(rows) > 1 and looks_like_header(cells):
                header = join_cells(cells)

    def _cell_text(self, cell: etree._Element) -> str:
        """Return the text of a cell; a paragraph without any is its number, as rows have them."""
        paragraphs = list(_descend(cell, "p"))
        styles = [style_of(_child(each, "pPr"), self._styles) for each in paragraphs]
        labels = [
            self._numbering.label(style.number, style.depth) if style.number else ""
            for style in styles
        ]
        if not any(labels):
            return _flat_text(cell)
        texts = [_inline_text(each) for each in paragraphs]
        return "\n".join(f"{label} {text}" for label, text in zip(labels, texts, strict=True))

    def _is_layout(self, rows: list[list[etree._Element]]) -> bool:
        """Tell a table that only places text from one of data."""
        if all(len(row) <= 1 for row in rows):
            return True
        return any(self._holds_structure(cell) for row in rows for cell in row)

    def _holds_structure(self, cell: etree._Element) -> bool:
        if next(_descend(cell, "tbl"), None) is not None:
            return True
        return any(
            style_of(_child(paragraph, "pPr"), self._styles).level
            for paragraph in _descend(cell, "p")
        )


class _Inline:
    """The text of one paragraph, and what it anchors."""

    def __init__(self) -> None:
        self.boxes: list[etree._Element] = []
        self.references: list[tuple[str, str]] = []
        self._pieces: list[str] = []

    def read(self, parent: etree._Element) -> None:
        for node in parent:
            name = local_name(node)
            if name == "t":
                self._pieces.append(node.text or "")
            elif name in _SIGNS:
                self._pieces.append(_SIGNS[name])
            elif name in _NOTES:
                self.references.append((_NOTES[name], attribute(node, "id")))
            elif name == "txbxContent":
                self.boxes.append(node)
            elif name not in _SKIPPED and not (name == "r" and _is_hidden(node)):
                self.read(node)

    def text(self) -> str:
        return "".join(self._pieces)


def _is_hidden(run: etree._Element) -> bool:
    """Tell a run that Word does not show."""
    properties = _child(run, "rPr")
    mark = None if properties is None else _child(properties, "vanish")
    return mark is not None and attribute(mark, "val") not in ("0", "false", "off")


def _flat_text(parent: etree._Element) -> str:
    """Return the text of all paragraphs below a node, text boxes and nested tables included."""
    texts: list[str] = []
    texts += [_inline_text(paragraph) for paragraph in _descend(parent, "p")]
    texts += [_flat_text(cell) for table in _descend(parent, "tbl") for cell in table]
    return "\n".join(text for text in texts if text.strip())


def _inline_text(paragraph: etree._Element) -> str:
    """Return the text of a paragraph and of the text boxes that it anchors."""
    inline = _Inline()
    inline.read(paragraph)
    return "\n".join([inline.text(), *(_flat_text(box) for box in inline.boxes)])


def _descend(parent: etree._Element, wanted: str) -> Iterator[etree._Element]:
    """Yield the nearest nodes of a name, looking through wrappers but not into paragraphs."""
    for node in parent:
        name = local_name(node)
        if name == wanted:
            yield node
        elif name not in _SKIPPED and name not in ("p", "tbl", "r"):
            yield from _descend(node, wanted)


def _child(parent: etree._Element, name: str) -> etree._Element | None:
    return next((node for node in parent if local_name(node) == name), None)


def _note_nodes(root: etree._Element | None) -> dict[str, etree._Element]:
    """Return the notes by id; separators have a type and are left out."""
    nodes = () if root is None else root
    return {attribute(node, "id"): node for node in nodes if not attribute(node, "type")}
