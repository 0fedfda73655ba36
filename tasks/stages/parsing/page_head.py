"""What the head of an HTML page says of the page: title, language, address, day, keywords."""

from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser

from index_store.attributes import DocumentAttributes
from tasks.stages.sidecars.fields import day_of, listed

_DATES = (
    "article:modified_time",
    "article:published_time",
    "dcterms.modified",
    "dcterms.date",
    "dc.date",
    "date",
    "last-modified",
)
_ADDRESS_CHARS = 2000


def describe_page(tree: LexborHTMLParser) -> DocumentAttributes:
    """Return what a page declares; a language other than a plain tag counts as none."""
    title = tree.css_first("title")
    head = _meta(tree)
    language = ((tree.root.attributes.get("lang") if tree.root else "") or "").strip()[:2].lower()
    return DocumentAttributes(
        title=title.text() if title is not None else "",
        language=language if len(language) == 2 and language.isalpha() else "",
        url=_address(tree, head),
        date=next(filter(None, (day_of(head.get(name, "")) for name in _DATES)), ""),
        keywords=tuple(dict.fromkeys(listed(head.get("keywords", "")))),
    )


def _meta(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("head > meta[content]"):
        attributes = node.attributes
        name = attributes.get("name") or attributes.get("property") or attributes.get("http-equiv")
        if name:
            content = " ".join((attributes.get("content") or "").split())
            found.setdefault(name.lower(), content[:_ADDRESS_CHARS])
    return found


def _address(tree: LexborHTMLParser, head: Mapping[str, str]) -> str:
    link = tree.css_first("head > link[rel=canonical][href]")
    canonical = (link.attributes.get("href") or "").strip() if link is not None else ""
    addresses = (canonical, head.get("og:url", ""))
    return next((each for each in addresses if each.startswith(("http://", "https://"))), "")
