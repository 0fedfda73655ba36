"""Snapshots: answers from one checked version, dead text never, damaged files never and by name."""

import os
import random
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index_store.artifacts import sha256_hex, store_artifact
from index_store.cache import CacheOptions, LocalCache
from index_store.collections import load_manifest
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    NotFoundError,
    TransientError,
    UsageError,
)
from index_store.layout import relocations_key
from index_store.log import CommitLog
from index_store.publisher import Published, promote, publish
from index_store.records import Hit
from index_store.relocations import Relocation, encode_relocations
from index_store.search_options import DocumentFilter, Question, Retrieval, SearchOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import (
    COLLECTION,
    DIMENSION,
    SPEC,
    build_manifest,
    build_shard,
    commit_log,
    publish_documents,
    vector,
)

SENTENCE = "The quick brown fox jumps over the lazy dog"
DOCUMENTS = {
    f"folder{number % 3}/doc{number}.txt": [f"text {number} part {part}" for part in range(4)]
    for number in range(30)
}


def asked_for(snapshot: Snapshot, query: np.ndarray, k: int, text: str) -> tuple[Hit, ...]:
    options = SearchOptions(k=k, retrieval=Retrieval.DENSE, near_duplicates=True)
    return snapshot.search(Question(text=text, vector=query), options)


def below(snapshot: Snapshot, text: str, prefix: str) -> tuple[Hit, ...]:
    options = SearchOptions(k=200, filter=DocumentFilter(path_prefix=prefix), near_duplicates=True)
    return snapshot.search(Question(vector=vector(text)), options)


def all_texts(documents: dict[str, list[str]]) -> list[str]:
    return [text for texts in documents.values() for text in texts]


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    return MemoryStorage("snapshot")


def published(storage: Storage, folder: Path, **settings: object) -> Published:
    done = publish_documents(storage, DOCUMENTS, folder, **settings)
    promote(commit_log(storage), done.version)
    return done


@pytest.mark.parametrize("exact_rows", [0, 50_000])
def test_a_text_finds_itself_with_its_citation(storage: Storage, tmp_path: Path, exact_rows: int):
    done = published(storage, tmp_path)
    options = SnapshotOptions(exact_rows=exact_rows, embedder_id=SPEC.id)
    with Snapshot.open(storage, COLLECTION, options=options) as snapshot:
        assert snapshot.version == done.version
        assert snapshot.rows == 120
        assert snapshot.published_at_ms == done.state.versions[done.version].published_at_ms
        assert snapshot.manifest.counts.documents == 30
        hit = snapshot.nearest(vector("text 7 part 2"), 3)[0]
    assert (hit.uri, hit.text, hit.citation.page) == ("folder1/doc7.txt", "text 7 part 2", 1)
    assert hit.score == pytest.approx(1.0, abs=1e-3)
    assert len(hit.chunk) == 64
    assert not hit.verbatim


@pytest.mark.parametrize("exact_rows", [0, 50_000])
def test_dead_rows_are_never_returned(storage: Storage, tmp_path: Path, exact_rows: int):
    dead = list(range(0, 120, 5))
    published(storage, tmp_path, dead=dead)
    texts = all_texts(DOCUMENTS)
    gone = {texts[row] for row in dead}
    options = SnapshotOptions(exact_rows=exact_rows)
    with Snapshot.open(storage, COLLECTION, options=options) as snapshot:
        assert snapshot.rows == 96
        for row in dead:
            assert not gone & {hit.text for hit in snapshot.nearest(vector(texts[row]), 120)}
        found = snapshot.nearest(vector("anything"), 120)
    if exact_rows:
        assert {hit.text for hit in found} == set(texts) - gone


def test_scores_fall_and_k_is_kept(storage: Storage, tmp_path: Path):
    published(storage, tmp_path)
    with Snapshot.open(storage, COLLECTION) as snapshot:
        hits = snapshot.nearest(vector("some question"), 7)
        assert len(hits) == 7
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len(snapshot.nearest(vector("some question"), 1000)) == 120


def test_a_verbatim_quotation_comes_first_whatever_its_score(tmp_path: Path):
    storage = MemoryStorage("verbatim")
    documents = {**DOCUMENTS, "fox.txt": [f"Before. {SENTENCE}. After."]}
    publish_documents(storage, documents, tmp_path)
    question = "the  QUICK brown\nfox jumps over the lazy dog"
    query = vector("text 7 part 2") + np.float32(0.3) * vector(documents["fox.txt"][0])
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        plain = snapshot.nearest(query, 3)
        asked = asked_for(snapshot, query, 3, question)
        short = asked_for(snapshot, query, 3, "quick brown fox")
    assert plain[0].text == "text 7 part 2"
    assert asked[0].uri == "fox.txt"
    assert asked[0].verbatim
    assert asked[0].score < asked[1].score
    assert [hit.verbatim for hit in asked[1:]] == [False, False]
    assert not any(hit.verbatim for hit in short)


