"""Format version 1 is read for ever; see README.md before touching anything here."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from index_store.catalog_files import load_catalog
from index_store.collections import collection_status, list_collections
from index_store.embeddings import EmbeddingStore
from index_store.log import CommitLog
from index_store.log_records import RecordKind, parse_record
from index_store.manifest_codec import parse_manifest, to_bytes
from index_store.snapshot import Snapshot
from index_store.storage.folder import FolderStorage
from tests.golden.build_golden import (
    COLLECTION,
    DIMENSION,
    SPEC,
    build,
    documents,
    rows,
    vector,
)

FOLDER = Path(__file__).parent / "format_v1"
STORAGE = FolderStorage(FOLDER / "store")
EXPECTED = json.loads((FOLDER / "expected.json").read_bytes())


def test_the_log_is_read():
    state = CommitLog(STORAGE, COLLECTION).read()
    assert state.seq == 2
    assert state.at_ms == 1_700_000_001_000
    version = EXPECTED["version"]
    assert state.channels == {"candidate": version, "production": version}
    assert state.versions[version].run == "golden-run"
    record = parse_record(STORAGE.read("golden/log/000000000002.json"), "key", 2)
    assert record.change.kind is RecordKind.PROMOTE
    assert record.id == f"{2:032x}"


def test_the_manifest_is_read_and_written_as_it_was():
    data = STORAGE.read(f"golden/versions/{EXPECTED['version']}/manifest.json")
    manifest = parse_manifest(data)
    assert to_bytes(manifest) == data
    assert manifest.embedder == SPEC
    assert (manifest.parent, manifest.chunker) == (None, "golden:1")
    assert manifest.settings == {"chunk_tokens": 512}
    assert manifest.counts.chunks_dead == 1


def test_the_same_answers_come_out():
    with Snapshot.open(STORAGE, COLLECTION) as snapshot:
        hits = snapshot.nearest(vector("A slide."), 10)
        shard = snapshot.manifest.shards[0]
    found = json.loads(json.dumps([asdict(hit) for hit in hits]))
    told = [{name: hit[name] for name in EXPECTED["hits"][0]} for hit in found]
    assert told == EXPECTED["hits"]
    assert "gone.txt" not in {hit.uri for hit in hits}
    assert {hit.chunk for hit in hits} == {row.chunk_id.hex() for row in rows()[:5]}
    assert shard.rows == 6


def test_the_catalog_is_read():
    manifest = parse_manifest(STORAGE.read(f"golden/versions/{EXPECTED['version']}/manifest.json"))
    catalog = load_catalog(STORAGE, manifest)
    assert list(catalog.records()) == documents(manifest.shards[0].id)


def test_the_embeddings_are_read():
    store = EmbeddingStore(STORAGE, SPEC.id, DIMENSION)
    store.refresh()
    stored = rows()
    found, vectors = store.find([row.text_hash for row in stored])
    assert found.all()
    assert np.array_equal(vectors, np.stack([vector(row.chunk.text) for row in stored]))


def test_the_collection_is_found():
    assert list_collections(STORAGE) == [COLLECTION]
    status = collection_status(STORAGE, COLLECTION, now_ms=1_700_000_005_000)
    assert status.age_ms == 5_000
    assert status.embedder == "signs/sha256"


def test_ids_and_file_formats_of_today_are_those_of_version_1(tmp_path: Path):
    build(tmp_path)
    today = FolderStorage(tmp_path / "store")
    keys = [entry.key for entry in STORAGE.list("")]
    compared = [key for key in keys if key.endswith((".arrow", ".roaring", "format.json"))]
    assert len(compared) == 5
    for key in compared:
        assert today.read(key) == STORAGE.read(key), key
