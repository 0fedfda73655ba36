"""Recall against exact search: measured, repeatable, and low where a graph is bad."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from index_store.artifacts import measure
from index_store.embedder import Vectors
from index_store.errors import UsageError
from index_store.manifest import HnswSettings, ShardEntry
from index_store.recall import MeasuredRecall, choose_ef_search, draw_questions
from index_store.shard import ShardBuilder, ShardReader
from index_store.shard_options import RecallOptions, ShardOptions

DIMENSION = 32
ROWS = 2000
POOR = HnswSettings(m=4, ef_construction=8, ef_search=10)


class Rows:
    """Vectors in memory."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def vectors(self, start: int, end: int) -> Vectors:
        return self._vectors[start:end]


def unit_rows(rows: int = ROWS, seed: int = 0) -> Vectors:
    drawn = np.random.default_rng(seed).normal(size=(rows, DIMENSION))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float16).astype(np.float32)


VECTORS = unit_rows()


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShardEntry]:
    path = tmp_path_factory.mktemp("shard") / "index.faiss"
    builder = ShardBuilder(ShardOptions(hnsw=POOR), DIMENSION)
    builder.add(VECTORS)
    builder.finish(path)
    artifact = measure("docs/shards/x/index.faiss", path)
    return path, ShardEntry(
        id="0" * 64,
        rows=ROWS,
        dead=0,
        dimension=DIMENSION,
        hnsw=POOR,
        index=artifact,
        chunks=artifact,
    )


def measured(
    entry: tuple[Path, ShardEntry], options: RecallOptions, dead: BitMap | None = None
) -> MeasuredRecall:
    reader = ShardReader.open(*entry, dead=dead)
    questions = draw_questions(reader, ROWS, count=options.questions, seed=1)
    return choose_ef_search(reader, reader, questions, options)


def test_questions_repeat_and_have_norm_one():
    drawn = draw_questions(Rows(VECTORS), ROWS, count=50, seed=1)
    assert np.array_equal(drawn, draw_questions(Rows(VECTORS), ROWS, count=50, seed=1))
    assert not np.array_equal(drawn, draw_questions(Rows(VECTORS), ROWS, count=50, seed=2))
    assert drawn.dtype == np.float32
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)


def test_questions_between_opposite_rows_are_questions_too():
    pair = np.stack([VECTORS[0], -VECTORS[0]])
    drawn = draw_questions(Rows(pair), 2, count=20, seed=1)
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)


def test_recall_is_the_share_of_the_nearest_rows_that_other_questions_find_at_least(
    entry: tuple[Path, ShardEntry],
):
    options = RecallOptions(least=0.0, questions=64)
    found = measured(entry, options)
    questions = draw_questions(Rows(VECTORS), ROWS, count=64, seed=1)
    nearest = np.argsort(-(questions @ VECTORS.T), axis=1)[:, :10]
    rows = ShardReader.open(*entry).search(questions, 10, exact=False)[1]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(rows, nearest, strict=True)]
    promised = np.mean(shared) - 2 * np.std(shared) / np.sqrt(64)
    assert found == MeasuredRecall(ef_search=10, recall=round(float(promised), 4))
    assert found.recall < 0.9


def test_the_search_is_widened_until_the_gate_is_passed(entry: tuple[Path, ShardEntry]):
    narrow = measured(entry, RecallOptions(least=0.0))
    wide = measured(entry, RecallOptions(least=0.9, max_ef_search=2000))
    assert wide.recall >= 0.9 > narrow.recall
    assert wide.ef_search > narrow.ef_search
    before = RecallOptions(least=0.9, max_ef_search=wide.ef_search - 1)
    assert measured(entry, before).recall < 0.9


def test_the_widest_search_is_told_when_the_gate_is_out_of_reach(entry: tuple[Path, ShardEntry]):
    found = measured(entry, RecallOptions(least=1.0, max_ef_search=20))
    assert found.ef_search == 20
    assert found.recall < 1.0


def test_ties_count_as_found(tmp_path: Path, entry: tuple[Path, ShardEntry]):
    same = np.repeat(VECTORS[:1], ROWS, axis=0)
    path = tmp_path / "index.faiss"
    builder = ShardBuilder(ShardOptions(hnsw=POOR), DIMENSION)
    builder.add(same)
    builder.finish(path)
    changed = replace(entry[1], index=measure("docs/shards/x/index.faiss", path))
    assert measured((path, changed), RecallOptions(least=0.0)).recall == 1.0


def test_dead_rows_are_not_looked_for(entry: tuple[Path, ShardEntry]):
    assert measured(entry, RecallOptions(), BitMap(range(ROWS))).recall == 1.0
    almost = measured(entry, RecallOptions(least=0.0), BitMap(range(3, ROWS)))
    assert almost.recall == 1.0, "a walk that comes back short is made up for"


@pytest.mark.parametrize(
    "options", [{"least": 1.1}, {"hits": 0}, {"questions": 0}, {"max_ef_search": 0}]
)
def test_options_out_of_bounds_are_refused(options: dict[str, float]):
    with pytest.raises(UsageError, match="must be"):
        RecallOptions(**options)
