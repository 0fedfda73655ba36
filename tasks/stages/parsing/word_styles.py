"""Which paragraph styles of a Word document are headings or list items.

Invariant: a chain of styles that refers to itself ends.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
        number: The list that it belongs to, its numId; empty for none.
        depth: Its level in that list, from 0.
    """

    level: int = 0
    number: str = ""
    depth: int = 0


_BODY = ParagraphStyle()


def read_styles(
    root: etree._Element | None, depths: Mapping[str, int]
) -> dict[str, ParagraphStyle]:
    """Return the styles of a styles part by their ids.

    Args:
        root: The part, None when there is none.
        depths: Level of a list that a style belongs to, where the list says so.
    """
    nodes: dict[str, etree._Element] = {}
    for node in () if root is None else root:
        if local_name(node) == "style":
            nodes[attribute(node, "styleId")] = node
    return {key: _style(key, nodes, depths) for key in nodes}


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


def _style(key: str, nodes: dict[str, etree._Element], depths: Mapping[str, int]) -> ParagraphStyle:
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
        style = replace(style, depth=depths.get(attribute(node, "styleId"), style.depth))
    return style


def _named(base: ParagraphStyle, node: etree._Element) -> ParagraphStyle:
    name = next((attribute(child, "val") for child in node if local_name(child) == "name"), "")
    if match := _HEADING.fullmatch(name.strip()):
        return replace(base, level=int(match[1]))
    if name.strip().lower() in _TITLE:
        return replace(base, level=1)
    return base


def _with_properties(base: ParagraphStyle, properties: etree._Element) -> ParagraphStyle:
    level, number, depth = base.level, base.number, base.depth
    for node in properties:
        name = local_name(node)
        if name == "outlineLvl" and attribute(node, "val").isdigit():
            outline = int(attribute(node, "val")) + 1
            level = outline if outline <= _DEEPEST else 0
        elif name == "numPr":
            for child in node:
                value = attribute(child, "val")
                if local_name(child) == "numId":
                    number = "" if value == "0" else value
                elif local_name(child) == "ilvl" and value.isdecimal():
                    depth = int(value)
    return ParagraphStyle(level=level, number=number, depth=depth)
