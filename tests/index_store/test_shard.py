"""Shards: the same bytes for the same input, deletions honoured, wrong files refused."""

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from pyroaring import BitMap

from index_store import shard as shard_module
from index_store.artifacts import measure
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError, TransientError, UsageError
from index_store.manifest import HnswSettings, ShardEntry
from index_store.shard import ShardBuilder, ShardFile, ShardReader
from index_store.shard_options import ShardOptions, shard_id

DIMENSION = 24
ROWS = 1000
HNSW = HnswSettings(m=8, ef_construction=40, ef_search=64)
OPTIONS = ShardOptions(hnsw=HNSW, add_batch_rows=100)


def unit_rows(rows: int, seed: int = 0) -> Vectors:
    drawn = np.random.default_rng(seed).normal(size=(rows, DIMENSION))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float16).astype(np.float32)


VECTORS = unit_rows(ROWS)
QUERIES = (unit_rows(20, seed=1) / np.linalg.norm(unit_rows(20, seed=1), axis=1)[:, None]).astype(
    np.float32
)


def build(path: Path, step: int = ROWS, options: ShardOptions = OPTIONS) -> ShardFile:
    builder = ShardBuilder(options, DIMENSION)
    for start in range(0, ROWS, step):
        builder.add(VECTORS[start : start + step])
    return builder.finish(path)


def entry_of(file: ShardFile) -> ShardEntry:
    artifact = measure("docs/shards/x/index.faiss", file.path)
    return ShardEntry(
        id="0" * 64,
        rows=file.rows,
        dead=0,
        dimension=DIMENSION,
        hnsw=HNSW,
        index=artifact,
        chunks=artifact,
    )


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> ShardFile:
    return build(tmp_path_factory.mktemp("shard") / "index.faiss")


def expected(k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    scores = QUERIES @ VECTORS.T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return np.argsort(-scores, axis=1)[:, :k]


@pytest.mark.parametrize("step", [1, 33, 100, 250, ROWS])
def test_portions_do_not_change_the_bytes(shard: ShardFile, tmp_path: Path, step: int):
    assert build(tmp_path / "again.faiss", step).sha256 == shard.sha256


def test_two_threads_do_not_change_the_bytes(shard: ShardFile, tmp_path: Path):
    again = build(tmp_path / "again.faiss", options=replace(OPTIONS, threads=2))
    assert again.sha256 == shard.sha256


def test_the_batch_size_and_the_graph_are_part_of_the_identity(tmp_path: Path):
    other = replace(OPTIONS, add_batch_rows=99)
    ids = [bytes([number]) * 32 for number in range(3)]
    assert shard_id("e", OPTIONS, ids) == shard_id("e", replace(OPTIONS, threads=7), ids)
    different = {
        shard_id("e", OPTIONS, ids),
        shard_id("e", other, ids),
        shard_id("f", OPTIONS, ids),
        shard_id("e", OPTIONS, ids[::-1]),
        shard_id("e", replace(OPTIONS, hnsw=replace(HNSW, m=9)), ids),
        shard_id("e", replace(OPTIONS, hnsw=replace(HNSW, ef_construction=41)), ids),
        shard_id("e", replace(OPTIONS, hnsw=replace(HNSW, ef_search=65)), ids),
    }
    assert len(different) == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [50, 100, 350, 900])
def test_a_resumed_build_gives_the_same_bytes(shard: ShardFile, tmp_path: Path, rows: int):
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(VECTORS[:rows])
    checkpoint = builder.checkpoint(tmp_path / "checkpoint.faiss")
    assert checkpoint.rows == rows // 100 * 100
    resumed = ShardBuilder.resume(OPTIONS, DIMENSION, checkpoint)
    assert resumed.rows == checkpoint.rows
    resumed.add(VECTORS[checkpoint.rows :])
    assert resumed.finish(tmp_path / "resumed.faiss").sha256 == shard.sha256


