"""The order of hits: verbatim quotations first, then by score; pure."""

import unicodedata
from collections.abc import Iterable

from index_store.records import Hit

MIN_VERBATIM_CHARS = 20  # shorter questions stand in many texts by chance


def fold_text(text: str) -> str:
    """Return `text` without differences of case, compatibility forms and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def is_verbatim(folded_question: str, text: str) -> bool:
    """Tell whether a text holds a whole question, which is folded and long enough."""
    return folded_question in fold_text(text)


def verbatim_first(hits: Iterable[Hit]) -> list[Hit]:
    """Move verbatim hits to the front; each group keeps its order."""
    return sorted(hits, key=lambda hit: not hit.verbatim)


def first_unique(hits: Iterable[Hit], k: int) -> list[Hit]:
    """Return the first `k` hits without repetitions of uri and text; reads no further."""
    kept: list[Hit] = []
    seen: set[tuple[str, str]] = set()
    for hit in hits:
        if (hit.uri, hit.text) in seen:
            continue
        seen.add((hit.uri, hit.text))
        kept.append(hit)
        if len(kept) == k:
            break
    return kept
