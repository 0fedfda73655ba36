"""The catalog: later lines override earlier ones, parts stay few, bytes follow the change."""

from dataclasses import replace
from itertools import pairwise
from math import log2
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_store.artifacts import Artifact, store_artifact
from index_store.attributes import DocumentAttributes
from index_store.catalog import Catalog, plan_parts
from index_store.catalog_codec import decode_part, encode_part, lines_table
from index_store.catalog_files import load_catalog, store_changes
from index_store.catalog_look import find_documents, look, look_at_outcomes
from index_store.errors import CorruptArtifactError, UsageError
from index_store.manifest import CatalogPart, Manifest
from index_store.records import DocumentRecord, Quality, Reason, Rejection
from index_store.storage.base import Storage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import build_manifest


def record(uri: str, content: str = "a") -> DocumentRecord:
    return DocumentRecord(
        uri=uri,
        size_bytes=len(content),
        mtime_ns=1_700_000_000_123_456_789,
        content_hash=content * 64,
        work_key="work",
        indexed_hash=content * 64,
        shard="5" * 64,
        row_start=10,
        row_end=13,
        shard_uri=uri,
        tokens=7,
    )


REFUSED = DocumentRecord(
    uri="bad/é\n.pdf",
    size_bytes=0,
    mtime_ns=0,
    content_hash="",
    work_key="work",
    rejection=Rejection(reason=Reason.TIMEOUT, detail="after 120 s", parser="pdf 1", attempts=3),
)


def part(rows: int) -> CatalogPart:
    return CatalogPart(artifact=Artifact(key="k", size_bytes=1, sha256="0" * 64), rows=rows)


def catalog_of(storage: Storage, parts: tuple[CatalogPart, ...], base: Manifest) -> Catalog:
    return load_catalog(storage, replace(base, catalog=parts))


@pytest.fixture
def base(tmp_path: Path) -> Manifest:
    return build_manifest(MemoryStorage("base"), {"a": ["alpha"]}, tmp_path)


def test_the_catalog_of_no_version_is_empty():
    catalog = load_catalog(MemoryStorage("none"), None)
    assert len(catalog) == 0
    assert list(catalog.records()) == catalog.uris() == []
    assert catalog.get("x") is None
    assert catalog.total("tokens") == catalog.rejected() == 0


def test_lines_come_back_as_they_were(base: Manifest):
    storage = MemoryStorage("lines")
    records = [record("b"), REFUSED, record("a/ü")]
    catalog = catalog_of(storage, store_changes(storage, "docs", (), records, []), base)
    assert list(catalog.records()) == sorted(records, key=lambda item: item.uri)
    assert catalog.get("b") == record("b")
    assert catalog.get(REFUSED.uri) == REFUSED
    assert catalog.get("c") is None
    assert catalog.total("tokens") == 14
    assert catalog.rejected() == 1
    assert catalog.uris() == ["a/ü", "b", REFUSED.uri]


def test_attributes_and_quality_come_back_as_they_were(base: Manifest):
    storage = MemoryStorage("attributes")
    known = replace(
        record("a"),
        attributes=DocumentAttributes(title="Été", groups=(), extra={"n": "1"}),
        quality=Quality.POOR,
    )
    parts = store_changes(storage, "docs", (), [known, record("b")], [])
    assert list(catalog_of(storage, parts, base).records()) == [known, record("b")]


def test_a_part_written_before_there_were_attributes_is_read_and_merged(base: Manifest):
    storage = MemoryStorage("old")
    old = lines_table([record("a"), record("c")], []).drop_columns(["attributes", "quality"])
    path = f"docs/catalog/{'0' * 64}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(old, sink)
    parts = (
        CatalogPart(artifact=store_artifact(storage, path, sink.getvalue().to_pybytes()), rows=2),
    )
    assert list(catalog_of(storage, parts, base).records()) == [record("a"), record("c")]
    assert find_documents(storage, parts, ["c"]) == {"c": record("c")}
    assert look(storage, parts).num_rows == 2
    assert look_at_outcomes(storage, parts).quality == {}
    judged = replace(record("b"), quality=Quality.GOOD)
    merged = store_changes(storage, "docs", parts, [judged], ["c"])
    assert len(merged) == 1
    assert list(catalog_of(storage, merged, base).records()) == [record("a"), judged]


def test_documents_of_shards_are_told(base: Manifest):
    storage = MemoryStorage("shards")
    other = replace(record("b"), shard="6" * 64)
    empty = replace(record("none"), row_start=0, row_end=0, shard_uri="")
    parts = store_changes(storage, "docs", (), [record("c"), record("a"), other, empty], [])
    catalog = catalog_of(storage, parts, base)
    assert list(catalog.in_shards(["5" * 64])) == [record("a"), record("c")]
    assert list(catalog.in_shards(["5" * 64, "6" * 64])) == [record("a"), other, record("c")]
    assert list(catalog.in_shards([])) == []


