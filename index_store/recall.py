"""How much of what exact search finds a shard's graph finds, and how wide it must be searched.

Questions are drawn from the shard itself when there are no real ones: means of two rows, one of
them weighing a little more so that opposite rows do not cancel out. Questions lie beside what a
graph was built from, never on it. Of what was tried (rows with noise, means of rows side by side
or of three, other weights) this was never easier than 400 real questions of two collections by
more than 0.002, at any efSearch from 64 on, and at most 0.05 harder. Dead rows count as much as
others: people go on asking about what was removed, and that is where a graph with clustered
deletions gets lost.

Invariants: the same shard, dead rows and options give the same figure; ties count as found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from index_store.deletions import RowMask
from index_store.embedder import Vectors
from index_store.shard import ShardReader
from index_store.shard_options import RecallOptions

WEIGHT = 0.55  # of the row that a question is mostly about
TIE = 1e-6  # scores that differ by less are equal
STANDARD_ERRORS = 2  # between the mean over the questions and what is promised of others
BLOCK_ROWS = 8192


class VectorSource(Protocol):
    """Gives the vectors of a shard's rows as they were before anything was rounded off."""

    def vectors(self, start: int, end: int) -> Vectors:
        """Return the rows [start, end): float32, shape (end - start, dimension)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRecall:
    """What a graph reaches.

    Attributes:
        ef_search: The least number of candidates that passes the gate, or the largest tried.
        recall: What it reaches, in [0, 1], two standard errors below the mean over the questions,
            so that other questions find as much.
    """

    ef_search: int
    recall: float


def draw_questions(source: VectorSource, rows: int, *, count: int, seed: int) -> Vectors:
    """Draw questions from the rows of a shard.

    Args:
        source: Its vectors.
        rows: Number of its rows, dead ones included.
        count: Questions to draw.
        seed: Decides which.

    Returns:
        float32, shape (count, dimension), rows L2-normalised.
    """
    first, second = np.random.default_rng(seed).integers(rows, size=(2, count))
    mixed = WEIGHT * _take(source, first) + (1 - WEIGHT) * _take(source, second)
    questions: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return questions.astype(np.float32)


def choose_ef_search(
    reader: ShardReader,
    source: VectorSource,
    questions: Vectors,
    options: RecallOptions,
) -> MeasuredRecall:
    """Find how many candidates a search must look at.

    Args:
        reader: The shard, opened with its dead rows; it must search by the graph.
        source: Its vectors.
        questions: float32, shape (n, dimension), rows L2-normalised.
        options: What is asked for.

    Returns:
        The first of the reader's own number and its doubles that passes the gate.
    """
    live = reader.live
    hits = min(options.hits, int(live.sum()))
    if not hits:
        return MeasuredRecall(ef_search=reader.ef_search, recall=1.0)
    worst = _worst_scores(source, questions, live, hits)
    ef_search = reader.ef_search
    while True:
        _, found = reader.search(questions, hits, exact=False, ef_search=ef_search)
        recall = _lower_bound(_shares_found(source, questions, found, worst))
        if recall >= options.least or 2 * ef_search > options.max_ef_search:
            return MeasuredRecall(ef_search=ef_search, recall=round(recall, 4))
        ef_search *= 2


def _worst_scores(
    source: VectorSource, questions: Vectors, live: RowMask, hits: int
) -> npt.NDArray[np.float32]:
    """Return the score of the last of the nearest live rows, by comparing all of them."""
    best = np.full((len(questions), hits), -np.inf, np.float32)
    for start in range(0, len(live), BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, len(live))
        scores = questions @ source.vectors(start, end).T
        scores[:, ~live[start:end]] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        best = np.partition(both, -hits, axis=1)[:, -hits:]
    worst: npt.NDArray[np.float32] = best.min(axis=1)
    return worst


def _shares_found(
    source: VectorSource,
    questions: Vectors,
    found: npt.NDArray[np.int64],
    worst: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    rows, places = np.unique(found, return_inverse=True)
    known = _take(source, np.maximum(rows, 0))[places.reshape(found.shape)]
    scores = np.einsum("qd,qhd->qh", questions, known)
    scores[found < 0] = -np.inf
    shares: npt.NDArray[np.float64] = (scores >= worst[:, None] - TIE).mean(axis=1)
    return shares


def _lower_bound(shares: npt.NDArray[np.float64]) -> float:
    error = float(shares.std()) / float(np.sqrt(len(shares)))
    return max(0.0, float(shares.mean()) - STANDARD_ERRORS * error)


def _take(source: VectorSource, rows: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
    return np.concatenate([source.vectors(int(row), int(row) + 1) for row in rows])
