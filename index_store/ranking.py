"""The order of hits: verbatim quotations first, then by score; pure."""

import unicodedata
from collections.abc import Iterable

from index_store.records import Hit

MIN_VERBATIM_CHARS = 20  # shorter questions stand in many texts by chance


def fold_text(text: str) -> str:
    """Return `text` without differences of case, compatibility forms and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def is_verbatim(folded_question: str, text: str) -> bool:
    """Tell whether a text holds a whole question; both are compared folded."""
    return len(folded_question) >= MIN_VERBATIM_CHARS and folded_question in fold_text(text)


def rank(hits: Iterable[Hit], k: int) -> list[Hit]:
    """Order hits and cut them off.

    Args:
        hits: In the order of their scores, best first.
        k: How many to return at most.

    Returns:
        Verbatim hits first, each group in the order given; of hits with the same uri and text the
        first.
    """
    ordered = sorted(hits, key=lambda hit: not hit.verbatim)
    unique = {(hit.uri, hit.text): hit for hit in reversed(ordered)}
    return [hit for hit in ordered if unique[hit.uri, hit.text] is hit][:k]
