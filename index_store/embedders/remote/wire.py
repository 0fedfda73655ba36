"""Requests and answers as the providers write them: Mistral and OpenAI-compatible servers, Ollama.

Pure: from texts to a body, from the bytes of an answer to vectors. Invariant: vectors come back in
the order of the texts, one each, all of the promised dimension, finite in float32 and not zero; an
answer that is anything else is refused as a whole.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import orjson

from index_store.embedder import Vectors
from index_store.errors import TransientError

SMALLEST_NORM = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class WireAnswer:
    """Vectors of one request.

    Attributes:
        vectors: float32, shape (texts, dimension), rows L2-normalised, in the order of the texts.
        tokens: Tokens that the provider counted, None when it does not say.
    """

    vectors: Vectors
    tokens: int | None


class Wire(Protocol):
    """One provider's way to write."""

    @property
    def path(self) -> str:
        """Path below the base URL."""
        ...

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return the body of a request."""
        ...

    def answer(self, payload: bytes, texts: int, dimension: int) -> WireAnswer:
        """Read an answer with status 200.

        Raises:
            TransientError: It is not what was asked for; the next one may be.
        """
        ...


class OpenAIWire:
    """`/embeddings` of Mistral, OpenAI and the servers that speak like them."""

    def __init__(self, *, base64_floats: bool = False) -> None:
        self._base64 = base64_floats

    @property
    def path(self) -> str:
        """Path below the base URL, which ends in `/v1`."""
        return "/embeddings"

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return the body of a request."""
        wanted: dict[str, object] = {"model": model, "input": list(texts)}
        if self._base64:
            wanted["encoding_format"] = "base64"
        return orjson.dumps(wanted)

    def answer(self, payload: bytes, texts: int, dimension: int) -> WireAnswer:
        """Read an answer; rows are put in the order of their `index`."""
        value = _parsed(payload)
        items = value.get("data")
        if not isinstance(items, list) or len(items) != texts:
            raise TransientError(f"vectors expected {texts}, found {_count(items)}")
        rows: list[object] = [None] * texts
        for place, item in enumerate(items):
            index = item.get("index", place) if isinstance(item, dict) else None
            if not isinstance(index, int) or not 0 <= index < texts or rows[index] is not None:
                raise TransientError(f"vector {place}: index {index!r} is missing, wrong or double")
            rows[index] = item.get("embedding")
        usage = value.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        return WireAnswer(vectors=_vectors(rows, dimension), tokens=_whole(tokens))


class OllamaWire:
    """`/api/embed` of Ollama; a text that is too long is an error and never cut silently."""

    @property
    def path(self) -> str:
        """Path below the base URL."""
        return "/api/embed"

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return the body of a request."""
        return orjson.dumps({"model": model, "input": list(texts), "truncate": False})

    def answer(self, payload: bytes, texts: int, dimension: int) -> WireAnswer:
        """Read an answer; rows stand in the order of the texts."""
        value = _parsed(payload)
        rows = value.get("embeddings")
        if not isinstance(rows, list) or len(rows) != texts:
            raise TransientError(f"vectors expected {texts}, found {_count(rows)}")
        vectors = _vectors(rows, dimension)
        return WireAnswer(vectors=vectors, tokens=_whole(value.get("prompt_eval_count")))


def _parsed(payload: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(payload)  # refuses NaN and Infinity, which are not JSON
    except orjson.JSONDecodeError as error:
        raise TransientError("the answer is not JSON") from error
    if not isinstance(value, dict):
        raise TransientError("the answer is not a JSON object")
    return value


def _count(rows: object) -> str:
    return str(len(rows)) if isinstance(rows, list) else "none"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _vectors(rows: Sequence[object], dimension: int) -> Vectors:
    vectors = np.empty((len(rows), dimension), np.float64)
    for place, row in enumerate(rows):
        values = _values(row, place)
        if len(values) != dimension:
            raise TransientError(
                f"vector {place}: dimension {dimension} expected, {len(values)} found"
            )
        vectors[place] = values
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        narrow = vectors.astype(np.float32)
    finite = np.isfinite(narrow).all(axis=1)
    if not finite.all():
        raise TransientError(f"vector {int(np.argmin(finite))} is not finite in float32")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if norms.min(initial=1.0) < SMALLEST_NORM:
        raise TransientError(f"vector {int(np.argmin(norms))} is zero")
    normalised: Vectors = (vectors / norms).astype(np.float32)
    return normalised


def _values(row: object, place: int) -> Sequence[float]:
    if isinstance(row, str):
        try:
            decoded: list[float] = np.frombuffer(
                base64.b64decode(row, validate=True), "<f4"
            ).tolist()
        except (binascii.Error, ValueError) as error:
            raise TransientError(f"vector {place} is not base64 of float32") from error
        return decoded
    if not isinstance(row, list) or not all(
        isinstance(value, float | int) and not isinstance(value, bool) for value in row
    ):
        raise TransientError(f"vector {place} is not a list of numbers")
    return row
