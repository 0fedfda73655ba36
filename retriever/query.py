"""From the bytes of a request to a checked query, or to the problem that its sender can mend.

Invariant: nothing of a request is used before it went through `parse_query`; unknown fields, modes
and filters are refused by name instead of being ignored: a misspelt filter never widens a search.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index_store.errors import UsageError
from index_store.search_options import (
    DocumentFilter,
    Retrieval,
    SearchOptions,
    growing_k,
    preferred_age,
)
from retriever.options import RetrieverOptions

MODES = tuple(each.value for each in Retrieval)
MAX_VALUES = 64  # of one field of a filter


class SearchFilter(BaseModel):
    """Which documents may be found; every field that is given must agree, with one of its values.

    Case does not matter, but in paths and sources.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    path_prefix: str | None = Field(
        default=None, min_length=1, description="Beginning of the document's uri, such as a folder"
    )
    source: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="Names of sources, in a store with several"
    )
    document_type: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="Kinds of document, as sidecars call them"
    )
    theme: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="Subjects, as sidecars call them"
    )
    language: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="Primary language tags, such as `fr`"
    )
    media_type: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="What the content is, such as `pdf`"
    )
    keyword: list[str] = Field(
        default=[], max_length=MAX_VALUES, description="Words that describe the document"
    )
    date_from: str | None = Field(default=None, description="First day, YYYY-MM-DD")
    date_until: str | None = Field(default=None, description="Last day, included")
    fields: dict[str, list[str]] = Field(
        default={}, max_length=MAX_VALUES, description="Any other field of a sidecar, by name"
    )


class SearchRequest(BaseModel):
    """Body of `POST /v1/search`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(description="The question, in the words of the person who asks")
    k: int | None = Field(default=None, description="How many hits at most")
    most_k: int | None = Field(
        default=None, description="How many hits at most while fewer than `k` of them are good"
    )
    good_score: float | None = Field(
        default=None, description="Cosine similarity from which a hit is good, in [-1, 1]"
    )
    recency: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of a score that the age of a document takes away, 0 for none",
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="Age at which half of that is taken"
    )
    collection: str | None = Field(
        default=None, description="Which collection; may be left out when the store has one"
    )
    filter: SearchFilter | None = None
    mode: str = Field(
        default=Retrieval.HYBRID.value,
        description="`dense` by vectors, `lexical` by words, `hybrid` by both",
    )
    min_score: float | None = Field(
        default=None, description="Least cosine similarity of a hit, in [-1, 1]"
    )
    per_document: int | None = Field(default=None, description="Hits of one document at most")
    near_duplicates: bool = Field(
        default=False, description="Whether chunks that say the same as a better one are shown"
    )
    neighbours: int = Field(
        default=0, ge=0, le=10, description="Chunks joined on either side of a hit, in `context`"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question that was checked.

    Attributes:
        text: The question, stripped, not empty.
        options: How to search; whoever knows the rights of the sender adds the groups.
        collection: Name of the collection, or None for the only one.
    """

    text: str
    options: SearchOptions
    collection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a request is refused.

    Attributes:
        message: One line for a person.
        param: Name of the field at fault, or None when it is the whole request.
        code: What machines read.
    """

    message: str
    param: str | None
    code: str


def parse_query(body: bytes, options: RetrieverOptions, today: str) -> Query | Problem:
    """Check the body of a search request.

    Args:
        body: The JSON text as it came in.
        options: The limits of this retriever, and what holds when the request does not say.
        today: The day that ages are counted from, YYYY-MM-DD.
    """
    try:
        request = SearchRequest.model_validate_json(body)
    except ValidationError as error:
        return _first_problem(error)
    text = request.query.strip()
    problem = (
        _text_problem(text, options) or _k_problem(request, options) or _mode_problem(request.mode)
    )
    if problem is not None:
        return problem
    try:
        return Query(
            text=text,
            options=_search_options(request, options, today),
            collection=request.collection,
        )
    except UsageError as error:
        return Problem(message=str(error), param=None, code="invalid_value")


def _search_options(request: SearchRequest, options: RetrieverOptions, today: str) -> SearchOptions:
    """Return how to search; a number of hits that was asked for grows only when that was too.

    Raises:
        UsageError: A number or a day is out of its bounds.
    """
    k = options.default_k if request.k is None else request.k
    most = max(k, options.most_k) if request.k is None else k
    good = _given(request.good_score, options.good_score)
    weight = _given(request.recency, options.recency)
    half_life_days = _given(request.half_life_days, options.half_life_days)
    return SearchOptions(
        k=k,
        adaptive=growing_k(k, most if request.most_k is None else request.most_k, good),
        recency=preferred_age(weight, half_life_days, today),
        retrieval=Retrieval(request.mode),
        filter=_document_filter(request.filter or SearchFilter()),
        min_score=request.min_score,
        per_document=request.per_document,
        near_duplicates=request.near_duplicates,
        neighbours=request.neighbours,
    )


def _given(asked: float | None, otherwise: float) -> float:
    return otherwise if asked is None else asked


def _document_filter(asked: SearchFilter) -> DocumentFilter:
    return DocumentFilter(
        path_prefix=asked.path_prefix or "",
        sources=tuple(asked.source),
        document_types=tuple(asked.document_type),
        themes=tuple(asked.theme),
        languages=tuple(asked.language),
        media_types=tuple(asked.media_type),
        keywords=tuple(asked.keyword),
        date_from=asked.date_from or "",
        date_until=asked.date_until or "",
        extra={name: tuple(values) for name, values in asked.fields.items()},
    )


def _first_problem(error: ValidationError) -> Problem:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    param = ".".join(str(part) for part in details[0]["loc"]) or None
    if details[0]["type"] == "extra_forbidden":
        names = ", ".join(".".join(str(part) for part in each["loc"]) for each in details)
        return Problem(message=f"unknown field: {names}", param=param, code="unknown_field")
    if details[0]["type"] == "json_invalid":
        return Problem(message="the body is not JSON", param=None, code="invalid_json")
    messages = "; ".join(
        f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {_lowered(each['msg'])}"
        for each in details
    )
    return Problem(message=messages, param=param, code="invalid_value")


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _text_problem(text: str, options: RetrieverOptions) -> Problem | None:
    if not text:
        return Problem(message="query is empty", param="query", code="invalid_value")
    if len(text) > options.max_query_chars:
        message = f"query has {len(text)} characters, at most {options.max_query_chars} are taken"
        return Problem(message=message, param="query", code="too_long")
    return None


def _k_problem(request: SearchRequest, options: RetrieverOptions) -> Problem | None:
    k = options.default_k if request.k is None else request.k
    for name, value, least in (("k", k, 1), ("most_k", request.most_k, k)):
        if value is not None and not least <= value <= options.max_k:
            message = f"{name} must be between {least} and {options.max_k}, found {value}"
            return Problem(message=message, param=name, code="invalid_value")
    return None


def _mode_problem(mode: str) -> Problem | None:
    if mode in MODES:
        return None
    message = f"mode '{mode[:40]}' is unknown, use one of {', '.join(MODES)}"
    return Problem(message=message, param="mode", code="unsupported_mode")
