"""What a program asks a retriever, and what it gets back, as values; pure.

Invariant: fields that are not known here are left out, so that the answers of a newer retriever are
read too; what is known and of another kind is a problem with its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from index_store.fields import Fields, parse_object, raise_problems

Filter = Mapping[str, str | Sequence[str] | Mapping[str, Sequence[str]]]
Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChunk:
    """One hit of an answer.

    Attributes:
        text: The chunk, as it was embedded.
        score: What the hits are sorted by.
        scores: Its parts by name; only those that the search had.
        uri: Name of the document in its collection.
        chunk: Id of the chunk.
        url: Where a person finds the document, or None.
        title: Title of the document, or None.
        date: Its day, YYYY-MM-DD, or None.
        language: Its primary language tag, or None.
        page: 1-based page, or None.
        slide: 1-based slide, or None.
        sheet: Name of the sheet, or None.
        row_start: 1-based first row in the sheet, or None.
        row_end: Last row, included, or None.
        section: Headings that lead to it, or None.
        context: The chunk with its neighbours when they were asked for, or None.
        verbatim: Whether the question stands in it word for word.
    """

    text: str
    score: float
    scores: Mapping[str, float]
    uri: str
    chunk: str
    url: str | None = None
    title: str | None = None
    date: str | None = None
    language: str | None = None
    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    row_start: int | None = None
    row_end: int | None = None
    section: str | None = None
    context: str | None = None
    verbatim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """The answer to one search.

    Attributes:
        collection: The collection that answered.
        version: Its version, 64 hexadecimal characters.
        mode: What the search went by.
        hits: Best first.
    """

    collection: str
    version: str
    mode: str
    hits: tuple[FoundChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWish:
    """How to search; what is None or empty is left to the retriever.

    Attributes:
        collection: Which collection; needed when the store has several.
        k: Hits at most.
        mode: `dense`, `lexical` or `hybrid`.
        filter: Which documents may be found, by the fields of `POST /v1/search`.
        most_k: Hits at most while fewer than `k` of them are good.
        good_score: Cosine similarity from which a hit is good, in [-1, 1].
        recency: Share of a score that the age of a document takes away, in [0, 1].
        half_life_days: Age at which half of that is taken.
        min_score: Least cosine similarity, in [-1, 1].
        per_document: Hits of one document at most.
        near_duplicates: Whether chunks that say the same as a better one are shown.
        neighbours: Chunks joined on either side of a hit, in `context`.
        version: Beginning of the id of a version other than the one served.
    """

    collection: str | None = None
    k: int | None = None
    mode: str | None = None
    filter: Filter = field(default_factory=dict, hash=False)
    most_k: int | None = None
    good_score: float | None = None
    recency: float | None = None
    half_life_days: float | None = None
    min_score: float | None = None
    per_document: int | None = None
    near_duplicates: bool | None = None
    neighbours: int | None = None
    version: str | None = None

    def body(self, query: str) -> Json:
        """Return the body of the request for a question."""
        wished = {
            "collection": self.collection,
            "k": self.k,
            "mode": self.mode,
            "filter": dict(self.filter) or None,
            "most_k": self.most_k,
            "good_score": self.good_score,
            "recency": self.recency,
            "half_life_days": self.half_life_days,
            "min_score": self.min_score,
            "per_document": self.per_document,
            "near_duplicates": self.near_duplicates,
            "neighbours": self.neighbours,
        }
        return {
            "query": query,
            **{name: value for name, value in wished.items() if value is not None},
        }


ANY = SearchWish()


def parse_answer(data: bytes) -> SearchAnswer:
    """Read the body of a search's answer.

    Raises:
        CorruptArtifactError: It is not one; every problem is named.
    """
    what = "the retriever's answer"
    problems: list[str] = []
    fields = Fields(parse_object(data, what), "", problems)
    answer = SearchAnswer(
        collection=fields.text("collection"),
        version=fields.text("version"),
        mode=fields.text("mode"),
        hits=tuple(_parse_hit(hit) for hit in fields.children("hits")),
    )
    raise_problems(what, problems)
    return answer


def _parse_hit(fields: Fields) -> FoundChunk:
    verbatim = fields.rest().get("verbatim") is True
    return FoundChunk(
        text=fields.text("text"),
        score=fields.real("score"),
        scores=_scores(fields),
        uri=fields.text("uri"),
        chunk=fields.text("chunk"),
        url=fields.text_or_none("url"),
        title=fields.text_or_none("title"),
        date=fields.text_or_none("date"),
        language=fields.text_or_none("language"),
        page=_number(fields, "page"),
        slide=_number(fields, "slide"),
        sheet=fields.text_or_none("sheet"),
        row_start=_number(fields, "row_start"),
        row_end=_number(fields, "row_end"),
        section=fields.text_or_none("section"),
        context=fields.text_or_none("context"),
        verbatim=verbatim,
    )


def _scores(fields: Fields) -> dict[str, float]:
    parts = fields.free_form("scores")
    return {name: float(part) for name, part in parts.items() if isinstance(part, int | float)}


def _number(fields: Fields, name: str) -> int | None:
    return None if fields.rest().get(name) is None else fields.whole(name, minimum=1)
