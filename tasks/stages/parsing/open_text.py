"""The running text of an OpenDocument: headings, paragraphs, lists, tables, notes and text boxes.

Invariant: a text box or a note follows the paragraph that anchors it.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from lxml import etree

from tasks.stages.parsing.archive import attribute, local_name
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind

_SILENT_TAGS = """
    annotation annotation-end bibliography bookmark desc event-listeners forms image
    index-title-template math
    object ruby-text script scripts sequence-decls settings table-of-content
    title tracked-changes user-field-decls variable-decls alphabetical-index illustration-index
    table-index object-index user-index object-ole
"""
_SILENT = frozenset(_SILENT_TAGS.split())
_FURNITURE = frozenset(("header", "footer", "date-time", "page-number", "page"))
_TITLE_STYLES = ("Title", "Titre")
_SIGNS = {"tab": "\t", "line-break": "\n"}
_MOST_SPACES = 100
_FIRST_LEVEL = 1


def read_styles(*roots: etree._Element | None) -> dict[str, int]:
    """Return the heading level of every paragraph style that has one, by its name.

    Args:
        roots: Roots of the parts that define styles.
    """
    nodes = {
        attribute(node, "name"): node
        for root in roots
        for node in (() if root is None else root.iter())
        if local_name(node) == "style" and attribute(node, "family") == "paragraph"
    }
    levels = {name: _level(name, nodes) for name in nodes}
    return {name: level for name, level in levels.items() if level}


def _level(name: str, nodes: Mapping[str, etree._Element]) -> int:
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        node = nodes.get(name)
        shown = name if node is None else attribute(node, "display-name")
        if name in _TITLE_STYLES or shown in _TITLE_STYLES:
            return _FIRST_LEVEL
        if node is None:
            break
        outline = attribute(node, "default-outline-level")
        if outline.isdigit():
            return int(outline)
        name = attribute(node, "parent-style-name")
    return 0


class FlowReader:
    """Adds what it finds to a builder."""

    def __init__(self, builder: ElementBuilder, levels: Mapping[str, int]) -> None:
        """Keep what is needed.

        Args:
            builder: Where elements go.
            levels: Heading levels of paragraph styles, from `read_styles`.
        """
        self.builder = builder
        self._levels = levels

    def read_blocks(self, parent: etree._Element, *, listed: bool = False) -> None:
        """Add the paragraphs, lists and tables below a node, however they are wrapped."""
        for node in parent:
            name = local_name(node)
            if name == "h":
                self._read_paragraph(node, level=_number(node, "outline-level", _FIRST_LEVEL))
            elif name == "p":
                level = 0 if listed else self._levels.get(attribute(node, "style-name"), 0)
                self._read_paragraph(node, level=level, listed=listed)
            elif name == "table":
                self._read_table(node)
            elif name not in _SILENT:
                self.read_blocks(node, listed=listed or name == "list")

    def read_slide(self, slide: etree._Element) -> None:
        """Add the title of a slide, then its shapes in order, then its notes."""
        shapes = [node for node in slide if attribute(node, "class") not in _FURNITURE]
        titles = [node for node in shapes if attribute(node, "class") == "title"]
        for shape in titles:
            text = "\n".join(_texts(shape))
            self.builder.add_heading(text, _FIRST_LEVEL)
        for shape in shapes:
            if local_name(shape) == "notes":
                for text in _texts(shape):
                    self.builder.add(ElementKind.NOTE, text)
            elif shape not in titles:
                self.read_blocks(shape)

    def _read_paragraph(
        self, paragraph: etree._Element, *, level: int = 0, listed: bool = False
    ) -> None:
        inline = _Inline()
        inline.read(paragraph)
        if level:
            self.builder.add_heading(inline.text(), level)
        else:
            kind = ElementKind.LIST_ITEM if listed else ElementKind.PARAGRAPH
            self.builder.add(kind, inline.text())
        for box in inline.boxes:
            self.read_blocks(box)
        for note in inline.notes:
            self.builder.add(ElementKind.NOTE, "\n".join(_texts(note)))

    def _read_table(self, table: etree._Element) -> None:
        rows = [list(_children(row, "table-cell")) for row in _children(table, "table-row")]
        every = list(chain.from_iterable(rows))
        if all(len(row) <= 1 for row in rows) or any(map(_holds_structure, every)):
            for cell in every:
                self.read_blocks(cell)
            return
        header = ""
        for position, row in enumerate(rows):
            cells = ["\n".join(_texts(cell)) for cell in row]
            self.builder.add_row(cells, header=header)
            if position == 0 and len(rows) > 1 and looks_like_header(cells):
                header = join_cells(cells)


class _Inline:
    """The text of one paragraph, and what it anchors."""

    def __init__(self) -> None:
        self.boxes: list[etree._Element] = []
        self.notes: list[etree._Element] = []
        self._pieces: list[str] = []

    def read(self, parent: etree._Element) -> None:
        self._pieces.append(parent.text or "")
        for node in parent:
            self._read_node(node)
            self._pieces.append(node.tail or "")

    def text(self) -> str:
        return "".join(self._pieces)

    def _read_node(self, node: etree._Element) -> None:
        name = local_name(node)
        if name in _SIGNS:
            self._pieces.append(_SIGNS[name])
        elif name == "s":
            self._pieces.append(" " * min(_number(node, "c", 1), _MOST_SPACES))
        elif name == "note":
            self.notes += [child for child in node if local_name(child) == "note-body"]
        elif name in ("frame", "custom-shape", "g", "rect", "line"):
            self.boxes.append(node)
        elif name and name not in _SILENT:
            self.read(node)


def cell_paragraphs(cell: etree._Element) -> str:
    """Return the text of a spreadsheet's cell, its comments left out."""
    return "\n".join(_texts(cell))


def _texts(parent: etree._Element) -> Iterator[str]:
    """Yield the texts of all paragraphs below a node, those of boxes and nested tables included."""
    for node in parent:
        name = local_name(node)
        if name in ("p", "h"):
            inline = _Inline()
            inline.read(node)
            yield inline.text()
            for anchored in (*inline.boxes, *inline.notes):
                yield from _texts(anchored)
        elif name not in _SILENT:
            yield from _texts(node)


def _children(parent: etree._Element, wanted: str) -> Iterator[etree._Element]:
    """Yield the nearest nodes of a name, looking through groups of rows but not into cells."""
    for node in parent:
        name = local_name(node)
        if name == wanted:
            yield node
        elif name.startswith("table-") and name != "table-cell":
            yield from _children(node, wanted)


def _holds_structure(cell: etree._Element) -> bool:
    return any(local_name(node) in ("table", "h") for node in cell.iter())


def _number(node: etree._Element, name: str, default: int) -> int:
    text = attribute(node, name)
    return int(text) if text.isdigit() else default
