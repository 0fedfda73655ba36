"""Verification finds every problem at once, names the file, and writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.artifacts import sha256_hex, store_artifact
from index_store.catalog_files import load_catalog, store_changes
from index_store.deletions import encode_deletions
from index_store.embeddings import EmbeddingStore
from index_store.errors import NotFoundError
from index_store.ids import text_hash
from index_store.layout import deletions_key, log_key, manifest_key, relocations_key
from index_store.log import CommitLog
from index_store.log_records import LogChange, RecordKind
from index_store.manifest import Manifest
from index_store.publisher import publish
from index_store.records import DocumentRecord, Reason, Rejection
from index_store.relocations import Relocation, encode_relocations
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from index_store.verification import Verification, verify_collection
from tests.index_store.store_builders import (
    COLLECTION,
    SPEC,
    build_manifest,
    publish_documents,
    vectors,
)

DOCUMENTS = {"a.txt": ["first text", "second text"], "b.txt": ["third text"], "c.txt": ["gone"]}


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Two versions that share a shard; in the second one a row is dead."""
    made: Storage = MemoryStorage("verify")
    if request.param == "folder":
        made = FolderStorage(tmp_path / "store")
    publish_documents(made, DOCUMENTS, tmp_path)
    publish_changed(made, tmp_path, without_c)
    return made


def without_c(storage: Storage, manifest: Manifest) -> Manifest:
    data = encode_deletions([3])
    entry = replace(
        manifest.shards[0],
        dead=1,
        deletions=store_artifact(storage, deletions_key(COLLECTION, sha256_hex(data)), data),
    )
    return replace(
        manifest,
        shards=(entry,),
        catalog=store_changes(storage, COLLECTION, manifest.catalog, (), ["c.txt"]),
        counts=replace(manifest.counts, documents=2, chunks_live=3, chunks_dead=1),
    )


def publish_changed(
    storage: Storage, folder: Path, change: Callable[[Storage, Manifest], Manifest]
) -> str:
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    manifest = build_manifest(storage, DOCUMENTS, folder, run=change.__name__)
    return publish(storage, log, change(storage, manifest), state).version


def verify(storage: Storage, *, deep: bool = False, version: str | None = None) -> Verification:
    return verify_collection(storage, COLLECTION, deep=deep, version=version)


def messages(found: Verification) -> list[str]:
    return [problem.message for problem in found.problems]


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_collection_has_no_problems(storage: Storage, deep: bool):
    before = [(entry.key, entry.modified_ms) for entry in storage.list("")]
    found = verify(storage, deep=deep)
    assert found.problems == ()
    assert len(found.versions) == 2
    assert found.artifacts == 2 + 9 + 1 + 2  # manifests, shard, deletion vector, catalogs
    assert found.size_bytes == sum(
        entry.size_bytes
        for entry in storage.list("")
        if "/log/" not in entry.key and "format.json" not in entry.key
    )
    assert [(entry.key, entry.modified_ms) for entry in storage.list("")] == before


def test_one_version_is_looked_at_alone(storage: Storage):
    first, second = CommitLog(storage, COLLECTION).read().versions
    storage.delete(manifest_key(COLLECTION, first))
    assert verify(storage, version=second[:8]).problems == ()
    assert verify(storage, version=first[:8]).problems[0].version == first
    with pytest.raises(NotFoundError, match="version abcdef does not exist"):
        verify(storage, version="abcdef")