def test_a_damaged_checkpoint_is_refused(tmp_path: Path):
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(VECTORS[:200])
    checkpoint = builder.checkpoint(tmp_path / "checkpoint.faiss")
    data = bytearray(checkpoint.path.read_bytes())
    data[len(data) // 2] ^= 1
    checkpoint.path.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r"checkpoint\.faiss: expected sha256"):
        ShardBuilder.resume(OPTIONS, DIMENSION, checkpoint)


def test_exact_search_finds_what_comparing_all_rows_finds(shard: ShardFile):
    reader = ShardReader.open(shard.path, entry_of(shard))
    scores, rows = reader.search(QUERIES, 10, exact=True)
    assert np.array_equal(rows, expected(10))
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64
    assert np.allclose(scores, np.take_along_axis(QUERIES @ VECTORS.T, rows, axis=1), atol=1e-5)


def test_graph_search_finds_nearly_the_same(shard: ShardFile):
    reader = ShardReader.open(shard.path, entry_of(shard))
    _, rows = reader.search(QUERIES, 10, exact=False, ef_search=200)
    shared = sum(len(set(a) & set(b)) for a, b in zip(rows, expected(10), strict=True))
    assert shared >= 0.95 * rows.size


@pytest.mark.parametrize("exact", [True, False])
def test_dead_rows_are_never_returned(shard: ShardFile, exact: bool):
    dead = BitMap(expected(5).ravel().tolist())
    reader = ShardReader.open(shard.path, entry_of(shard), dead=dead)
    _, rows = reader.search(QUERIES, ROWS, exact=exact)
    assert not dead & BitMap(rows[rows >= 0].tolist())
    if exact:
        allowed = np.ones(ROWS, bool)
        allowed[list(dead)] = False
        assert np.array_equal(rows[:, :10], expected(10, allowed))
        assert int((rows >= 0).sum(axis=1).min()) == ROWS - len(dead)


@pytest.mark.parametrize("exact", [True, False])
def test_only_restricts_the_rows_and_keeps_deletions(shard: ShardFile, exact: bool):
    only = np.zeros(ROWS, bool)
    only[::3] = True
    reader = ShardReader.open(shard.path, entry_of(shard), dead=BitMap(range(0, ROWS, 6)))
    _, rows = reader.search(QUERIES, 50, exact=exact, among=reader.selection(only))
    returned = rows[rows >= 0]
    assert len(returned)
    assert not (returned % 6 == 0).any()
    assert (returned % 3 == 0).all()


@pytest.mark.parametrize("exact", [True, False])
def test_missing_results_are_padded(shard: ShardFile, exact: bool):
    reader = ShardReader.open(shard.path, entry_of(shard), dead=BitMap(range(1, ROWS)))
    scores, rows = reader.search(QUERIES, ROWS + 5, exact=exact)
    assert rows.shape == scores.shape == (len(QUERIES), ROWS + 5)
    assert set(rows.ravel()) <= {0, -1}
    assert np.isneginf(scores[rows < 0]).all()


def test_vectors_come_back_as_they_were(shard: ShardFile):
    reader = ShardReader.open(shard.path, entry_of(shard))
    assert np.array_equal(reader.vectors(100, 250), VECTORS[100:250])
    assert reader.vectors(7, 7).shape == (0, DIMENSION)
    with pytest.raises(UsageError, match=r"rows \[990, 1001\) are not in \[0, 1000\)"):
        reader.vectors(990, 1001)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 999}, "rows expected 999, found 1000"),
        ({"dimension": 25}, "dimension expected 25, found 24"),
        ({"hnsw": replace(HNSW, m=16)}, "m expected 16, found 8"),
        ({"hnsw": replace(HNSW, ef_construction=7)}, "ef_construction expected 7, found 40"),
    ],
)
def test_a_file_that_is_not_the_entry_is_refused(
    shard: ShardFile, change: dict[str, object], message: str
):
    with pytest.raises(CorruptArtifactError, match=message):
        ShardReader.open(shard.path, replace(entry_of(shard), **change))


