"""A lexical embedder without weights, for tests, benchmarks and trials: fast and offline."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from index_store.embedder import EmbedderSpec, RequestLimits, Tokenizer, Vectors
from index_store.embedders.lexical import LEXICAL_REVISION, LexicalVectors, plain_weight
from index_store.embedders.memo import WordMemo
from index_store.errors import UsageError

DEFAULT_DIMENSION = 256
MIN_DIMENSION = 8
MAX_DIMENSION = 8192
MAX_INPUT_TOKENS = 8192
MAX_BATCH = 1024

_PIECE = re.compile(r"\w{1,6}|[^\w\s]")


class PieceTokenizer:
    """Counts pieces of at most six letters and single signs; needs no model."""

    def __init__(self) -> None:
        self._counts = WordMemo(_pieces)

    @property
    def identity(self) -> str:
        """Name and revision of the rule."""
        return "pieces-6.1"

    def count(self, words: Sequence[str]) -> list[int]:
        """Return the number of pieces of each word; a word holds no white space."""
        return list(map(self._counts.__getitem__, words))


class HashingEmbedder:
    """Hashes words to signed buckets.

    Args:
        dimension: Length of a vector, between 8 and 8192.

    Raises:
        UsageError: The dimension is out of range.
    """

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        if not MIN_DIMENSION <= dimension <= MAX_DIMENSION:
            raise UsageError(
                f"embedder 'hashing:{dimension}': the dimension is not in "
                f"[{MIN_DIMENSION}, {MAX_DIMENSION}]"
            )
        self._lexical = LexicalVectors(dimension, plain_weight)
        self._tokenizer = PieceTokenizer()
        self._spec = EmbedderSpec(
            provider="hashing",
            model=f"words-{dimension}",
            revision=LEXICAL_REVISION,
            dimension=dimension,
            tokenizer=self._tokenizer.identity,
            max_input_tokens=MAX_INPUT_TOKENS,
        )

    @property
    def spec(self) -> EmbedderSpec:
        """The identity written into manifests and cache paths."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that `spec.tokenizer` names."""
        return self._tokenizer

    @property
    def limits(self) -> RequestLimits:
        """How many texts one request may hold."""
        return RequestLimits(texts=MAX_BATCH)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32, shape (len(texts), dimension), rows L2-normalised."""
        rows = np.empty((len(texts), self._spec.dimension), np.float32)
        for row, text in enumerate(texts):
            vector = self._lexical.vector(text)
            if not vector.any():
                vector[_bucket(text, len(vector))] = 1.0
            rows[row] = vector
        return rows

    def embed_question(self, question: str) -> Vectors:
        """Return float32, shape (dimension,), L2-normalised; questions are texts here."""
        vector: Vectors = self.embed([question])[0]
        return vector

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _pieces(word: str) -> int:
    return len(_PIECE.findall(word))


def _bucket(text: str, dimension: int) -> int:
    """Choose the direction of a text without any weighty word, such as one of signs only."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % dimension
