"""Repair: what can be rebuilt is, without a guess; what cannot is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.artifacts import Artifact, sha256_hex, store_artifact
from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.catalog_files import load_catalog, store_changes
from index_store.collections import load_manifest
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, IndexStoreError, NotFoundError
from index_store.ids import text_hash
from index_store.layout import embeddings_prefix, relocations_key, shard_record_key
from index_store.log import CommitLog
from index_store.manifest import Manifest
from index_store.publisher import promote, publish
from index_store.records import DocumentRecord, Hit, Reason, Rejection
from index_store.relocations import encode_relocations, relocations_of
from index_store.repair import RepairReport, repair
from index_store.snapshot import Snapshot
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import (
    COLLECTION,
    DIMENSION,
    SPEC,
    build_manifest,
    build_shard,
    commit_log,
    vector,
    vectors,
)

PARTS = range(3)
ONE = {f"one{number}.txt": [f"one {number} part {part}" for part in PARTS] for number in range(8)}
TWO = {f"two{number}.txt": [f"two {number} part {part}" for part in PARTS] for number in range(5)}
DEAD = [3, 4, 5]  # all rows of one1.txt
REFUSED = DocumentRecord(
    uri="refused.pdf",
    size_bytes=7,
    mtime_ns=7,
    content_hash="7" * 64,
    work_key="work",
    rejection=Rejection(reason=Reason.ENCRYPTED, detail="a password is needed"),
)


def published(folder: Path, *, with_vectors: bool = True) -> tuple[MemoryStorage, Manifest]:
    """Two shards, one with a deleted document; one document moved, another one is rejected."""
    storage = MemoryStorage("repaired")
    one = build_manifest(storage, ONE, folder, dead=DEAD)
    second, lines = build_shard(storage, TWO, folder)
    lines[2] = replace(lines[2], uri="moved.txt")
    parts = store_changes(storage, COLLECTION, one.catalog, [REFUSED], ["one1.txt"])
    older = tuple(store_changes(storage, COLLECTION, (), lines, ()))
    relocations = encode_relocations(relocations_of([lines[2]]))
    key = relocations_key(COLLECTION, sha256_hex(relocations))
    manifest = replace(
        one,
        shards=(*one.shards, second),
        catalog=(*older, *parts),
        relocations=store_artifact(storage, key, relocations),
        counts=replace(one.counts, documents=12, rejected=1, chunks_live=36, tokens=144),
    )
    log = commit_log(storage)
    promote(log, publish(storage, log, manifest, log.read()).version)
    if with_vectors:
        texts = [text for documents in (ONE, TWO) for parts in documents.values() for text in parts]
        store = EmbeddingStore(storage, SPEC.id, DIMENSION)
        store.add([text_hash(text) for text in texts], vectors(texts))
    return storage, manifest


def mended(storage: MemoryStorage) -> RepairReport:
    return repair(storage, COLLECTION, run="mender", clock_ms=lambda: 1_800_000_000_000)


def served(storage: MemoryStorage, channel: str = "production") -> tuple[Hit, ...]:
    with Snapshot.open(storage, COLLECTION, channel=channel) as snapshot:
        return snapshot.nearest(vector("one 2 part 1"), 100)


def current(storage: MemoryStorage, channel: str = "production") -> Manifest:
    state = CommitLog(storage, COLLECTION).read()
    return load_manifest(storage, state.versions[state.channels[channel]])


def catalog_of(storage: MemoryStorage, manifest: Manifest) -> dict[str, DocumentRecord]:
    return {record.uri: record for record in load_catalog(storage, manifest).records()}


def flip(storage: MemoryStorage, key: str) -> None:
    data = bytearray(storage.read(key))
    data[len(data) // 2] ^= 4
    storage.put(key, bytes(data))


def take(storage: MemoryStorage, key: str) -> None:
    storage.delete(key)


Damage = Callable[[MemoryStorage, str], None]
both = pytest.mark.parametrize("damage", [flip, take])


def test_a_whole_version_is_left_as_it_is(tmp_path: Path):
    storage, _ = published(tmp_path)
    mended(storage)  # writes the records of the shards, which the builders leave out
    before = {entry.key: storage.read(entry.key) for entry in storage.list("")}
    report = mended(storage)
    assert report.was_whole
    assert (report.repaired, report.promoted) == (None, False)
    assert {entry.key: storage.read(entry.key) for entry in storage.list("")} == before


def artifact_named(manifest: Manifest, name: str) -> Artifact:
    found = {
        "index": manifest.shards[0].index,
        "deletions": manifest.shards[0].deletions,
        "relocations": manifest.relocations,
        "documents": manifest.shards[1].documents,
        "words": manifest.shards[0].lexical.files[2],
        "lengths": manifest.shards[1].lexical.files[1],
    }[name]
    assert found is not None
    return found


@both
@pytest.mark.parametrize(
    "name", ["index", "deletions", "relocations", "documents", "words", "lengths"]
)
def test_a_file_that_comes_out_as_it_was_goes_back_under_its_key(
    tmp_path: Path, name: str, damage: Damage
):
    storage, manifest = published(tmp_path)
    expected = served(storage)
    artifact = artifact_named(manifest, name)
    whole = storage.read(artifact.key)
    damage(storage, artifact.key)
    with pytest.raises(CorruptArtifactError, match=artifact.key):
        served(storage)
    report = mended(storage)
    assert artifact.key in report.restored
    assert (report.repaired, report.lost) == (None, ())
    assert storage.read(artifact.key) == whole
    assert served(storage) == expected


@both
def test_an_index_that_comes_out_different_makes_a_version(tmp_path: Path, damage: Damage):
    documents = {"long.txt": [f"text {number}" for number in range(120)]}
    storage = MemoryStorage("long")
    manifest = build_manifest(storage, documents, tmp_path)  # built 50 rows at a time
    log = commit_log(storage)
    promote(log, publish(storage, log, manifest, log.read()).version)
    texts = documents["long.txt"]
    EmbeddingStore(storage, SPEC.id, DIMENSION).add(
        [text_hash(text) for text in texts], vectors(texts)
    )
    expected = served(storage)
    damage(storage, manifest.shards[0].index.key)
    report = mended(storage)
    assert report.promoted
    assert report.lost == ()
    assert report.rebuilt[0].startswith(manifest.shards[0].index.key)
    assert current(storage).parent == report.version
    assert [hit.text for hit in served(storage)] == [hit.text for hit in expected]


@both
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_catalog_is_rebuilt_from_the_chunk_tables(tmp_path: Path, number: int, damage: Damage):
    storage, manifest = published(tmp_path)
    expected, known = served(storage), catalog_of(storage, manifest)
    damage(storage, manifest.catalog[number].artifact.key)
    report = mended(storage)
    assert report.promoted
    assert served(storage) == expected
    rebuilt = catalog_of(storage, current(storage))
    assert {
        uri: (r.shard, r.row_start, r.row_end, r.shard_uri, r.tokens)
        for uri, r in rebuilt.items() if r.chunks
    } == {
        uri: (r.shard, r.row_start, r.row_end, r.shard_uri, r.tokens)
        for uri, r in known.items() if r.chunks
    }  # fmt: skip
    prefix = (("two", "moved"), ("one",), ())[number]
    for uri, record in rebuilt.items():
        if uri.startswith(prefix):
            assert record.content_hash == ""
        else:
            assert record == known[uri]
    assert ("refused.pdf" in rebuilt) == (number < 2)
    counts = current(storage).counts
    assert (counts.chunks_live, counts.documents, counts.tokens) == (36, 12, 144)
    assert "rejections" in report.lost[0]


@both
def test_texts_that_are_gone_are_lost_and_production_stays(tmp_path: Path, damage: Damage):
    storage, manifest = published(tmp_path)
    damage(storage, manifest.shards[0].chunks.key)
    report = mended(storage)
    assert not report.promoted
    assert report.lost[0].startswith(
        f"shard {manifest.shards[0].id}: the texts; 21 chunks of its 7"
    )
    assert CommitLog(storage, COLLECTION).read().channels["production"] == report.version
    assert {hit.uri for hit in served(storage, "candidate")} == {
        "two0.txt", "two1.txt", "moved.txt", "two3.txt", "two4.txt",
    }  # fmt: skip
    assert set(catalog_of(storage, current(storage, "candidate"))) == {
        "two0.txt", "two1.txt", "moved.txt", "two3.txt", "two4.txt", "refused.pdf",
    }  # fmt: skip


def test_an_index_without_its_vectors_is_lost(tmp_path: Path):
    storage, manifest = published(tmp_path, with_vectors=False)
    take(storage, manifest.shards[1].index.key)
    report = mended(storage)
    assert "vectors to make it from" in report.lost[0]
    assert {hit.uri[:3] for hit in served(storage, "candidate")} == {"one"}


def test_deleted_text_never_comes_back_when_nobody_knows_what_was_deleted(tmp_path: Path):
    storage, manifest = published(tmp_path)
    take(storage, artifact_named(manifest, "deletions").key)
    take(storage, manifest.catalog[-1].artifact.key)
    report = mended(storage)
    assert any("which of its rows were deleted" in line for line in report.lost)
    assert {hit.uri[:3] for hit in served(storage, "candidate")} == {"two", "mov"}


def test_names_that_nobody_knows_are_not_guessed(tmp_path: Path):
    storage, manifest = published(tmp_path)
    take(storage, artifact_named(manifest, "relocations").key)
    take(storage, manifest.catalog[0].artifact.key)
    before = [entry.key for entry in storage.list("")]
    with pytest.raises(CorruptArtifactError, match="nobody knows the names of moved documents"):
        mended(storage)
    left = {entry.key for entry in storage.list("")}
    assert left == set(before)


@both
def test_embeddings_are_taken_from_the_shards(tmp_path: Path, damage: Damage):
    storage, _ = published(tmp_path)
    (part,) = storage.list(embeddings_prefix(SPEC.id))
    damage(storage, part.key)
    report = mended(storage)
    assert (report.repaired, report.promoted) == (None, False)
    assert [line.split()[1] for line in report.rebuilt] == ["embeddings", "embeddings"]
    store = EmbeddingStore(storage, SPEC.id, DIMENSION)
    store.refresh()
    texts = [text for documents in (ONE, TWO) for parts in documents.values() for text in parts]
    found, known = store.find([text_hash(text) for text in texts])
    assert found.all()
    assert (known == vectors(texts)).all()
    assert bool(report.lost) == (damage is flip)


def test_damaged_embeddings_and_a_damaged_index_are_not_both_healed(tmp_path: Path):
    storage, manifest = published(tmp_path)
    (part,) = storage.list(embeddings_prefix(SPEC.id))
    flip(storage, part.key)
    flip(storage, manifest.shards[0].index.key)
    report = mended(storage)
    assert len(report.lost) == 2
    assert {hit.uri[:3] for hit in served(storage, "candidate")} == {"two", "mov"}


def test_small_records_are_written_again(tmp_path: Path):
    storage, manifest = published(tmp_path)
    mended(storage)
    keys = [f"{COLLECTION}/format.json", shard_record_key(COLLECTION, manifest.shards[0].id)]
    expected = [storage.read(key) for key in keys]
    take(storage, keys[0])
    flip(storage, keys[1])
    report = mended(storage)
    assert set(report.restored) == set(keys)
    assert [storage.read(key) for key in keys] == expected
    storage.put(keys[0], b"{")
    assert mended(storage).restored == (keys[0],)
    assert storage.read(keys[0]) == expected[0]


def test_a_manifest_that_is_gone_is_told(tmp_path: Path):
    storage, _ = published(tmp_path)
    state = CommitLog(storage, COLLECTION).read()
    take(storage, state.versions[state.channels["production"]].manifest.key)
    with pytest.raises(CorruptArtifactError, match=r"manifest\.json: expected \d+ bytes"):
        mended(storage)


def test_a_collection_that_is_not_there_is_told():
    with pytest.raises(NotFoundError, match="collection 'docs' does not exist"):
        mended(MemoryStorage("empty"))


@pytest.mark.parametrize("mode", list(FaultMode))
def test_a_repair_that_breaks_off_anywhere_goes_on(tmp_path: Path, mode: FaultMode):
    storage, manifest = published(tmp_path)
    expected = served(storage)
    flip(storage, manifest.shards[0].index.key)
    take(storage, manifest.catalog[1].artifact.key)
    before = {entry.key: storage.read(entry.key) for entry in storage.list("")}
    number = 0
    while True:
        number += 3
        inner = MemoryStorage(f"repaired-{number}")
        for key, data in before.items():
            inner.put(key, data)
        faulty = FaultyStorage(inner, fail_at=number, mode=mode)
        try:
            repair(faulty, COLLECTION)
        except (IndexStoreError, SystemExit):
            repair(inner, COLLECTION)
        assert served(inner, "candidate") == expected
        if faulty.operations < number:
            assert served(inner) == expected
            return


@both
def test_rights_outlive_a_catalog_that_is_rebuilt(tmp_path: Path, damage: Damage):
    storage = MemoryStorage("rights")
    board = DocumentAttributes(title="Board", groups=("board",))
    documents = {"open.txt": ["open text"], "board.txt": ["board one", "board two"]}
    manifest = build_manifest(storage, documents, tmp_path, attributes={"board.txt": board})
    log = commit_log(storage)
    promote(log, publish(storage, log, manifest, log.read()).version)
    damage(storage, manifest.catalog[0].artifact.key)
    mended(storage)
    rebuilt = catalog_of(storage, current(storage, "candidate"))
    assert rebuilt["board.txt"].attributes == board
    assert rebuilt["open.txt"].attributes == NO_ATTRIBUTES