def test_the_same_text_of_a_document_is_returned_once(tmp_path: Path):
    storage = MemoryStorage("twice")
    documents = {"a.txt": ["same"] * 5 + ["other"], "b.txt": ["same"]}
    publish_documents(storage, documents, tmp_path)
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        hits = snapshot.nearest(vector("same"), 10)
    assert sorted((hit.uri, hit.text) for hit in hits) == [
        ("a.txt", "other"),
        ("a.txt", "same"),
        ("b.txt", "same"),
    ]


@pytest.mark.parametrize("exact_rows", [0, 50_000])
def test_paths_are_filtered_before_the_search(tmp_path: Path, exact_rows: int):
    storage = MemoryStorage("filter")
    publish_documents(storage, DOCUMENTS, tmp_path)
    options = SnapshotOptions(exact_rows=exact_rows)
    with Snapshot.open(storage, COLLECTION, channel="candidate", options=options) as snapshot:
        by_prefix = below(snapshot, "text 7 part 2", "folder2/")
        nothing = below(snapshot, "x", "elsewhere/")
    assert len(by_prefix) == 40
    assert {hit.uri.split("/")[0] for hit in by_prefix} == {"folder2"}
    assert nothing == ()


def test_moved_documents_go_by_their_new_name(tmp_path: Path):
    storage = MemoryStorage("moved")
    manifest = build_manifest(storage, DOCUMENTS, tmp_path)
    shard = manifest.shards[0].id
    data = encode_relocations(
        [Relocation(shard=shard, row_start=4, row_end=8, uri="new/place.txt")]
    )
    artifact = store_artifact(storage, relocations_key(COLLECTION, sha256_hex(data)), data)
    log = commit_log(storage)
    publish(storage, log, replace(manifest, relocations=artifact), log.read())
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        everything = snapshot.nearest(vector("x"), 200)
        moved = below(snapshot, "x", "new/")
        left = below(snapshot, "x", "folder1/doc1.txt")
    assert {hit.text for hit in moved} == set(DOCUMENTS["folder1/doc1.txt"])
    assert left == ()
    uris = {hit.uri for hit in everything}
    assert uris == (set(DOCUMENTS) - {"folder1/doc1.txt"}) | {"new/place.txt"}


def test_hits_of_several_shards_are_merged(tmp_path: Path):
    storage = MemoryStorage("several")
    first, one = build_shard(storage, {"a": ["alpha", "beta"]}, tmp_path)
    second, two = build_shard(storage, {"b": ["gamma", "delta"]}, tmp_path)
    manifest = build_manifest(storage, {"c": ["epsilon"]}, tmp_path)
    counts = replace(manifest.counts, chunks_live=5)
    log = commit_log(storage)
    shards = (*manifest.shards, first, second)
    publish(storage, log, replace(manifest, shards=shards, counts=counts), log.read())
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        for text in ("alpha", "beta", "gamma", "delta", "epsilon"):
            assert snapshot.nearest(vector(text), 1)[0].text == text
        assert len(snapshot.nearest(vector("x"), 9)) == 5
    assert {record.uri for record in one + two} == {"a", "b"}


def test_a_version_without_shards_answers_nothing(tmp_path: Path):
    storage = MemoryStorage("empty")
    manifest = build_manifest(storage, {"a": ["alpha"]}, tmp_path)
    counts = replace(manifest.counts, chunks_live=0)
    log = commit_log(storage)
    publish(storage, log, replace(manifest, shards=(), counts=counts), log.read())
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        assert asked_for(snapshot, vector("alpha"), 3, "alpha " * 9) == ()


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        (np.zeros(DIMENSION, np.float32), 3, "finite norm above 0, found 0.0"),
        (np.full(DIMENSION, np.nan, np.float32), 3, "finite norm above 0, found nan"),
        (np.full(DIMENSION, np.inf, np.float32), 3, "finite norm above 0, found inf"),
        (np.ones(DIMENSION + 1, np.float32), 3, r"shape \(16,\), found \(17,\)"),
        (np.ones(DIMENSION, np.float32), 0, "k must be at least 1, found 0"),
    ],
)
def test_questions_out_of_bounds_are_refused(
    tmp_path: Path, query: np.ndarray, k: int, message: str
):
    storage = MemoryStorage("bounds")
    publish_documents(storage, {"a": ["alpha"]}, tmp_path)
    with (
        Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot,
        pytest.raises(UsageError, match=message),
    ):
        snapshot.nearest(query, k)


