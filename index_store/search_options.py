"""What can be asked of a version: the question, the way to search, who may see what; pure.

Invariants: frozen; checked when made, with every problem named; the defaults show nobody a document
that is not open to everybody.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from index_store.embedder import Vectors
from index_store.errors import UsageError

DEFAULT_K = 5  # as the system taken over
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Retrieval(Enum):
    """What a search goes by."""

    DENSE = "dense"  # nearness of vectors
    LEXICAL = "lexical"  # words in common, by BM25
    HYBRID = "hybrid"  # both, with the weights of fusion.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        text: In the words of the person who asks; empty for a vector alone.
        vector: Its embedding, float32, shape (dimension,), of any length but zero; None when the
            search goes by words alone.
    """

    text: str = ""
    vector: Vectors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFilter:
    """Which documents may be found; every field that is given must agree.

    Of a field with several values one must agree. Values are compared without regard to case.

    Attributes:
        path_prefix: Beginning of the uri, such as a folder.
        sources: Names of sources: the first part of the uri, in a collection with several sources.
        document_types: Kinds of document, as the sidecar calls them.
        themes: Subjects, as the sidecar calls them.
        languages: Primary language tags such as "fr".
        media_types: What the content was found to be, such as "pdf".
        keywords: Words that describe the document.
        date_from: First day, YYYY-MM-DD; a document without a date does not pass.
        date_until: Last day, included.
        extra: Any other field of the sidecar, by name, with the values that agree.
    """

    path_prefix: str = ""
    sources: tuple[str, ...] = ()
    document_types: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    date_from: str = ""
    date_until: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the dates.

        Raises:
            UsageError: One is no day.
        """
        for name in ("date_from", "date_until"):
            value = getattr(self, name)
            if value and not _DAY.fullmatch(value):
                raise UsageError(f"{name} must be a day as YYYY-MM-DD, found {value!r}")


ANY_DOCUMENT = DocumentFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveK:
    """Show more hits when few of them are good; the index is searched once all the same.

    Attributes:
        good_score: Cosine similarity from which a hit is good, in [-1, 1].
        enough: Good hits that end the growing, at least 1.
        step: Hits added at a time, at least 1.
        most: Hits at most.
    """

    good_score: float
    enough: int = 5
    step: int = 5
    most: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Recency:
    """Prefer newer documents.

    Attributes:
        today: The day that ages are counted from, YYYY-MM-DD.
        half_life_days: Age at which half of the advantage is gone, above 0.
        weight: Share of a score that age can take away, in (0, 1].
    """

    today: str
    half_life_days: float = 365.0
    weight: float = 0.3


def growing_k(k: int, most: int, good_score: float) -> AdaptiveK | None:
    """Return how the number of hits grows until `k` of them are good, or None when it may not.

    Args:
        k: Hits that are shown in any case.
        most: Hits at most.
        good_score: Cosine similarity from which a hit is good, in [-1, 1].
    """
    if most == k:
        return None
    return AdaptiveK(good_score=good_score, enough=k, step=k, most=most)


def preferred_age(weight: float, half_life_days: float, today: str) -> Recency | None:
    """Return how newer documents are preferred, or None when age takes nothing away."""
    if weight == 0.0:
        return None
    return Recency(today=today, half_life_days=half_life_days, weight=weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How a version is searched.

    Attributes:
        k: Hits at most, at least 1; the least number when `adaptive` is given.
        retrieval: By vectors, by words, or by both.
        filter: Which documents may be found.
        groups: Groups of the person who asks; None when nothing is known of them, and then only
            documents that are open to everybody are found.
        all_groups: Whether rights are left aside. For gates and for an operator who may read the
            store anyway; never from a request.
        adaptive: Whether and how `k` grows.
        min_score: Least cosine similarity of a hit that is not a quotation, or None.
        per_document: Hits of one document at most, or None.
        near_duplicates: Whether chunks that say the same as a better one are shown.
        recency: How newer documents are preferred, or None.
        neighbours: Chunks of the same document joined on either side of a hit, in `Hit.context`.
    """

    k: int = DEFAULT_K
    retrieval: Retrieval = Retrieval.HYBRID
    filter: DocumentFilter = ANY_DOCUMENT
    groups: frozenset[str] | None = None
    all_groups: bool = False
    adaptive: AdaptiveK | None = None
    min_score: float | None = None
    per_document: int | None = None
    near_duplicates: bool = False
    recency: Recency | None = None
    neighbours: int = 0

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            UsageError: A number is out of its bounds; each one is named.
        """
        problems = [
            f"{name} must be at least {least}, found {value}"
            for name, value, least in (
                ("k", self.k, 1),
                ("per_document", 1 if self.per_document is None else self.per_document, 1),
                ("neighbours", self.neighbours, 0),
                ("adaptive.enough", self.adaptive.enough if self.adaptive else 1, 1),
                ("adaptive.step", self.adaptive.step if self.adaptive else 1, 1),
                ("adaptive.most", self.adaptive.most if self.adaptive else self.k, self.k),
            )
            if value < least
        ]
        if self.min_score is not None and not -1.0 <= self.min_score <= 1.0:
            problems.append(f"min_score must be in [-1, 1], found {self.min_score}")
        if self.adaptive is not None and not -1.0 <= self.adaptive.good_score <= 1.0:
            problems.append(f"good_score must be in [-1, 1], found {self.adaptive.good_score}")
        if self.recency is not None:
            problems += _recency_problems(self.recency)
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def needs_cosine(self) -> bool:
        """Whether the question's vector is needed even in a search by words."""
        return self.min_score is not None or self.adaptive is not None

    @property
    def most(self) -> int:
        """Hits at most, grown or not."""
        return self.k if self.adaptive is None else self.adaptive.most


def _recency_problems(recency: Recency) -> list[str]:
    problems = []
    if not _DAY.fullmatch(recency.today):
        problems.append(f"recency.today must be a day as YYYY-MM-DD, found {recency.today!r}")
    if recency.half_life_days <= 0:
        problems.append(f"recency.half_life_days must be above 0, found {recency.half_life_days}")
    if not 0.0 < recency.weight <= 1.0:
        problems.append(f"recency.weight must be in (0, 1], found {recency.weight}")
    return problems
