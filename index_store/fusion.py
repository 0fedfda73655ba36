"""How nearness of vectors and words in common become one score; pure; the one place for weights.

Both parts are divided by the best one of the question, which makes them comparable whatever the
embedder and however long the question; then they are weighed. Measured on six sets of real
questions in French and English with two embedders (benchmarks/README.md): equal-weight fusion of
ranks loses to words alone where vectors are weak, this never did. Weights of 0.5 to 0.7 are alike.

Invariant: a fused score lies in [0, 1]; a row that only one part found is scored by both.
"""

import numpy as np
import numpy.typing as npt

PART_WEIGHT = 0.3  # of a part of a number such as the 9 of "2.9", beside the whole
LEXICAL_WEIGHT = 0.6  # the rest is the weight of vectors
DEPTH = 100  # rows that each part contributes; 50 and 200 are alike, as measured

Numbers = npt.NDArray[np.float32]


def fuse(cosines: Numbers, bm25: Numbers) -> Numbers:
    """Return the fused scores of candidates.

    Args:
        cosines: float32, shape (n,): cosine similarities, one of them the best there is.
        bm25: float32, shape (n,): scores by words, 0 for a row beyond the depth.

    Returns:
        float32, shape (n,), in [0, 1].
    """
    fused: Numbers = LEXICAL_WEIGHT * _of_best(bm25) + (1.0 - LEXICAL_WEIGHT) * _of_best(cosines)
    return fused


def _of_best(scores: Numbers) -> Numbers:
    best = float(scores.max(initial=0.0))
    if best <= 0.0:
        return np.zeros_like(scores)
    shares: Numbers = np.clip(scores / best, 0.0, 1.0).astype(np.float32)
    return shares