def test_a_closed_snapshot_refuses_to_answer(tmp_path: Path):
    storage = MemoryStorage("closed")
    publish_documents(storage, {"a": ["alpha"]}, tmp_path)
    snapshot = Snapshot.open(storage, COLLECTION, channel="candidate")
    snapshot.close()
    snapshot.close()
    with pytest.raises(UsageError, match="is closed"):
        snapshot.nearest(vector("alpha"), 1)


def test_another_embedder_is_refused(tmp_path: Path):
    storage = MemoryStorage("embedder")
    publish_documents(storage, {"a": ["alpha"]}, tmp_path)
    options = SnapshotOptions(embedder_id="f" * 64)
    with pytest.raises(UsageError, match="docs was embedded with test/hashed.*dimension 16"):
        Snapshot.open(storage, COLLECTION, channel="candidate", options=options)


def test_what_does_not_exist_is_named(tmp_path: Path):
    storage = MemoryStorage("absent")
    with pytest.raises(NotFoundError, match="collection 'docs' does not exist in memory://absent"):
        Snapshot.open(storage, COLLECTION)
    with pytest.raises(UsageError, match="collection name '../x' must match"):
        Snapshot.open(storage, "../x")
    done = publish_documents(storage, {"a": ["alpha"]}, tmp_path)
    with pytest.raises(NotFoundError, match="channel 'production' does not exist"):
        Snapshot.open(storage, COLLECTION)
    with Snapshot.open(storage, COLLECTION, version=done.version[:6]) as snapshot:
        assert snapshot.version == done.version


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": flip,
    "first bit flipped": lambda data: bytes([data[0] ^ 128]) + data[1:],
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda data: data[:0],
    "extended": lambda data: data + b"\0",
    "zeroed": lambda data: bytes(len(data)),
    "missing": lambda _: None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_never_served_and_is_named(storage: Storage, tmp_path: Path, damage: str):
    published(storage, tmp_path, dead=[3, 4])
    victims = [
        entry.key
        for entry in storage.list(f"{COLLECTION}/")
        if "/catalog/" not in entry.key  # not needed to answer; its reader checks it
    ]
    assert len(victims) == 14
    for key in victims:
        whole = storage.read(key)
        damaged = DAMAGES[damage](whole)
        if damaged is None:
            storage.delete(key)
        else:
            storage.put(key, damaged)
        if damage == "missing" and key == "docs/log/000000000002.json":
            message, kind = "channel 'production' does not exist", NotFoundError
        elif damage == "missing" and key == "docs/format.json":
            message, kind = "collection 'docs' does not exist", NotFoundError
        else:
            message, kind = key, CorruptArtifactError
        with pytest.raises(kind, match=message):
            Snapshot.open(storage, COLLECTION)
        storage.put(key, whole)
    with Snapshot.open(storage, COLLECTION) as snapshot:
        assert snapshot.nearest(vector("text 7 part 2"), 1)[0].text == "text 7 part 2"


def test_swapped_files_are_noticed(storage: Storage, tmp_path: Path):
    published(storage, tmp_path)
    later = publish_documents(storage, {"z": ["something else"]}, tmp_path, run="two")
    one, two = (
        load_manifest(storage, version).shards[0]
        for version in CommitLog(storage, COLLECTION).read().versions.values()
    )
    for own, other in ((one.index.key, two.index.key), (one.chunks.key, two.chunks.key)):
        first, second = storage.read(own), storage.read(other)
        storage.put(own, second)
        storage.put(other, first)
        for version in (None, later.version):
            with pytest.raises(CorruptArtifactError, match="shards/"):
                Snapshot.open(storage, COLLECTION, version=version)
        storage.put(own, first)
        storage.put(other, second)


def test_a_deletion_vector_with_another_number_of_rows_is_refused(tmp_path: Path):
    storage = MemoryStorage("dead")
    manifest = build_manifest(storage, DOCUMENTS, tmp_path, dead=[1, 2, 3])
    shard = replace(manifest.shards[0], dead=2)
    counts = replace(manifest.counts, chunks_live=118, chunks_dead=2)
    log = commit_log(storage)
    publish(storage, log, replace(manifest, shards=(shard,), counts=counts), log.read())
    with pytest.raises(CorruptArtifactError, match=r"\.roaring: dead rows expected 2, found 3"):
        Snapshot.open(storage, COLLECTION, channel="candidate")


