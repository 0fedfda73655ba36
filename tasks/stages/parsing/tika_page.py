"""The XHTML that an Apache Tika server answers with: pages and slides keep their numbers."""

from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.web import read_page

_PAGES = "div.page"
_SLIDES = "div.slide-content"


def parse_tika_page(path: Path) -> ParsedDocument:
    """Parse the answer of a server.

    Raises:
        ParseRefused: It is nested too deeply.
    """
    page = path.read_text("utf-8", errors="replace")
    whole = read_page(page)
    tree = LexborHTMLParser(page)
    parts = [(node, "page") for node in tree.css(_PAGES)]
    parts = parts or [(node, "slide") for node in tree.css(_SLIDES)]
    if not parts:
        return whole
    builder = ElementBuilder()
    builder.describe(whole.attributes)
    builder.count_pages(len(parts))
    for number, (node, kind) in enumerate(parts, start=1):
        place = Place(page=number) if kind == "page" else Place(slide=number)
        builder.move_to(place)
        builder.include_here(read_page(node.html or ""))
    return builder.build(title=whole.attributes.title)
