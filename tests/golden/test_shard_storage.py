"""Shards of every way to store vectors, written once and read for ever.

`python tests/golden/test_shard_storage.py` writes what is missing; an existing file is never
replaced, because published shards are such files.
"""

from pathlib import Path

import numpy as np
import orjson
import pytest

from index_store.artifacts import measure
from index_store.embedder import Vectors
from index_store.manifest import STORAGES, HnswSettings, ShardEntry
from index_store.shard import ShardBuilder, ShardReader
from index_store.shard_options import ShardOptions

FOLDER = Path(__file__).parent / "shard_storage"
DIMENSION, ROWS = 8, 64
HNSW = HnswSettings(m=4, ef_construction=16, ef_search=16)


def golden_vectors() -> Vectors:
    """Vectors that follow from plain arithmetic, float32, shape (64, 8), rows L2-normalised."""
    numbers = np.arange(ROWS * DIMENSION).reshape(ROWS, DIMENSION)
    rows = ((numbers * 7919) % 101 - 50).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def entry_of(path: Path, storage: str) -> ShardEntry:
    artifact = measure("docs/index", path)
    return ShardEntry(
        id="0" * 64,
        rows=ROWS,
        dead=0,
        dimension=DIMENSION,
        hnsw=HNSW,
        index=artifact,
        chunks=artifact,
        storage=storage,
    )


def answers(path: Path, storage: str) -> list[list[int]]:
    reader = ShardReader.open(path, entry_of(path, storage))
    rows: list[list[int]] = reader.search(golden_vectors()[::16], 5, exact=True)[1].tolist()
    return rows


@pytest.mark.parametrize("storage", STORAGES)
def test_a_golden_shard_answers_as_it_did(storage: str):
    path = FOLDER / f"{storage}.faiss"
    expected = orjson.loads((FOLDER / "expected.json").read_bytes())[storage]
    assert measure("x", path).sha256 == expected["sha256"]
    assert answers(path, storage) == expected["answers"]
    reader = ShardReader.open(path, entry_of(path, storage))
    exact = 0.0 if storage in {"flat", "fp16"} else 0.01
    assert np.abs(reader.vectors(0, ROWS) - golden_vectors()).max() <= exact
    assert not reader.search(golden_vectors(), 5, exact=False)[1].min() < 0


def write_golden() -> None:
    """Write the files that are missing and what they answer."""
    FOLDER.mkdir(exist_ok=True)
    expected = {}
    for storage in STORAGES:
        path = FOLDER / f"{storage}.faiss"
        if not path.exists():
            builder = ShardBuilder(ShardOptions(hnsw=HNSW, storage=storage), DIMENSION)
            builder.add(golden_vectors())
            builder.finish(path)
        expected[storage] = {
            "sha256": measure("x", path).sha256,
            "answers": answers(path, storage),
        }
    (FOLDER / "expected.json").write_bytes(orjson.dumps(expected, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    write_golden()
