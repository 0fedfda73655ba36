"""The night after a repair puts right what could not be repaired, and pays for nothing twice."""

from pathlib import Path

import pytest

from index_store.collections import load_manifest
from index_store.embedders.hashing import HashingEmbedder
from index_store.layout import shard_record_key
from index_store.log import CommitLog
from index_store.repair import repair
from tests.support.plain_run import Trace, run_plainly
from tests.support.small_sources import (
    COLLECTION,
    again,
    options_for,
    prose,
    searchable,
    trusted,
    write,
)

TOPICS = ("bees", "moss", "rain", "tin", "wool")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for topic in TOPICS:
        write(tmp_path / "source" / f"{topic}.txt", prose(topic))
    return tmp_path / "source"


@pytest.mark.parametrize("kind", ["catalog", "chunks.arrow", "index.faiss"])
def test_a_night_after_a_repair_comes_to_the_same(source: Path, kind: str):
    storage = trusted("night")
    options = options_for(source)
    run_plainly(options, storage)
    expected = searchable(storage)
    damaged = [entry.key for entry in storage.list(f"{COLLECTION}/") if kind in entry.key]
    assert len(damaged) == 1
    storage.delete(damaged[0])
    repair(storage, COLLECTION, accept_loss=True)
    trace = Trace()
    run_plainly(again(options), storage, trace)
    assert searchable(storage) == expected
    assert trace.texts == 0


def test_the_record_of_a_shard_is_written_as_the_pipeline_writes_it(source: Path):
    storage = trusted("record")
    run_plainly(options_for(source), storage)
    assert repair(storage, COLLECTION).was_whole
    state = CommitLog(storage, COLLECTION).read()
    manifest = load_manifest(storage, state.versions[state.channels["production"]])
    key = shard_record_key(COLLECTION, manifest.shards[0].id)
    whole = storage.read(key)
    storage.delete(key)
    assert repair(storage, COLLECTION).restored == (key,)
    assert storage.read(key) == whole


def test_embeddings_come_back_without_a_call(source: Path):
    storage = trusted("embeddings")
    options = options_for(source, full=True)
    run_plainly(options, storage)
    for entry in list(storage.list(f"embeddings/{HashingEmbedder(64).spec.id}/")):
        storage.delete(entry.key)
    repair(storage, COLLECTION)
    trace = Trace()
    run_plainly(again(options), storage, trace)
    assert trace.texts == 0
