"""The same embedder as a plain function, for a side that takes its name."""

from collections.abc import Sequence

from side_by_side.side import DIMENSION

from index_store.embedder import Vectors
from index_store.embedders.hashing import HashingEmbedder

_EMBEDDER = HashingEmbedder(DIMENSION)


def embed(texts: Sequence[str]) -> Vectors:
    """Return float32, shape (len(texts), DIMENSION), rows L2-normalised."""
    return _EMBEDDER.embed(list(texts))
