"""The JSON that goes out: hits, errors and states; pure.

Documents are data: their text leaves here as JSON strings and nowhere as markup.
"""

from collections.abc import Sequence

from index_store.records import Hit
from retriever.history import PastVersion
from retriever.links import LinkOptions, link
from retriever.states import CollectionState, StoreState

Json = dict[str, object]

SECTION_SEPARATOR = " › "  # between the headings of a section path


def hits_json(
    version: str, collection: str, mode: str, took_ms: float, hits: Sequence[Json]
) -> Json:
    """Return the body of a search's answer."""
    return {
        "version": version,
        "collection": collection,
        "mode": mode,
        "took_ms": round(took_ms, 3),
        "hits": list(hits),
    }


def hit_json(hit: Hit, links: LinkOptions) -> Json:
    """Return one hit; a field that its format does not have is null."""
    place, known = hit.citation, hit.attributes
    return {
        "score": hit.score,
        "scores": {
            "dense": hit.parts.dense,
            "lexical": hit.parts.lexical,
            "fused": hit.parts.fused,
            "rerank": hit.parts.rerank,
        },
        "uri": hit.uri,
        "url": hit_url(hit, links),
        "title": known.title or None,
        "date": known.date or None,
        "language": known.language or None,
        "page": place.page,
        "slide": place.slide,
        "sheet": place.sheet,
        "row_start": place.row_start,
        "row_end": place.row_end,
        "section": SECTION_SEPARATOR.join(place.section) or None,
        "text": hit.text,
        "context": hit.context or None,
        "chunk": hit.chunk,
        "verbatim": hit.verbatim,
        "also_in": list(hit.also_in),
    }


def hit_url(hit: Hit, links: LinkOptions) -> str | None:
    """Return where a person finds the document: what a sidecar says, if it is a web address."""
    said = hit.attributes.url
    if said.lower().startswith(("http://", "https://")):
        return said
    return link(links, hit.uri, hit.citation.page)


def error_json(
    message: str, kind: str, *, request_id: str, param: str | None = None, code: str | None = None
) -> Json:
    """Return the body of every answer that is not a success."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": {**error, "request_id": request_id}}


def version_headers(version: str, published_at_ms: int, now_ms: int) -> dict[str, str]:
    """Return the headers that say which version answered, and how many seconds old it is."""
    age_s = max(0, now_ms - published_at_ms) // 1000
    return {"X-Index-Version": version, "X-Index-Age": str(age_s)}


def status_json(state: StoreState, now_ms: int) -> Json:
    """Return the body of `/status`."""
    return {
        "ready": state.not_ready is None,
        "reason": state.not_ready,
        "store_error": state.error,
        "collections": [_collection_json(each, now_ms) for each in state.collections],
    }


def versions_json(state: CollectionState, versions: Sequence[PastVersion], now_ms: int) -> Json:
    """Return the body of a collection's list of versions, newest first; figures, no names."""
    return {
        "collection": state.name,
        "served": state.version,
        "age_s": _seconds_since(state.published_at_ms, now_ms),
        "versions": [
            {
                "version": each.version,
                "parent": each.parent,
                "published_at_ms": each.published_at_ms,
                "channels": list(each.channels),
                "pins": list(each.pins),
                "embedder": each.embedder,
                "documents": each.counts.documents,
                "chunks": each.counts.chunks_live,
                "changes": dict(each.changes),
            }
            for each in versions
        ],
    }


def _collection_json(state: CollectionState, now_ms: int) -> Json:
    return {
        "name": state.name,
        "version": state.version,
        "wanted": state.wanted,
        "published_at_ms": state.published_at_ms,
        "age_s": _seconds_since(state.published_at_ms, now_ms),
        "opened_at_ms": state.opened_at_ms,
        "rows": state.rows,
        "documents": state.documents,
        "embedder": state.embedder,
        "checked_s_ago": _seconds_since(state.checked_at_ms, now_ms),
        "error": state.error,
        "reason": None if state.reason is None else state.reason.value,
        "error_at_ms": state.error_at_ms,
        "swaps": {
            "done": state.swaps.done,
            "failed": state.swaps.failed,
            "fallbacks": state.swaps.fallbacks,
            "seconds": round(state.swaps.seconds, 3),
        },
    }


def _seconds_since(then_ms: int | None, now_ms: int) -> float | None:
    return None if then_ms is None else max(0, now_ms - then_ms) / 1000
