"""XML of any vocabulary: titles become headings, records keep the names of their fields.

Invariants: nothing outside the document is read; of entities only those are put in that the
document defines itself, and only as far as libxml2's bound on their growth.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from tasks.stages.parsing.archive import attribute, local_name, parse_xml
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.web import read_page

_TITLES = frozenset(("title", "titre", "head", "heading", "titreta", "intitule", "caption"))
_LABELS = ("title", "titre", "num", "number", "label")
"""Attributes that name what stands below their element."""
_LONGEST_TITLE = 300
_LONGEST_FIELD = 200
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_MARKUP = re.compile(
    r"</?(?:p|br|div|span|a|b|i|em|strong|ul|ol|li|h[1-6]|table|img)(?:\s[^<>]*)?/?>"
)
_DEEPEST_LEVEL = 6


def parse_markup(path: Path) -> ParsedDocument:
    """Parse an .xml file.

    Raises:
        ParseRefused: It is not well-formed, nested too deeply, or swells.
    """
    data = path.read_bytes()
    builder = ElementBuilder()
    root = _root(data, builder)
    _Reader(builder).read(root, level=0)
    return builder.build()


def add_text(builder: ElementBuilder, text: str, *, level: int) -> None:
    """Add a text that may hold HTML, as feeds and exports have it.

    Args:
        builder: Where it goes.
        text: The text.
        level: Level of the heading that it stands under, 0 for none.
    """
    if _MARKUP.search(text):
        builder.include(read_page(text), below=level)
    else:
        builder.add(ElementKind.PARAGRAPH, text)


def _root(data: bytes, builder: ElementBuilder) -> etree._Element:
    try:
        return parse_xml(data, "document", declared=True, entities=True)
    except ParseRefused as refusal:
        if "ncoding" not in refusal.detail and "UTF-8" not in refusal.detail:
            raise
    decoded = decode(data)
    builder.warn("the encoding is not the one that the document declares")
    text = _DECLARATION.sub("", decoded.text)
    return parse_xml(text.encode(), "document", declared=True, entities=True)


class _Reader:
    def __init__(self, builder: ElementBuilder) -> None:
        self._builder = builder

    def read(self, node: etree._Element, *, level: int) -> None:
        """Add what stands in and below a node.

        Args:
            node: The node.
            level: Level of the heading that it stands under, 0 for none.
        """
        children = [child for child in node if local_name(child)]
        inner = self._add_label(node, level) if children else level
        if not children:
            self._add(node, level=level)
        elif _is_mixed(node):
            self._add(node, level=inner)
        else:
            self._read_children(children, inner)

    def _read_children(self, children: list[etree._Element], level: int) -> None:
        """Add children in order; what follows a title stands under it."""
        fields: list[etree._Element] = []
        below = level
        for position, child in enumerate(children):
            if _is_title(child) and position + 1 < len(children):
                self._add_fields(fields)
                self._builder.add_heading("".join(_texts(child)), min(level + 1, _DEEPEST_LEVEL))
                below = level + 1
            elif _is_field(child):
                fields.append(child)
            else:
                self._add_fields(fields)
                self.read(child, level=below)
        self._add_fields(fields)

    def _add_fields(self, fields: list[etree._Element]) -> None:
        """Add short fields side by side with their names; one alone needs none."""
        texts = [(local_name(field), (field.text or "").strip()) for field in fields]
        if len(texts) == 1:
            self._builder.add(ElementKind.PARAGRAPH, texts[0][1])
        else:
            joined = "; ".join(f"{name}: {text}" for name, text in texts)
            self._builder.add(ElementKind.PARAGRAPH, joined)
        fields.clear()

    def _add_label(self, node: etree._Element, level: int) -> int:
        """Add a heading of a node's own label; return the level of what stands below."""
        label = next((found for name in _LABELS if (found := attribute(node, name).strip())), "")
        if not label or not any(text.strip() for text in _texts(node)):
            return level
        words = label if " " in label else f"{local_name(node)} {label}"
        self._builder.add_heading(words, min(level + 1, _DEEPEST_LEVEL))
        return level + 1

    def _add(self, node: etree._Element, *, level: int) -> None:
        add_text(self._builder, "".join(_texts(node)), level=level)


def _is_title(node: etree._Element) -> bool:
    if local_name(node).lower() not in _TITLES:
        return False
    return 0 < len("".join(_texts(node)).strip()) <= _LONGEST_TITLE


def _is_field(node: etree._Element) -> bool:
    text = (node.text or "").strip()
    return 0 < len(text) <= _LONGEST_FIELD and not len(node) and not _MARKUP.search(text)


def _is_mixed(node: etree._Element) -> bool:
    own = (node.text, *(child.tail for child in node))
    return any(text and text.strip() for text in own)


def _texts(node: etree._Element) -> Iterator[str]:
    """Yield the texts below a node, comments and instructions left out."""
    yield node.text or ""
    for child in node:
        if local_name(child):
            yield from _texts(child)
        yield child.tail or ""
