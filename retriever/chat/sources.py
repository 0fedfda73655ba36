"""Hits as numbered sources, one per document, and how they are written for people; pure.

Documents are data: what is written here is escaped, so that neither a file name nor a text becomes
markup, a link or an instruction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index_store.records import Hit
from retriever.answers import SECTION_SEPARATOR, Json, hit_url
from retriever.links import LinkOptions

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~])")
# What Markdown makes a link of without being asked: addresses, hosts and mailboxes.
_LINKED = re.compile(r"(?<=[a-zA-Z])(?=://)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
# Invisible and direction-changing characters, with which a text can say other than it shows.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that an answer may cite.

    Attributes:
        number: How it is cited, from 1.
        name: Its title, or its path.
        uri: Name of the document.
        url: Where a person finds it, or None.
        hits: Its hits, best first.
    """

    number: int
    name: str
    uri: str
    url: str | None
    hits: tuple[Hit, ...]


def number_sources(hits: Sequence[Hit], links: LinkOptions) -> tuple[Source, ...]:
    """Group hits by document, numbered in the order of their best hit."""
    grouped: dict[str, list[Hit]] = {}
    for hit in hits:
        grouped.setdefault(hit.uri, []).append(hit)
    return tuple(
        Source(
            number=number,
            name=uri,
            uri=uri,
            url=_document_url(group[0], links),
            hits=tuple(group),
        )
        for number, (uri, group) in enumerate(grouped.items(), start=1)
    )


def place_of(hit: Hit) -> str:
    """Return where a hit stands, in words that need no translation: p. 3, § Title, sheet."""
    cited, parts = hit.citation, []
    if cited.page is not None:
        parts.append(f"p. {cited.page}")
    if cited.slide is not None:
        parts.append(f"slide {cited.slide}")
    if cited.sheet is not None:
        parts.append(cited.sheet)
    if cited.section:
        parts.append(SECTION_SEPARATOR.join(cited.section))
    return ", ".join(parts)


def source_event(source: Source) -> Json:
    """Return a source as Open WebUI's event: one entry of metadata per hit, pages from 0."""
    identity = source.url or source.uri
    metadata: list[Json] = []
    for hit in source.hits:
        entry: Json = {
            "source": identity,
            "source_url": source.url,
            "name": source.name,
            "external": True,
            "section": SECTION_SEPARATOR.join(hit.citation.section),
        }
        if hit.citation.page is not None:
            entry["page"] = hit.citation.page - 1
        metadata.append(entry)
    origin: Json = {"id": source.uri, "name": source.name}
    if source.url:
        origin["url"] = source.url
    return {
        "type": "source",
        "data": {
            "source": origin,
            "document": [visible(hit.text) for hit in source.hits],
            "metadata": metadata,
            "distances": [round(_similarity(hit), 4) for hit in source.hits],
        },
    }


def _similarity(hit: Hit) -> float:
    """Return a number in [-1, 1]: one that is not there hides the relevance of all sources."""
    if -1.0 <= hit.score <= 1.0 or hit.parts.dense is None:
        return max(-1.0, min(1.0, hit.score))
    return hit.parts.dense


def status_event(description: str, *, done: bool) -> Json:
    """Return a status line as Open WebUI's event."""
    return {"type": "status", "data": {"description": description, "done": done, "hidden": False}}


def sources_markdown(sources: Sequence[Source], heading: str) -> str:
    """Return a numbered list of sources for clients that show no events; empty without sources."""
    if not sources:
        return ""
    lines = [f"### {heading}"]
    for source in sources:
        name = escape_markdown(source.name)
        shown = f"[{name}](<{source.url}>)" if source.url else name
        places = "; ".join(dict.fromkeys(filter(None, map(place_of, source.hits))))
        lines.append(f"{source.number}. {shown}{' – ' + escape_markdown(places) if places else ''}")
    return "\n".join(lines)


def visible(text: str) -> str:
    """Return a text without characters that nobody sees."""
    return _INVISIBLE.sub("", text)


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line, with no link in it."""
    escaped = _MARKUP.sub(r"\\\1", " ".join(visible(text).split()))
    return _LINKED.sub(r"\\", escaped)


def _document_url(hit: Hit, links: LinkOptions) -> str | None:
    url = hit_url(hit, links)
    return None if url is None else url.split("#page=")[0].replace(">", "%3E")
