"""Which paragraph styles of a Word document are headings or list items.

Invariant: a chain of styles that refers to itself ends.
"""

import re
from dataclasses import dataclass

from lxml import etree

from tasks.stages.parsing.archive import attribute, local_name

_HEADING = re.compile(r"(?:heading|titre|überschrift|título|titolo|kop)\s*([1-9])", re.IGNORECASE)
_TITLE = ("title", "titre")
_DEEPEST = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagraphStyle:
    """What a style, or the properties of one paragraph, say.

    Attributes:
        level: Heading level from 1, or 0 for no heading.
        listed: Whether it belongs to a list.
    """

    level: int = 0
    listed: bool = False


_BODY = ParagraphStyle()


def read_styles(root: etree._Element | None) -> dict[str, ParagraphStyle]:
    """Return the styles of a styles part by their ids."""
    nodes: dict[str, etree._Element] = {}
    for node in () if root is None else root:
        if local_name(node) == "style":
            nodes[attribute(node, "styleId")] = node
    return {key: _style(key, nodes) for key in nodes}


def style_of(
    properties: etree._Element | None, styles: dict[str, ParagraphStyle]
) -> ParagraphStyle:
    """Return the style in force for a paragraph with these properties (its pPr)."""
    if properties is None:
        return _BODY
    base = _BODY
    for node in properties:
        if local_name(node) == "pStyle":
            base = styles.get(attribute(node, "val"), _BODY)
    return _with_properties(base, properties)


def _style(key: str, nodes: dict[str, etree._Element]) -> ParagraphStyle:
    """Resolve a style along its ancestors, the outermost first."""
    chain: list[etree._Element] = []
    seen: set[str] = set()
    while key in nodes and key not in seen:
        seen.add(key)
        chain.append(nodes[key])
        key = next((attribute(n, "val") for n in nodes[key] if local_name(n) == "basedOn"), "")
    style = _BODY
    for node in reversed(chain):
        style = _named(style, node)
        for child in node:
            if local_name(child) == "pPr":
                style = _with_properties(style, child)
    return style


def _named(base: ParagraphStyle, node: etree._Element) -> ParagraphStyle:
    name = next((attribute(child, "val") for child in node if local_name(child) == "name"), "")
    if match := _HEADING.fullmatch(name.strip()):
        return ParagraphStyle(level=int(match[1]))
    if name.strip().lower() in _TITLE:
        return ParagraphStyle(level=1)
    return base


def _with_properties(base: ParagraphStyle, properties: etree._Element) -> ParagraphStyle:
    level, listed = base.level, base.listed
    for node in properties:
        name = local_name(node)
        if name == "outlineLvl" and attribute(node, "val").isdigit():
            outline = int(attribute(node, "val")) + 1
            level = outline if outline <= _DEEPEST else 0
        elif name == "numPr":
            numbers = [attribute(child, "val") for child in node if local_name(child) == "numId"]
            listed = numbers != ["0"]
    return ParagraphStyle(level=level, listed=listed)
