"""Ways to store vectors: what is lost, what stays the same, and how a bad graph is made up for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from index_store.artifacts import measure
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError, UsageError
from index_store.manifest import HnswSettings, SearchMode, ShardEntry, ShardSearch
from index_store.shard import ShardBuilder, ShardFile, ShardReader
from index_store.shard_options import ShardOptions, shard_id

DIMENSION = 24
ROWS = 1000
HNSW = HnswSettings(m=8, ef_construction=40, ef_search=16)
STORAGES = ("flat", "fp16", "sq8")


def unit_rows(rows: int, seed: int = 0) -> Vectors:
    drawn = np.random.default_rng(seed).normal(size=(rows, DIMENSION))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float16).astype(np.float32)


VECTORS = unit_rows(ROWS)
QUERIES = unit_rows(30, seed=1)


def options(storage: str) -> ShardOptions:
    return ShardOptions(hnsw=HNSW, add_batch_rows=100, storage=storage)


def build(path: Path, storage: str, *, step: int = ROWS, threads: int = 1) -> ShardFile:
    builder = ShardBuilder(replace(options(storage), threads=threads), DIMENSION)
    for start in range(0, ROWS, step):
        builder.add(VECTORS[start : start + step])
    return builder.finish(path)


def entry_of(file: ShardFile, storage: str) -> ShardEntry:
    artifact = measure("docs/shards/x/index.faiss", file.path)
    return ShardEntry(
        id="0" * 64,
        rows=file.rows,
        dead=0,
        dimension=DIMENSION,
        hnsw=HNSW,
        index=artifact,
        chunks=artifact,
        storage=storage,
    )


def open_shard(folder: Path, storage: str, dead: BitMap | None = None) -> ShardReader:
    file = build(folder / f"{storage}.faiss", storage)
    return ShardReader.open(file.path, entry_of(file, storage), dead=dead)


@pytest.mark.parametrize("storage", STORAGES)
def test_portions_and_threads_do_not_change_the_bytes(tmp_path: Path, storage: str):
    once = build(tmp_path / "once.faiss", storage)
    assert build(tmp_path / "portions.faiss", storage, step=33).sha256 == once.sha256
    assert build(tmp_path / "threads.faiss", storage, threads=2).sha256 == once.sha256


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("rows", [50, 100, 750])
def test_a_resumed_build_gives_the_same_bytes(tmp_path: Path, storage: str, rows: int):
    builder = ShardBuilder(options(storage), DIMENSION)
    builder.add(VECTORS[:rows])
    checkpoint = builder.checkpoint(tmp_path / "checkpoint.faiss")
    resumed = ShardBuilder.resume(options(storage), DIMENSION, checkpoint)
    resumed.add(VECTORS[checkpoint.rows :])
    whole = build(tmp_path / "whole.faiss", storage)
    assert resumed.finish(tmp_path / "resumed.faiss").sha256 == whole.sha256


def test_sixteen_bits_hold_every_stored_vector_without_loss(tmp_path: Path):
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = halves[np.isfinite(halves) & (np.abs(halves) < 1)].reshape(-1, 4)
    rest = np.sqrt(np.maximum(0, 1 - (values.astype(np.float64) ** 2).sum(axis=1)))
    fits = (values.astype(np.float64) ** 2).sum(axis=1) <= 1
    last = rest.astype(np.float16).astype(np.float32)
    rows = np.column_stack([values, last])[fits]
    builder = ShardBuilder(ShardOptions(hnsw=HNSW, storage="fp16"), 5)
    builder.add(rows)
    file = builder.finish(tmp_path / "index.faiss")
    entry = replace(entry_of(file, "fp16"), dimension=5)
    assert np.array_equal(ShardReader.open(file.path, entry).vectors(0, len(rows)), rows)


def test_sixteen_bits_find_what_thirty_two_find(tmp_path: Path):
    flat, half = open_shard(tmp_path, "flat"), open_shard(tmp_path, "fp16")
    flat_scores, flat_rows = flat.search(QUERIES, 10, exact=True)
    half_scores, half_rows = half.search(QUERIES, 10, exact=True)
    assert np.array_equal(half_rows, flat_rows)
    assert np.allclose(half_scores, flat_scores, atol=1e-6)


def test_eight_bits_find_nearly_the_same_in_a_quarter_of_the_bytes(tmp_path: Path):
    flat, small = open_shard(tmp_path, "flat"), open_shard(tmp_path, "sq8")
    _, expected = flat.search(QUERIES, 10, exact=True)
    _, found = small.search(QUERIES, 10, exact=True)
    shared = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True))
    assert shared >= 0.95 * expected.size
    flat_bytes, small_bytes = (
        (tmp_path / f"{storage}.faiss").stat().st_size for storage in ("flat", "sq8")
    )
    assert flat_bytes - small_bytes >= ROWS * DIMENSION * 3 - 1000


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("exact", [True, False])
def test_dead_rows_are_never_returned(tmp_path: Path, storage: str, exact: bool):
    dead = BitMap(range(0, ROWS, 3))
    reader = open_shard(tmp_path, storage, dead)
    _, rows = reader.search(QUERIES, 50, exact=exact)
    assert not dead & BitMap(rows[rows >= 0].tolist())
    assert (rows >= 0).all()


def test_a_walk_lost_among_dead_rows_is_made_up_for(tmp_path: Path):
    _, near = open_shard(tmp_path, "flat").search(QUERIES[:1], 900, exact=True)
    dead = BitMap(near.ravel().tolist())
    reader = open_shard(tmp_path, "flat", dead)
    _, exact = reader.search(QUERIES[:1], 20, exact=True)
    _, walked = reader.search(QUERIES[:1], 20, exact=False)
    assert np.array_equal(walked, exact)


def test_a_shard_that_shall_be_searched_exactly_is(tmp_path: Path):
    file = build(tmp_path / "index.faiss", "flat")
    entry = entry_of(file, "flat")
    search = ShardSearch(mode=SearchMode.EXACT, ef_search=16, recall=0.5, built_recall=None, dead=0)
    hard = unit_rows(200, seed=3)
    walked = ShardReader.open(file.path, entry).search(hard, 10, exact=False)[1]
    reader = ShardReader.open(file.path, replace(entry, search=search))
    exact = reader.search(hard, 10, exact=True)[1]
    assert not np.array_equal(walked, exact)
    assert np.array_equal(reader.search(hard, 10, exact=False)[1], exact)


def test_the_measured_ef_search_is_used(tmp_path: Path):
    file = build(tmp_path / "index.faiss", "flat")
    entry = entry_of(file, "flat")
    search = ShardSearch(mode=SearchMode.HNSW, ef_search=300, recall=1, built_recall=1, dead=0)
    hard = unit_rows(200, seed=3)
    plain = ShardReader.open(file.path, entry)
    widened = ShardReader.open(file.path, replace(entry, search=search))
    expected = plain.search(hard, 10, exact=False, ef_search=300)[1]
    assert np.array_equal(widened.search(hard, 10, exact=False)[1], expected)
    assert not np.array_equal(plain.search(hard, 10, exact=False)[1], expected)


@pytest.mark.parametrize(
    ("built", "claimed", "message"),
    [
        ("flat", "fp16", "type expected IndexHNSWSQ, found IndexHNSWFlat"),
        ("fp16", "flat", "type expected IndexHNSWFlat, found IndexHNSWSQ"),
        ("sq8", "fp16", "quantizer expected"),
    ],
)
def test_a_file_of_another_storage_is_refused(
    tmp_path: Path, built: str, claimed: str, message: str
):
    file = build(tmp_path / "index.faiss", built)
    with pytest.raises(CorruptArtifactError, match=message):
        ShardReader.open(file.path, entry_of(file, claimed))


def test_the_storage_is_part_of_the_identity():
    ids = [bytes([number]) * 32 for number in range(3)]
    assert len({shard_id("e", options(storage), ids) for storage in STORAGES}) == 3
    pinned = "e8939f6b7d2fbc548c2c60cbd0e287dab666e6f5f93fe580ead69bd57732604e"
    assert shard_id("e", options("flat"), ids) == pinned, "published shards would be built again"


def test_an_unknown_storage_is_refused():
    with pytest.raises(UsageError, match="must be one of flat, fp16, sq8, found 'int4'"):
        ShardOptions(storage="int4")
