"""What differs between two versions, document by document and setting by setting."""

from dataclasses import replace

from index_store.artifacts import Artifact
from index_store.manifest import Counts, HnswSettings, Manifest, ShardEntry
from index_store.records import DocumentRecord
from index_store.version_diff import Difference, DocumentDiff, diff_documents, diff_manifests
from tests.index_store.store_builders import SPEC


def catalog(**contents: str | None) -> list[DocumentRecord]:
    """Documents by name and content; None is a document that is rejected and serves nothing."""
    return [
        DocumentRecord(
            uri=uri,
            size_bytes=1,
            mtime_ns=1,
            content_hash=content or "refused",
            work_key="",
            indexed_hash=content,
        )
        for uri, content in contents.items()
    ]


def test_documents_are_told_apart_by_what_serves():
    before = catalog(same="1", edited="2", gone="3", old_name="4", refused=None, broke="6")
    after = catalog(same="1", edited="9", new="7", new_name="4", refused="5", broke=None)
    assert diff_documents(before, after) == DocumentDiff(
        added=("new", "refused"),
        changed=("edited",),
        moved=(("old_name", "new_name"),),
        removed=("broke", "gone"),
        same=1,
    )


def test_copies_are_paired_in_order_and_what_is_left_over_is_told():
    before = catalog(a="x", b="x", c="x")
    after = catalog(d="x", e="x")
    assert diff_documents(before, after) == DocumentDiff(
        added=(), changed=(), moved=(("a", "d"), ("b", "e")), removed=("c",), same=0
    )
    assert diff_documents(after, before) == DocumentDiff(
        added=("c",), changed=(), moved=(("d", "a"), ("e", "b")), removed=(), same=0
    )


def test_equal_catalogs_differ_in_nothing():
    same = catalog(a="1", b=None)
    assert diff_documents(same, same) == DocumentDiff(
        added=(), changed=(), moved=(), removed=(), same=1
    )


def test_settings_that_differ_are_named():
    artifact = Artifact(key="docs/shards/a/index.faiss", size_bytes=1, sha256="a" * 64)
    shard = ShardEntry(
        id="a" * 64,
        rows=1,
        dead=0,
        dimension=16,
        hnsw=HnswSettings(m=8, ef_construction=20, ef_search=16),
        index=artifact,
        chunks=artifact,
    )
    before = Manifest(
        collection="docs",
        parent=None,
        run="one",
        created_at_ms=1,
        embedder=SPEC,
        chunker="words:8",
        shards=(shard,),
        catalog=(),
        counts=Counts(documents=0, rejected=0, chunks_live=1, chunks_dead=0, tokens=0),
        settings={"overlap": 64},
    )
    assert diff_manifests(before, replace(before, run="two", created_at_ms=2)) == ()
    after = replace(
        before,
        embedder=replace(SPEC, model="other"),
        chunker="words:9",
        shards=(replace(shard, hnsw=HnswSettings(m=16, ef_construction=20, ef_search=16)),),
        settings={"overlap": 32, "sentences": "yes"},
    )
    assert diff_manifests(before, after) == (
        Difference(name="chunker", before="words:8", after="words:9"),
        Difference(name="embedder.model", before="hashed", after="other"),
        Difference(name="settings.overlap", before="64", after="32"),
        Difference(name="settings.sentences", before=None, after="yes"),
        Difference(
            name="shards",
            before="m 8, ef_construction 20, ef_search 16, storage flat",
            after="m 16, ef_construction 20, ef_search 16, storage flat",
        ),
    )
