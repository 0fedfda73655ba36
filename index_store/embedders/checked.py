"""Every vector is looked at before it is kept.

Invariant: what `embed_checked` returns belongs to the texts by number and order, has the promised
dimension, is finite and has norm 1; a wrong vector never comes back.
"""

from collections.abc import Sequence

import numpy as np

from index_store.embedder import CountedVectors, Embedder, MeteredEmbedder, Vectors
from index_store.errors import TransientError, UsageError

NORM_TOLERANCE = 1e-3


def embed_checked(embedder: Embedder, texts: Sequence[str], *, most: int | None = None) -> Vectors:
    """Embed texts in one request and check the answer.

    Args:
        embedder: Who embeds.
        texts: Between 1 and `most` texts, none of them blank.
        most: None for `embedder.limits.texts`, which another request may lower meanwhile.

    Returns:
        float32, shape (len(texts), embedder.spec.dimension), rows L2-normalised, in the order of
        `texts`.

    Raises:
        TransientError: A wrong number of vectors, or one that is not finite or zero; the next
            answer may be right.
        UsageError: A wrong dimension, type or norm, which is how this embedder answers; or the
            request itself is wrong.
        RefusedInputError, StoppedError: As `Embedder.embed`.
    """
    return embed_counted(embedder, texts, most=most).vectors


def embed_counted(
    embedder: Embedder, texts: Sequence[str], *, most: int | None = None
) -> CountedVectors:
    """Do as `embed_checked`, and tell what the provider counted, if it does."""
    name = f"embedder {embedder.spec.provider} {embedder.spec.model}"
    most = embedder.limits.texts if most is None else most
    if not 1 <= len(texts) <= most:
        raise UsageError(f"{name}: texts expected 1 to {most}, found {len(texts)}")
    for position, text in enumerate(texts):
        if not text.strip():
            raise UsageError(f"{name}: text {position} of {len(texts)} is blank")
    if isinstance(embedder, MeteredEmbedder):
        counted = embedder.embed_counted(texts)
    else:
        counted = CountedVectors(vectors=embedder.embed(texts))
    _check_shape(name, counted.vectors, (len(texts), embedder.spec.dimension))
    _check_rows(name, counted.vectors)
    return counted


def _check_shape(name: str, vectors: Vectors, expected: tuple[int, int]) -> None:
    if vectors.ndim != 2 or (vectors.shape[1] != expected[1] and len(vectors)):
        raise UsageError(f"{name}: dimension expected {expected[1]}, found shape {vectors.shape}")
    if len(vectors) != expected[0]:
        raise TransientError(f"{name}: vectors expected {expected[0]}, found {len(vectors)}")
    if vectors.dtype != np.float32:
        raise UsageError(f"{name}: type expected float32, found {vectors.dtype}")


def _check_rows(name: str, vectors: Vectors) -> None:
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise TransientError(f"{name}: vector {int(np.argmin(finite))} is not finite")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not norms.all():
        raise TransientError(f"{name}: vector {int(np.argmin(norms))} is zero")
    off = np.abs(norms - 1.0)
    if off.max() > NORM_TOLERANCE:
        worst = int(np.argmax(off))
        raise UsageError(f"{name}: norm of vector {worst} expected 1, found {norms[worst]:.6f}")