def test_a_copy_that_cannot_be_written_is_a_transient_error(tmp_path: Path):
    storage = MemoryStorage("copy")
    published(storage, tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    options = SnapshotOptions(cache=LocalCache(CacheOptions(folder=tmp_path / "file")))
    with pytest.raises(TransientError, match=r"copy of docs/versions/.*manifest\.json in "):
        Snapshot.open(storage, COLLECTION, options=options)


def test_without_verification_sizes_are_still_compared(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    done = published(storage, tmp_path)
    options = SnapshotOptions(verify=False)
    entry = load_manifest(storage, done.state.versions[done.version]).shards[0]
    storage.put(entry.chunks.key, storage.read(entry.chunks.key) + b"x")
    with pytest.raises(CorruptArtifactError, match=r"chunks\.arrow: expected \d+ bytes, found"):
        Snapshot.open(storage, COLLECTION, version=done.version, options=options)


def test_a_snapshot_keeps_answering_while_its_files_are_deleted(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    published(storage, tmp_path)
    with Snapshot.open(storage, COLLECTION) as snapshot:
        before = snapshot.nearest(vector("text 3 part 1"), 10)
        for entry in list(storage.list("")):
            storage.delete(entry.key)
        assert snapshot.nearest(vector("text 3 part 1"), 10) == before


def random_damage(data: bytes, draw: random.Random) -> bytes:
    """Flip, cut, zero, move or repeat something at random."""
    place = draw.randrange(len(data))
    length = draw.randrange(1, 64)
    match draw.randrange(5):
        case 0:
            return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
        case 1:
            return data[:place]
        case 2:
            return data[:place] + bytes(length) + data[place + length :]
        case 3:
            return data[:place] + data[place + length :]
        case _:
            return data[: place + length] + data[place:]


def test_random_damage_is_never_served(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    published(storage, tmp_path, dead=[3, 4])
    with Snapshot.open(storage, COLLECTION) as snapshot:
        expected = snapshot.nearest(vector("x"), 200)
    keys = [entry.key for entry in storage.list(f"{COLLECTION}/") if "/catalog/" not in entry.key]
    draw = random.Random(20_240_229)  # noqa: S311
    refused = harmless = 0
    for number in range(700):
        key = keys[number % len(keys)]
        whole = storage.read(key)
        damaged = random_damage(whole, draw)
        storage.put(key, damaged)
        try:
            with Snapshot.open(storage, COLLECTION) as snapshot:
                assert snapshot.nearest(vector("x"), 200) == expected
            assert damaged == whole or key.endswith(".json")  # white space between fields
            harmless += 1
        except (CorruptArtifactError, UsageError):
            refused += 1
        storage.put(key, whole)
    assert refused > 650
    assert refused + harmless == 700


def test_of_several_runs_that_publish_at_once_one_wins_each_time(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    rivals = 4

    def publish_until_done(number: int) -> None:
        folder = tmp_path / f"build-{number}"
        folder.mkdir()
        while True:
            try:
                log = CommitLog(storage, COLLECTION)
                state = log.read()
                parent = state.channels.get("candidate")
                documents = {"a": [f"by {number}"]}
                manifest = build_manifest(
                    storage, documents, folder, parent=parent, run=f"run-{number}"
                )
                publish(storage, log, manifest, state)
            except ConflictError:
                continue
            return

    threads = [threading.Thread(target=publish_until_done, args=(n,)) for n in range(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = CommitLog(storage, COLLECTION).read()
    assert state.seq == rivals
    assert {known.run for known in state.versions.values()} == {f"run-{n}" for n in range(rivals)}
    versions = list(state.versions.values())
    assert [known.parent for known in versions] == [None, *(v.version for v in versions[:-1])]


def test_a_file_that_comes_while_the_folder_is_removed_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A thread of tantivy takes its lock in the folder of links when it likes."""
    storage = MemoryStorage("late")
    publish_documents(storage, {"a.txt": ["some words"]}, tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    snapshot = Snapshot.open(storage, COLLECTION, channel="candidate")
    remove, late = os.rmdir, []

    def rmdir(path: str, *, dir_fd: int | None = None) -> None:
        if not late and Path(path).name.startswith("nightpress-lexical-"):
            late.append(Path(tmp_path, Path(path).name, ".tantivy-meta.lock"))
            late[0].touch()
        remove(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", rmdir)
    snapshot.close()
    assert late
    assert not list(tmp_path.glob("nightpress-*"))
