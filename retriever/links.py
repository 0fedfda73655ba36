"""Links from hits to the documents on a file server; pure.

Invariants: a link never leads out of the served folder; every part of the path is percent-encoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Where documents are served.

    Attributes:
        base_url: Address of the served folder; empty makes no links.
        prefix: Path from the served folder to the only source, without slashes around it.
        prefixes: The same for each of several sources, by the first part of their uris; a source
            that is not in it is not served.
    """

    base_url: str = ""
    prefix: str = ""
    prefixes: Mapping[str, str] = field(default_factory=dict)


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
    prefix, name = options.prefix, uri
    if options.prefixes:
        label, _, name = uri.partition("/")
        if label not in options.prefixes:
            return None
        prefix = options.prefixes[label]
    path = "/".join(part for part in (prefix, name) if part)
    anchor = "" if page is None else f"#page={page}"
    return f"{options.base_url.rstrip('/')}/{quote(path)}{anchor}"
