from collections.abc import Callable, Sequence

import numpy as np
import pytest

from index_store.embedder import EmbedderSpec, RequestLimits, Tokenizer, Vectors
from index_store.embedders.checked import embed_checked
from index_store.embedders.hashing import HashingEmbedder
from index_store.errors import IndexStoreError, TransientError, UsageError

TEXTS = ["one text", "another text", "a third"]


class Altered:
    """A real embedder whose answers are altered on the way."""

    limits = RequestLimits(texts=8)

    def __init__(self, alter: Callable[[Vectors], Vectors]) -> None:
        self._inner = HashingEmbedder(16)
        self._alter = alter

    @property
    def spec(self) -> EmbedderSpec:
        return self._inner.spec

    @property
    def tokenizer(self) -> Tokenizer:
        return self._inner.tokenizer

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._alter(self._inner.embed(texts))

    def close(self) -> None:
        self._inner.close()


def put(row: int, value: float) -> Callable[[Vectors], Vectors]:
    def alter(vectors: Vectors) -> Vectors:
        vectors[row] = value
        return vectors

    return alter


@pytest.mark.parametrize(
    ("alter", "error", "message"),
    [
        (lambda v: v[:2], TransientError, "vectors expected 3, found 2"),
        (lambda v: np.vstack((v, v)), TransientError, "vectors expected 3, found 6"),
        (lambda v: v[:0], TransientError, "vectors expected 3, found 0"),
        (lambda v: v[:, :8], UsageError, r"dimension expected 16, found shape \(3, 8\)"),
        (lambda v: v.ravel(), UsageError, r"dimension expected 16, found shape \(48,\)"),
        (lambda v: v.astype(np.float64), UsageError, "type expected float32, found float64"),
        (put(1, np.nan), TransientError, "vector 1 is not finite"),
        (put(2, np.inf), TransientError, "vector 2 is not finite"),
        (put(0, 0.0), TransientError, "vector 0 is zero"),
        (lambda v: v * np.float32(1.01), UsageError, r"norm of vector \d expected 1, found 1.01"),
    ],
)
def test_wrong_answer_is_refused(
    alter: Callable[[Vectors], Vectors], error: type[IndexStoreError], message: str
):
    with pytest.raises(error, match=message):
        embed_checked(Altered(alter), TEXTS)


def test_right_answer_passes_unchanged():
    vectors = embed_checked(Altered(lambda v: v), TEXTS)
    assert (vectors == HashingEmbedder(16).embed(TEXTS)).all()


@pytest.mark.parametrize("texts", [[], ["text"] * 9])
def test_wrong_number_of_texts_is_refused(texts: list[str]):
    with pytest.raises(UsageError, match="texts expected 1 to 8"):
        embed_checked(Altered(lambda v: v), texts)


def test_blank_text_is_refused_by_its_place():
    with pytest.raises(UsageError, match="text 1 of 2 is blank"):
        embed_checked(Altered(lambda v: v), ["text", " \n"])
