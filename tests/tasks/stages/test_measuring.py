"""What a large version says about how its shards are searched."""

from dataclasses import replace

import numpy as np
import pytest

from index_store.embedder import Vectors
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.manifest import Manifest, SearchMode, ShardSearch
from index_store.shard_options import RecallOptions
from index_store.storage.memory import MemoryStorage
from tasks.stages.measuring import StoredVectors, measure_search
from tests.index_store.store_builders import SPEC, build_manifest, vectors

TEXTS = [f"text number {number}" for number in range(400)]
OPTIONS = RecallOptions(questions=40, max_ef_search=64)


@pytest.fixture(scope="module")
def storage() -> MemoryStorage:
    return MemoryStorage("measured")


@pytest.fixture(scope="module")
def manifest(storage: MemoryStorage, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return build_manifest(storage, {"a.txt": TEXTS}, tmp_path_factory.mktemp("built"), dead=[7])


def measured(
    storage: MemoryStorage,
    manifest: Manifest,
    base: Manifest | None = None,
    options: RecallOptions = OPTIONS,
    questions: Vectors | None = None,
) -> ShardSearch:
    found = measure_search(
        storage, manifest, base, exact_rows=100, options=options, questions=questions
    )
    assert replace(found, shards=manifest.shards) == manifest
    assert found.shards[0].search is not None
    return found.shards[0].search


def test_a_small_version_is_not_measured(storage: MemoryStorage, manifest: Manifest):
    found = measure_search(storage, manifest, None, exact_rows=1000, options=OPTIONS)
    assert found is manifest


def test_a_good_graph_is_used(storage: MemoryStorage, manifest: Manifest):
    search = measured(storage, manifest, options=replace(OPTIONS, least=0.5))
    assert search.mode is SearchMode.HNSW
    assert search.recall >= 0.5
    assert search.dead == 1
    assert search.built_recall is None, "rows were dead when it was first measured"


def test_a_bad_graph_is_not_used(storage: MemoryStorage, manifest: Manifest):
    search = measured(storage, manifest, options=replace(OPTIONS, least=1.0, max_ef_search=16))
    assert search.mode is SearchMode.EXACT
    assert search.recall < 1.0


def test_what_was_measured_with_the_same_dead_rows_is_taken_over(
    storage: MemoryStorage, manifest: Manifest
):
    known = ShardSearch(mode=SearchMode.EXACT, ef_search=99, recall=0.123, built_recall=0.9, dead=1)
    base = replace(manifest, shards=(replace(manifest.shards[0], search=known),))
    assert measured(storage, manifest, base) == known
    older = replace(base, shards=(replace(base.shards[0], search=replace(known, dead=0)),))
    again = measured(storage, manifest, older)
    assert again.recall > 0.5
    assert (again.dead, again.built_recall) == (1, 0.9)


def test_real_questions_are_asked_when_there_are_some(storage: MemoryStorage, manifest: Manifest):
    questions = vectors(TEXTS[8:40])
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    options = replace(OPTIONS, hits=1, least=0.0)
    assert measured(storage, manifest, options=options, questions=questions).recall > 0.9


def test_a_vector_that_is_not_stored_is_told(storage: MemoryStorage):
    class Table:
        def text_hashes(self, start: int, end: int) -> list[bytes]:
            return [bytes([row]) * 32 for row in range(start, end)]

    store = EmbeddingStore(storage, SPEC.id, SPEC.dimension)
    with pytest.raises(CorruptArtifactError, match="3 of 3 vectors are missing"):
        StoredVectors(Table(), store).vectors(1, 4)  # type: ignore[arg-type]
