"""HTML: main content as headings, paragraphs, list items, table rows and code.

Invariants: scripts, styles and forms' controls never become text; the tree is walked without
recursion.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from index_store.attributes import DocumentAttributes
from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.page_head import describe_page
from tasks.stages.parsing.refusal import ParseRefused

_HEAD_BYTES = 4096
_CHARSET = re.compile(
    rb"(?:charset|encoding)\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{2,40})", re.IGNORECASE
)
_DATA_URI = re.compile(r"data:[a-z/+.-]{0,60};base64,[A-Za-z0-9+/=\s]{200,}", re.IGNORECASE)

_LONG_PAGE = 100_000
_DEEPEST = 10_000
_NESTING_TAG = re.compile(
    r"<(/?)(?:a|article|b|blockquote|center|div|em|font|form|i|ol|section|small|span|strong|table|ul)"
    r"(?=[\s>])",
    re.IGNORECASE,
)
_TEXT = "-text"
_SILENT_TAGS = """
    script style noscript template head title iframe object embed svg canvas audio video map
    select button input textarea datalist dialog -comment -cdata
"""
_SILENT = frozenset(_SILENT_TAGS.split())
_BOILERPLATE = frozenset(("nav", "footer", "aside"))
_BOILERPLATE_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "complementary"))
_INLINE_TAGS = """
    a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr q rp
    rt ruby s samp small span strike strong sub sup time tt u var wbr