def test_moved_documents_are_told(base: Manifest):
    storage = MemoryStorage("moved")
    moved = replace(record("new"), shard_uri="old")
    empty = replace(record("none"), row_start=0, row_end=0, shard_uri="", shard=None)
    parts = store_changes(storage, "docs", (), [record("a"), moved, empty], [])
    assert list(catalog_of(storage, parts, base).moved()) == [moved]


def test_nothing_changed_writes_nothing():
    storage = MemoryStorage("same")
    parts = store_changes(storage, "docs", (), [record("a")], [])
    before = list(storage.list(""))
    assert store_changes(storage, "docs", parts, [], []) == parts
    assert list(storage.list("")) == before


def test_everything_removed_leaves_no_part():
    storage = MemoryStorage("removed")
    parts = store_changes(storage, "docs", (), [record("a"), record("b")], [])
    assert store_changes(storage, "docs", parts, [], ["a", "b"]) == ()


def test_equal_lines_are_equal_bytes():
    records = [record(f"doc{number}") for number in range(50)]
    assert encode_part(records, ["x", "y"]) == encode_part(records[::-1], ["y", "x"])


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["-", "1", "2"]), min_size=1),
        max_size=8,
    )
)
def test_a_catalog_is_the_sum_of_its_changes(nights: list[dict[str, str]]):
    storage = MemoryStorage("property")
    parts: tuple[CatalogPart, ...] = ()
    model: dict[str, DocumentRecord] = {}
    for night in nights:
        changed = [record(uri, content) for uri, content in night.items() if content != "-"]
        removed = [uri for uri, content in night.items() if content == "-"]
        parts = store_changes(storage, "docs", parts, changed, removed)
        model |= {item.uri: item for item in changed}
        for uri in removed:
            model.pop(uri, None)
    tables = [decode_part(storage.read(p.artifact.key), p.rows, "part") for p in parts]
    catalog = Catalog(tables or [lines_table([], [])])
    assert {item.uri: item for item in catalog.records()} == model
    assert catalog.uris() == sorted(model)


def test_parts_stay_few_and_writing_follows_the_change():
    parts: list[CatalogPart] = []
    written = 0
    nights = 3000
    for _ in range(nights):
        plan = plan_parts(parts, 100)
        size = 100 + sum(item.rows for item in plan.merged)
        written += size
        parts = [*plan.kept, part(size)]
        assert len(parts) <= 2 + log2(nights) / 2
        assert all(older.rows >= 4 * newer.rows for older, newer in pairwise(parts))
    assert written <= 100 * nights * 4 * log2(nights)


def test_a_large_part_is_left_alone_by_small_changes():
    plan = plan_parts([part(1_000_000), part(900), part(100)], 50)
    assert [item.rows for item in plan.kept] == [1_000_000, 900]
    assert [item.rows for item in plan.merged] == [100]
    assert [item.rows for item in plan_parts(plan.kept, 300).merged] == [900]
    assert plan_parts([part(1_000_000)], 10).kept[0].rows == 1_000_000
    assert plan_parts([part(10)], 10).is_whole


@pytest.mark.parametrize(
    ("changed", "removed"), [(["a", "a"], []), (["a"], ["a"]), ([], ["a", "a"])]
)
def test_a_uri_is_given_once(changed: list[str], removed: list[str]):
    with pytest.raises(UsageError, match="catalog: 'a' is given twice"):
        encode_part([record(uri) for uri in changed], removed)


def test_a_uri_that_is_no_unicode_is_refused():
    with pytest.raises(UsageError, match="not valid unicode"):
        encode_part([record("\ud800")], [])


def test_damage_is_named(base: Manifest):
    storage = MemoryStorage("damage")
    parts = store_changes(storage, "docs", (), [record("a")], [])
    key = parts[0].artifact.key
    whole = storage.read(key)
    for damaged in (whole[:-1], b"", whole[:50] + b"\0" + whole[51:]):
        storage.put(key, damaged)
        with pytest.raises(CorruptArtifactError, match=key):
            catalog_of(storage, parts, base)
    storage.delete(key)
    with pytest.raises(CorruptArtifactError, match=f"{key}: expected .* found nothing"):
        catalog_of(storage, parts, base)


def test_what_is_no_part_is_refused():
    with pytest.raises(CorruptArtifactError, match="x: expected a part of a catalog, found"):
        decode_part(b"nothing of the kind", 1, "x")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"uri": ["a"]}), sink)
    with pytest.raises(CorruptArtifactError, match="x: expected columns of nightpress.catalog.v1"):
        decode_part(sink.getvalue().to_pybytes(), 1, "x")
    with pytest.raises(CorruptArtifactError, match="x: rows expected 2, found 1"):
        decode_part(encode_part([record("a")], []), 2, "x")
