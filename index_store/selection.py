"""Which candidates become hits: bounds, repetitions, and how many; pure.

Invariant: candidates come in and go out best first; a quotation always passes the bound on
similarity.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from index_store.candidates import Candidate
from index_store.embedder import Vectors
from index_store.quotations import fold_text
from index_store.search_options import AdaptiveK, Recency, SearchOptions

NEAR_COSINE = 0.95  # rows less alike than this are not compared word by word
NEAR_WORDS = 0.9  # share of words in common, from which two texts say the same
_UNDATED = 0.5  # what is left of the advantage for a document without a date

UriOf = Callable[[Candidate], str]
DateOf = Callable[[Candidate], str]


@dataclass(slots=True)
class Chosen:
    """A candidate that becomes a hit, and documents with a chunk of the same text."""

    candidate: Candidate
    uri: str
    vector: Vectors
    also_in: list[str] = field(default_factory=list)


def adaptive_k(cosines: Sequence[float], k: int, rule: AdaptiveK) -> int:
    """Return how many hits are shown.

    Args:
        cosines: Cosine similarities of the hits, best hit first.
        k: The least number.
        rule: How it grows.

    Returns:
        `k`, or more when fewer than `rule.enough` of the first `k` are good.
    """
    shown = k
    while shown < min(rule.most, len(cosines)):
        if sum(cosine >= rule.good_score for cosine in cosines[:shown]) >= rule.enough:
            break
        shown += rule.step
    return min(shown, rule.most)


def with_recency(
    candidates: Sequence[Candidate], recency: Recency, date_of: DateOf
) -> list[Candidate]:
    """Lower the scores of older documents and sort anew."""
    today = date.fromisoformat(recency.today)
    for candidate in candidates:
        left = _advantage(date_of(candidate), today, recency.half_life_days)
        factor = 1.0 - recency.weight * (1.0 - left)
        # A negative score must fall with age too.
        candidate.score *= factor if candidate.score >= 0.0 else 2.0 - factor
    return sorted(candidates, key=lambda each: (not each.verbatim, -each.score))


def select(candidates: Sequence[Candidate], options: SearchOptions, uri_of: UriOf) -> list[Chosen]:
    """Choose the hits.

    Args:
        candidates: Best first.
        options: The bounds.
        uri_of: Gives the name of a candidate's document.

    Returns:
        At most `options.most`; a text of one document only once.
    """
    kept: list[Chosen] = []
    most, least = options.most, options.min_score
    passing = candidates if least is None else [each for each in candidates if _passes(each, least)]
    per_document: Counter[str] = Counter()
    vectors: list[Vectors] = []
    for start in range(0, len(passing), most):
        block = passing[start : start + most]
        rows = _vectors_of(block)
        alike = _alike(rows, vectors)
        for candidate, vector, near in zip(block, rows, alike, strict=True):
            uri = uri_of(candidate)
            same = _same_as(candidate, uri, kept, options) if near else None
            if same is not None:
                if uri != same.uri and uri not in same.also_in:
                    same.also_in.append(uri)
                continue
            if options.per_document is not None and per_document[uri] == options.per_document:
                continue
            per_document[uri] += 1
            kept.append(Chosen(candidate, uri, vector))
            if len(kept) == most:
                return _as_many_as_asked(kept, options)
        vectors = [each.vector for each in kept]
    return _as_many_as_asked(kept, options)


def _as_many_as_asked(kept: list[Chosen], options: SearchOptions) -> list[Chosen]:
    if options.adaptive is None:
        return kept
    cosines = [each.candidate.dense or 0.0 for each in kept]
    return kept[: adaptive_k(cosines, options.k, options.adaptive)]


def _vectors_of(block: Sequence[Candidate]) -> Vectors:
    """Return the vectors of candidates, in their order."""
    shards = {id(each.shard): each.shard for each in block}
    if len(shards) == 1:
        return block[0].shard.reader.vectors_of([each.row for each in block])
    rows: dict[int, Vectors] = {}
    for shard in shards.values():
        of_shard = [each for each in block if each.shard is shard]
        found = shard.reader.vectors_of([each.row for each in of_shard])
        rows |= {id(each): row for each, row in zip(of_shard, found, strict=True)}
    return np.stack([rows[id(each)] for each in block])


def _alike(block: Vectors, kept: Sequence[Vectors]) -> list[bool]:
    """Tell which rows have one as good as the same before them, in the block or among the kept."""
    cosines = block @ block.T
    cosines.ravel()[:: len(block) + 1] = 0.0  # its diagonal
    if not kept and cosines.max() < NEAR_COSINE:
        return [False] * len(block)
    closest = np.tril(cosines).max(axis=1)
    if kept:
        closest = np.maximum(closest, (block @ np.stack(kept).T).max(axis=1))
    near: list[bool] = (closest >= NEAR_COSINE).tolist()
    return near


def _passes(candidate: Candidate, min_score: float) -> bool:
    if candidate.verbatim:
        return True
    return candidate.dense is not None and candidate.dense >= min_score


def _same_as(
    candidate: Candidate, uri: str, kept: Sequence[Chosen], options: SearchOptions
) -> Chosen | None:
    """Return the hit that says the same already, or None."""
    text = candidate.shard.chunks.text(candidate.row)
    vector = candidate.shard.reader.vectors_of([candidate.row])[0]
    for other in kept:
        if float(other.vector @ vector) < NEAR_COSINE:
            continue
        said = other.candidate.shard.chunks.text(other.candidate.row)
        if said == text:
            if uri == other.uri or not options.near_duplicates:
                return other
        elif not options.near_duplicates and _words_alike(said, text):
            return other
    return None


def _words_alike(one: str, other: str) -> bool:
    """Tell whether two texts have nearly all words in common; another number says another thing."""
    ones, others = Counter(fold_text(one).split()), Counter(fold_text(other).split())
    either, both = ones | others, ones & others
    if any(any(map(str.isdigit, word)) for word in either - both):
        return False
    return both.total() >= NEAR_WORDS * either.total()


def _advantage(day: str, today: date, half_life_days: float) -> float:
    try:
        age_days = (today - date.fromisoformat(day)).days
    except ValueError:
        return _UNDATED
    return float(0.5 ** (max(0, age_days) / half_life_days))