"""
_INLINE = frozenset(_INLINE_TAGS.split())
_STRUCTURE = "table, h1, h2, h3, h4"
_MAIN = "main, [role=main]"
_MAIN_SHARE = 0.25
"""Less text than this share of the page is not its main content."""

_Context = tuple[ElementKind, int]
_PLAIN: _Context = (ElementKind.PARAGRAPH, 0)
_CONTEXTS: dict[str, _Context] = {
    **{f"h{level}": (ElementKind.HEADING, level) for level in range(1, 7)},
    "li": (ElementKind.LIST_ITEM, 0),
    "dt": (ElementKind.LIST_ITEM, 0),
    "dd": (ElementKind.LIST_ITEM, 0),
    "pre": (ElementKind.CODE, 0),
    "table": _PLAIN,
    "ul": _PLAIN,
    "ol": _PLAIN,
}


def parse_html(path: Path) -> ParsedDocument:
    """Parse an .html, .htm or .xhtml file.

    Raises:
        ParseRefused: The file is no text.
    """
    data = path.read_bytes()
    declared = _CHARSET.search(data[:_HEAD_BYTES])
    decoded = decode(data, declared=declared[1].decode("ascii") if declared else "")
    return read_page(decoded.text, warnings=decoded.warnings)


def read_page(page: str, *, warnings: Iterable[str] = ()) -> ParsedDocument:
    """Return what a page of HTML says, boilerplate left out where there is more.

    Args:
        page: Markup of a whole page or of a part.
        warnings: Notes on how it was decoded.

    Raises:
        ParseRefused: It is nested too deeply.
    """
    text = _DATA_URI.sub("", page.replace("\0", ""))
    if len(text) > _LONG_PAGE and _depth(text) > _DEEPEST:
        raise ParseRefused(Reason.TOO_LARGE, "nested too deeply")
    tree = LexborHTMLParser(text)
    body = tree.body or tree.root
    if body is None:
        raise ParseRefused(Reason.CORRUPT, "no HTML tree comes out")
    attributes = describe_page(tree)
    whole = _walk(body, attributes, warnings, whole=True)
    for root in (tree.css_first(_MAIN), body):
        if root is not None:
            part = _walk(root, attributes, warnings, whole=False)
            if _size(part) >= _MAIN_SHARE * _size(whole):
                return part
    return whole


def _depth(text: str) -> int:
    """Return how deep elements are nested, those left out that need no end tag.

    Building a tree takes time that grows with the square of its depth.
    """
    deepest = depth = 0
    for match in _NESTING_TAG.finditer(text):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _walk(
    root: LexborNode, attributes: DocumentAttributes, warnings: Iterable[str], *, whole: bool
) -> ParsedDocument:
    walker = _Walker(whole=whole)
    for warning in warnings:
        walker.builder.warn(warning)
    _visit(root, walker)
    walker.flush()
    walker.builder.describe(attributes)
    return walker.builder.build(title=attributes.title)


def _visit(root: LexborNode, walker: "_Walker") -> None:
    """Walk a tree in order; what is open waits on a list, so that depth costs no recursion."""
    opened: list[LexborNode] = []
    node: LexborNode | None = root
    while node is not None:
        if walker.enter(node):
            opened.append(node)
            following = node.child
        else:
            following = node.next if opened else None
        while following is None and opened:
            closed = opened.pop()
            walker.leave(closed)
            following = closed.next if opened else None
        node = following


def _size(parsed: ParsedDocument) -> int:
    return sum(len(element.text) for element in parsed.elements)


class _Walker:
    """Takes elements as they open and close, and adds the pieces that are complete."""

    def __init__(self, *, whole: bool) -> None:
        self.builder = ElementBuilder()
        self._whole = whole
        self._pieces: list[str] = []
        self._contexts: list[_Context] = [_PLAIN]

    def enter(self, node: LexborNode) -> bool:
        """Open a node; return whether it has to be closed, and its children are wanted."""
        tag = node.tag or ""
        if tag == _TEXT:
            self._pieces.append(node.text_content or "")
            return False
        if tag in _SILENT or self._is_unwanted(node, tag):
            return False
        if tag == "br":
            self._pieces.append("\n")
        elif tag == "table" and _is_data(node, rows := _rows(node)):
            self.flush()
            self._add_table(rows)
            return False
        elif tag not in _INLINE:
            self.flush()
            self._contexts.append(_CONTEXTS.get(tag, self._contexts[-1]))
        return True

    def leave(self, node: LexborNode) -> None:
        """Close an element that was entered."""
        if node.tag not in _INLINE and node.tag != "br":
            self.flush()
            self._contexts.pop()

    def flush(self) -> None:
        """Add the text that was gathered."""
        text = "".join(self._pieces)
        self._pieces = []
        kind, level = self._contexts[-1]
        if kind is ElementKind.HEADING:
            self.builder.add_heading(text, level)
        elif kind is ElementKind.CODE:
            self.builder.add_code(text)
        else:
            self.builder.add(kind, text)

    def _is_unwanted(self, node: LexborNode, tag: str) -> bool:
        if tag in _BOILERPLATE:
            return not self._whole
        attributes = node.attributes
        if not attributes:
            return False
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return True
        style = attributes.get("style")
        if style and "display:none" in style.replace(" ", "").lower():
            return True
        return not self._whole and attributes.get("role") in _BOILERPLATE_ROLES

    def _add_table(self, rows: list[list[LexborNode]]) -> None:
        header = ""
        for position, cells in enumerate(rows):
            texts = [_cell_text(cell) for cell in cells]
            self.builder.add_row(texts, header=header)
            named = all(cell.tag == "th" for cell in cells) or looks_like_header(texts)
            if position == 0 and len(rows) > 1 and len(cells) > 1 and named:
                header = join_cells(texts)


def _rows(table: LexborNode) -> list[list[LexborNode]]:
    """Return the cells of a table's own rows, not of tables inside."""
    groups = [node for node in table.iter() if node.tag in ("thead", "tbody", "tfoot")]
    rows = [row for group in (table, *groups) for row in group.iter() if row.tag == "tr"]
    return [[cell for cell in row.iter() if cell.tag in ("td", "th")] for row in rows]


def _is_data(table: LexborNode, rows: list[list[LexborNode]]) -> bool:
    """Tell a table of data from one that only lays out a page."""
    if table.attributes.get("role") in ("presentation", "none"):
        return False
    if all(len(cells) < 2 for cells in rows):
        return False
    return all(cell.css_first(_STRUCTURE) is None for cells in rows for cell in cells)


def _tag(node: LexborNode | None) -> str:
    return (node.tag or "") if node is not None else ""


def _cell_text(cell: LexborNode) -> str:
    pieces: list[str] = []
    for node in cell.traverse(include_text=True):
        if node.tag == _TEXT:
            if _tag(node.parent) not in _SILENT:
                pieces.append(node.text_content or "")
        elif node.tag not in _INLINE:
            pieces.append(" ")
    return "".join(pieces)