FOLDERS = ["versions", "shards", "catalog", "deletions"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_missing_file_is_named(storage: Storage, folder: str):
    victims = [entry.key for entry in storage.list(f"{COLLECTION}/{folder}/")]
    for victim in victims:
        storage.delete(victim)
    told = messages(verify(storage))
    assert len(told) == len(victims)
    for victim in victims:
        assert any(f"{victim}: expected" in each and "found nothing" in each for each in told)


@pytest.mark.parametrize("folder", FOLDERS)
def test_changed_bytes_are_found_by_a_deep_look(storage: Storage, folder: str):
    victims = [entry.key for entry in storage.list(f"{COLLECTION}/{folder}/")]
    for victim in victims:
        data = storage.read(victim)
        middle = len(data) // 2
        storage.put(victim, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    told = messages(verify(storage, deep=True))
    assert len(told) == len(victims)
    for victim in victims:
        assert any(f"{victim}: expected sha256" in each for each in told)


@pytest.mark.parametrize("folder", FOLDERS)
def test_truncated_files_are_found_at_first_sight(storage: Storage, folder: str):
    victims = [entry.key for entry in storage.list(f"{COLLECTION}/{folder}/")]
    for victim in victims:
        storage.put(victim, storage.read(victim)[:-1])
    assert len(messages(verify(storage))) == len(victims)


def test_damage_of_the_same_size_is_found_where_it_is_used(storage: Storage):
    for folder in FOLDERS[1:]:
        for entry in list(storage.list(f"{COLLECTION}/{folder}/")):
            storage.put(entry.key, b"x" * entry.size_bytes)
    told = "\n".join(messages(verify(storage)))
    for part in ("/deletions/", "/catalog/", "/chunks.arrow"):
        assert part in told


def test_a_shard_that_is_damaged_is_not_looked_at_again(storage: Storage):
    (index,) = [entry for entry in storage.list("docs/shards/") if "index" in entry.key]
    storage.put(index.key, b"x" * index.size_bytes)
    told = messages(verify(storage))
    assert len(told) == 1
    assert "shard" in told[0]
    assert len(messages(verify(storage, deep=True))) == 1


def test_a_damaged_log_is_a_problem(storage: Storage):
    storage.delete(log_key(COLLECTION, 1))
    found = verify(storage)
    assert [problem.version for problem in found.problems] == [None]
    assert "000000000001.json is missing" in messages(found)[0]
    assert found.versions == ()


def lost_shard(_: Storage, manifest: Manifest) -> Manifest:
    """The catalog points into a shard that the version does not have."""
    return replace(manifest, shards=(), counts=replace(manifest.counts, chunks_live=0, documents=9))


def revived_row(storage: Storage, manifest: Manifest) -> Manifest:
    """A dead row still belongs to a document."""
    return replace(without_c(storage, manifest), catalog=manifest.catalog)


def wrong_count(storage: Storage, manifest: Manifest) -> Manifest:
    """The deletion vector has more rows than the manifest says."""
    data = encode_deletions([1, 3])
    changed = without_c(storage, manifest)
    entry = replace(
        changed.shards[0],
        deletions=store_artifact(storage, deletions_key(COLLECTION, sha256_hex(data)), data),
    )
    return replace(changed, shards=(entry,))


def moved_and_rejected(storage: Storage, manifest: Manifest) -> Manifest:
    """A document was moved and another one is rejected: nothing is wrong."""
    records = {record.uri: record for record in load_catalog(storage, manifest).records()}
    shard = manifest.shards[0].id
    data = encode_relocations([Relocation(shard=shard, row_start=2, row_end=3, uri="moved.txt")])
    key = relocations_key(COLLECTION, sha256_hex(data))
    refused = DocumentRecord(
        uri="refused.pdf",
        size_bytes=1,
        mtime_ns=1,
        content_hash="",
        work_key="",
        rejection=Rejection(reason=Reason.EMPTY, detail="no bytes"),
    )
    changed = [replace(records["b.txt"], uri="moved.txt"), refused]
    return replace(
        manifest,
        relocations=store_artifact(storage, key, data),
        catalog=store_changes(storage, COLLECTION, manifest.catalog, changed, ["b.txt"]),
        counts=replace(manifest.counts, rejected=1),
    )


def far_relocation(storage: Storage, manifest: Manifest) -> Manifest:
    """A moved document's rows lie beyond the shard."""
    shard = manifest.shards[0].id
    data = encode_relocations([Relocation(shard=shard, row_start=3, row_end=5, uri="moved.txt")])
    key = relocations_key(COLLECTION, sha256_hex(data))
    return replace(manifest, relocations=store_artifact(storage, key, data))


def no_relocations(storage: Storage, manifest: Manifest) -> Manifest:
    """What should be a list of relocations is something else."""
    data = b"no relocations"
    key = relocations_key(COLLECTION, sha256_hex(data))
    return replace(manifest, relocations=store_artifact(storage, key, data))


def swapped_names(storage: Storage, manifest: Manifest) -> Manifest:
    """The catalog says that other rows are those of a document."""
    records = {record.uri: record for record in load_catalog(storage, manifest).records()}
    changed = [
        replace(records["b.txt"], shard_uri="c.txt"),
        replace(records["c.txt"], shard_uri="b.txt"),
    ]
    parts = store_changes(storage, COLLECTION, manifest.catalog, changed, ())
    return replace(manifest, catalog=parts)


def more_rows(_: Storage, manifest: Manifest) -> Manifest:
    """A shard is said to hold other rows than its file does."""
    entry = manifest.shards[0]
    wrong = replace(entry, rows=entry.rows + 1)
    return replace(
        manifest, shards=(wrong,), counts=replace(manifest.counts, chunks_live=wrong.rows)
    )


def foreign_vectors(storage: Storage, manifest: Manifest) -> Manifest:
    """The vectors in the shard are not those of the texts beside them."""
    texts = [text for texts in DOCUMENTS.values() for text in texts]
    store = EmbeddingStore(storage, SPEC.id, SPEC.dimension)
    store.add([text_hash(text) for text in texts], vectors([f"not {text}" for text in texts]))
    return manifest


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lost_shard,
            [
                "catalog: rows of a.txt are in no shard of the version",
                "catalog: rows of b.txt are in no shard of the version",
                "catalog: rows of c.txt are in no shard of the version",
                "catalog: documents have 4 chunks, 0 rows are live",
                "catalog: 3 documents, the manifest says 9",
            ],
        ),
        (
            revived_row,
            ["rows of c.txt are dead in shard", "have 4 chunks, 3 rows", "3 documents, the manif"],
        ),
        (wrong_count, ["roaring: dead rows expected 1, found 2"]),
        (moved_and_rejected, []),
        (far_relocation, ["rows of moved.txt are in no shard"]),
        (no_relocations, ["expected relocations, found"]),
        (swapped_names, ["rows 2 to 3 are not those of c.txt", "rows 3 to 4 are not those of b.t"]),
        (more_rows, ["documents have 4 chunks, 5 rows are live", "rows expected 5, found 4"]),
        (foreign_vectors, ["index.faiss: the vector of row 0 is not found: expected a score of 1"]),
    ],
)
def test_what_contradicts_itself_is_told(
    tmp_path: Path,
    change: Callable[[Storage, Manifest], Manifest],
    expected: list[str],
):
    storage = MemoryStorage("contradictions")
    publish_changed(storage, tmp_path, change)
    told = messages(verify(storage, deep=True))
    assert len(told) == len(expected), told
    for message, part in zip(told, expected, strict=True):
        assert part in message


def test_stored_embeddings_are_found_in_the_shard(tmp_path: Path):
    storage = MemoryStorage("canaries")
    publish_documents(storage, DOCUMENTS, tmp_path)
    texts = ["first text", "gone"]
    store = EmbeddingStore(storage, SPEC.id, SPEC.dimension)
    store.add([text_hash(text) for text in texts], vectors(texts))
    assert verify(storage, deep=True).problems == ()


def test_a_manifest_that_breaks_a_rule_is_told(storage: Storage):
    data = b'{"format_version": 1}'
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    version = sha256_hex(data)
    stored = store_artifact(storage, manifest_key(COLLECTION, version), data)
    log.append(
        state,
        LogChange(
            kind=RecordKind.PUBLISH,
            version=version,
            channel="candidate",
            expected=state.channels["candidate"],
            manifest=stored,
        ),
    )
    (problem,) = verify(storage).problems
    assert problem.version == version
    assert "manifest of an unnamed collection: collection: expected" in problem.message
