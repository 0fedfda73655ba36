"""Presentations: per slide the title, texts, tables, charts, diagrams and notes.

python-pptx opens the package and follows its relations; shapes are read from the XML, because
shapes of newer kinds wrapped in alternate content are missing from its lists.
Invariants: the title precedes the rest of its slide; slides are numbered as shown, from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree
from pptx import Presentation
from pptx.exc import PackageNotFoundError

from index_store.records import Reason
from tasks.stages.parsing.archive import attribute, local_name, open_package, parse_xml
from tasks.stages.parsing.builder import ElementBuilder, Place, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.transitional import openable

if TYPE_CHECKING:
    from pptx.slide import Slide

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("sldNum", "ftr", "dt", "hdr", "sldImg")
_BODIES = ("", "body", "obj", "subTitle")
_TEXTS = ("t", "v")
"""Nodes that hold text in charts and diagrams: runs, and cached values."""


def parse_pptx(path: Path) -> ParsedDocument:
    """Parse a .pptx, .pptm, .ppsx or .potx file.

    Raises:
        ParseRefused: It is damaged, encrypted or no presentation.
    """
    with open_package(path) as archive:
        try:
            presentation = Presentation(openable(archive, path))
        except (PackageNotFoundError, KeyError) as error:
            raise ParseRefused(Reason.CORRUPT, "a part of the presentation is missing") from error
    builder = ElementBuilder()
    for number, slide in enumerate(presentation.slides, start=1):
        builder.move_to(Place(slide=number))
        _SlideReader(builder, slide).read()
    return builder.build(title=presentation.core_properties.title or "")


class _SlideReader:
    def __init__(self, builder: ElementBuilder, slide: "Slide") -> None:
        self._builder = builder
        self._slide = slide

    def read(self) -> None:
        """Add the title, then all shapes in order, then the notes."""
        shapes = list(_shapes(self._slide.element))
        for shape in shapes:
            if _placeholder(shape) in _TITLES:
                self._builder.add_heading("\n".join(_paragraphs(shape)), 1)
        for shape in shapes:
            self._read_shape(shape)
        if self._slide.has_notes_slide:
            for shape in _shapes(self._slide.notes_slide.element):
                if _placeholder(shape) not in _FURNITURE:
                    for text in _paragraphs(shape):
                        self._builder.add(ElementKind.NOTE, text)

    def _read_shape(self, shape: etree._Element) -> None:
        placeholder = _placeholder(shape)
        if local_name(shape) == "graphicFrame":
            self._read_frame(shape)
        elif placeholder not in _TITLES and placeholder not in _FURNITURE:
            listed = placeholder is not None and placeholder in _BODIES
            for text in _paragraphs(shape):
                self._builder.add(ElementKind.LIST_ITEM if listed else ElementKind.PARAGRAPH, text)

    def _read_frame(self, frame: etree._Element) -> None:
        for node in frame.iter():
            name = local_name(node)
            if name == "tbl":
                self._read_table(node)
                return
            if name == "chart":
                self._read_part(attribute(node, "id"))
            elif name == "relIds":
                self._read_part(attribute(node, "dm"))

    def _read_table(self, table: etree._Element) -> None:
        rows = [node for node in table if local_name(node) == "tr"]
        header = ""
        for position, row in enumerate(rows):
            cells = [" ".join(_paragraphs(cell)) for cell in row if local_name(cell) == "tc"]
            self._builder.add_row(cells, header=header)
            if position == 0 and len(rows) > 1 and looks_like_header(cells):
                header = join_cells(cells)

    def _read_part(self, relation: str) -> None:
        """Add the texts of a chart or diagram, which live in a part of their own."""
        try:
            part = self._slide.part.related_part(relation)
        except KeyError:
            return
        texts: dict[str, None] = {}  # a chart repeats its categories for every series
        for node in parse_xml(part.blob, relation).iter():
            if local_name(node) in _TEXTS and node.text and not _is_number(node.text):
                texts.setdefault(node.text)
        for text in texts:
            self._builder.add(ElementKind.PARAGRAPH, text)


def _shapes(root: etree._Element) -> Iterator[etree._Element]:
    """Yield shapes in order, those of groups and of alternate content in their place."""
    for node in root:
        name = local_name(node)
        if name in ("sp", "cxnSp", "graphicFrame"):
            yield node
        elif name == "AlternateContent":
            yield from _shapes(next(iter(node), node))
        elif name in ("cSld", "spTree", "grpSp", "Choice"):
            yield from _shapes(node)


def _placeholder(shape: etree._Element) -> str | None:
    """Return the type of a placeholder, "" for a plain one, None for any other shape."""
    for node in shape.iter():
        name = local_name(node)
        if name == "ph":
            return attribute(node, "type")
        if name in ("txBody", "spPr"):
            return None
    return None


def _paragraphs(parent: etree._Element) -> Iterator[str]:
    for paragraph in parent.iter():
        if local_name(paragraph) != "p":
            continue
        pieces = []
        for node in paragraph.iter():
            name = local_name(node)
            if name == "t":
                pieces.append(node.text or "")
            elif name in ("br", "tab"):
                pieces.append("\n")
        yield "".join(pieces)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
