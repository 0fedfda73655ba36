"""Which candidates become hits: bounds, repetitions, and how many; pure.

Invariant: candidates come in and go out best first; a quotation always passes the bound on
similarity.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
    vectors: Vectors | None = None
    per_document: Counter[str] = Counter()
    for candidate, vector in _with_vectors(candidates, options):
        uri = uri_of(candidate)
        if vectors is None:
            vectors = np.empty((options.most, len(vector)), np.float32)
        same = _same_as(candidate, uri, kept, vectors[: len(kept)] @ vector, options)
        if same is not None:
            if uri != same.uri and uri not in same.also_in:
                same.also_in.append(uri)
            continue
        if options.per_document is not None and per_document[uri] == options.per_document:
            continue
        per_document[uri] += 1
        vectors[len(kept)] = vector
        kept.append(Chosen(candidate, uri))
        if len(kept) == options.most:
            break
    if options.adaptive is None:
        return kept
    cosines = [each.candidate.dense or 0.0 for each in kept]
    return kept[: adaptive_k(cosines, options.k, options.adaptive)]


def _with_vectors(
    candidates: Sequence[Candidate], options: SearchOptions
) -> Iterator[tuple[Candidate, Vectors]]:
    """Yield candidates above the bound with their vectors, which are read some at a time."""
    passing = [each for each in candidates if _passes(each, options.min_score)]
    for start in range(0, len(passing), options.most):
        block = passing[start : start + options.most]
        vectors: dict[int, Vectors] = {}
        for shard in {id(each.shard): each.shard for each in block}.values():
            of_shard = [each for each in block if each.shard is shard]
            rows = shard.reader.vectors_of([each.row for each in of_shard])
            vectors |= {id(each): row for each, row in zip(of_shard, rows, strict=True)}
        for each in block:
            yield each, vectors[id(each)]


def _passes(candidate: Candidate, min_score: float | None) -> bool:
    if min_score is None or candidate.verbatim:
        return True
    return candidate.dense is not None and candidate.dense >= min_score


def _same_as(
    candidate: Candidate,
    uri: str,
    kept: Sequence[Chosen],
    cosines: Vectors,
    options: SearchOptions,
) -> Chosen | None:
    """Return the hit that says the same already, or None."""
    if not kept or cosines.max() < NEAR_COSINE:
        return None
    alike: list[int] = np.flatnonzero(cosines >= NEAR_COSINE).tolist()
    text = candidate.shard.chunks.text(candidate.row)
    for place in alike:
        other = kept[place]
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
