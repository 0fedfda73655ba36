"""Links from hits to the documents on a file server; pure.

Invariants: a link never leads out of the served folder; every part of the path is percent-encoded.
"""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Where documents are served.

    Attributes:
        base_url: Address of the served folder; empty makes no links.
        prefix: Path from the served folder to the source, without slashes around it.
    """

    base_url: str = ""
    prefix: str = ""


def link(options: LinkOptions, uri: str, page: int | None = None) -> str | None:
    """Return the address of a document.

    Args:
        options: Where documents are served.
        uri: Name of the document.
        page: 1-based page to open, or None.

    Returns:
        The address, or None when documents are not served or the name would leave the folder.
    """
    if not options.base_url or ".." in uri.split("/"):
        return None
    path = "/".join(part for part in (options.prefix, uri) if part)
    anchor = "" if page is None else f"#page={page}"
    return f"{options.base_url.rstrip('/')}/{quote(path)}{anchor}"