def test_another_kind_of_index_is_refused(tmp_path: Path):
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(VECTORS)
    path = tmp_path / "flat.faiss"
    faiss.write_index(flat, str(path))
    artifact = measure("flat.faiss", path)
    file = ShardFile(path=path, rows=ROWS, size_bytes=artifact.size_bytes, sha256=artifact.sha256)
    with pytest.raises(CorruptArtifactError, match="type expected IndexHNSWFlat, found IndexFlat"):
        ShardReader.open(path, entry_of(file))


def test_a_file_that_is_no_index_is_refused(tmp_path: Path):
    path = tmp_path / "index.faiss"
    path.write_bytes(b"not an index at all" * 100)
    file = ShardFile(path=path, rows=ROWS, size_bytes=1900, sha256="")
    with pytest.raises(CorruptArtifactError, match=r"index\.faiss: expected a FAISS index"):
        ShardReader.open(path, entry_of(file))


def test_a_full_disk_is_noticed():
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(VECTORS)
    with pytest.raises(TransientError, match="write /dev/full: .*No space left on device"):
        builder.finish(Path("/dev/full"))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, DIMENSION), np.float32), "vector 0 must have norm 1"),
        (np.full((1, DIMENSION), np.nan, np.float32), "vector 0 must have norm 1, found nan"),
        (np.zeros((1, DIMENSION), np.float32), "vector 0 must have norm 1, found 0"),
        (unit_rows(2)[:, :-1], r"float32 of shape \(n, 24\), found float32 of shape \(2, 23\)"),
        (unit_rows(2).astype(np.float64), "found float64"),
        (unit_rows(2)[0], r"found float32 of shape \(24,\)"),
    ],
)
def test_wrong_vectors_are_refused(shard: ShardFile, vectors: np.ndarray, message: str):
    with pytest.raises(UsageError, match=message):
        ShardBuilder(OPTIONS, DIMENSION).add(vectors)
    with pytest.raises(UsageError, match=message):
        ShardReader.open(shard.path, entry_of(shard)).search(vectors, 3, exact=True)


def test_k_below_one_is_refused(shard: ShardFile):
    with pytest.raises(UsageError, match="k must be at least 1, found 0"):
        ShardReader.open(shard.path, entry_of(shard)).search(QUERIES, 0, exact=True)


def test_an_empty_shard_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="at least one row"):
        ShardBuilder(OPTIONS, DIMENSION).finish(tmp_path / "index.faiss")


@pytest.mark.parametrize("dimension", [0, 65_537])
def test_a_dimension_out_of_bounds_is_refused(dimension: int):
    with pytest.raises(UsageError, match=r"dimension must be in \[1, 65536\]"):
        ShardBuilder(OPTIONS, dimension)


def test_a_file_that_answers_differently_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    builder = ShardBuilder(OPTIONS, DIMENSION)
    builder.add(VECTORS)
    wrong = ShardBuilder(OPTIONS, DIMENSION)
    wrong.add(VECTORS[::-1])
    monkeypatch.setattr(shard_module, "_read_checked", lambda *_, **__: wrong._index)
    with pytest.raises(CorruptArtifactError, match="does not answer as the index that was written"):
        builder.finish(tmp_path / "index.faiss")


@pytest.mark.parametrize(
    "options",
    [
        {"hnsw": HnswSettings(m=1)},
        {"hnsw": HnswSettings(ef_construction=0)},
        {"hnsw": HnswSettings(ef_search=5000)},
        {"add_batch_rows": 0},
        {"threads": 0},
    ],
)
def test_options_out_of_bounds_are_refused(options: dict[str, object]):
    with pytest.raises(UsageError, match=r"must be in \["):
        ShardOptions(**options)


def test_a_mapped_file_may_be_deleted_while_it_is_searched(tmp_path: Path):
    file = build(tmp_path / "index.faiss")
    reader = ShardReader.open(file.path, entry_of(file))
    file.path.unlink()
    _, rows = reader.search(QUERIES, 10, exact=True)
    assert np.array_equal(rows, expected(10))
