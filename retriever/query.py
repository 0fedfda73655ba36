"""From the bytes of a request to a checked query, or to the problem that its sender can mend.

Invariant: nothing of a request is used before it went through `parse_query`; unknown fields, modes
and filters are refused by name instead of being ignored: a misspelt filter never widens a search.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retriever.options import RetrieverOptions

DENSE = "dense"
PLANNED_MODES = ("hybrid", "lexical")


class SearchFilter(BaseModel):
    """Which documents may be found."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path_prefix: str | None = Field(
        default=None, min_length=1, description="Beginning of the document's uri, such as a folder"
    )


class SearchRequest(BaseModel):
    """Body of `POST /v1/search`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(description="The question, in the words of the person who asks")
    k: int | None = Field(default=None, description="How many hits at most")
    collection: str | None = Field(
        default=None, description="Which collection; may be left out when the store has one"
    )
    filter: SearchFilter | None = None
    mode: str = Field(default=DENSE, description="How to search; `dense` is the one there is")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question that was checked.

    Attributes:
        text: The question, stripped, not empty.
        k: Most hits, at least 1.
        collection: Name of the collection, or None for the only one.
        path_prefix: How the uri of every hit begins, or None for any.
    """

    text: str
    k: int
    collection: str | None = None
    path_prefix: str | None = None


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


def parse_query(body: bytes, options: RetrieverOptions) -> Query | Problem:
    """Check the body of a search request.

    Args:
        body: The JSON text as it came in.
        options: The limits of this retriever.
    """
    try:
        request = SearchRequest.model_validate_json(body)
    except ValidationError as error:
        return _first_problem(error)
    text = request.query.strip()
    problem = (
        _text_problem(text, options)
        or _k_problem(request.k, options)
        or _mode_problem(request.mode)
    )
    if problem is not None:
        return problem
    return Query(
        text=text,
        k=options.default_k if request.k is None else request.k,
        collection=request.collection,
        path_prefix=request.filter.path_prefix if request.filter else None,
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


def _k_problem(k: int | None, options: RetrieverOptions) -> Problem | None:
    if k is None or 1 <= k <= options.max_k:
        return None
    return Problem(
        message=f"k must be between 1 and {options.max_k}, found {k}",
        param="k",
        code="invalid_value",
    )


def _mode_problem(mode: str) -> Problem | None:
    if mode == DENSE:
        return None
    kind = "is not served yet" if mode in PLANNED_MODES else "is unknown"
    return Problem(
        message=f"mode '{mode[:40]}' {kind}, use '{DENSE}'", param="mode", code="unsupported_mode"
    )
