"""Reading a few columns or a few lines says what the whole merged catalog says."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_store.artifacts import store_artifact
from index_store.catalog import Catalog
from index_store.catalog_codec import decode_part, encode_part, lines_table
from index_store.catalog_files import store_changes
from index_store.catalog_look import (
    CatalogOutcomes,
    CatalogTotals,
    catalog_totals,
    find_documents,
    look,
    look_at_outcomes,
)
from index_store.errors import CorruptArtifactError
from index_store.manifest import CatalogPart
from index_store.records import DocumentRecord, Quality, Reason, Rejection
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage

REJECTION = Rejection(reason=Reason.TIMEOUT, detail="after 120 s")
NAMES = tuple("abcdefgh")
QUALITIES = (None, Quality.GOOD, Quality.POOR)


def record(uri: str, chunks: int, *, rejected: bool = False) -> DocumentRecord:
    return DocumentRecord(
        uri=uri,
        size_bytes=chunks,
        mtime_ns=chunks,
        content_hash="" if rejected and chunks % 2 else "c" * 64,
        work_key=f"work-{chunks % 3}",
        rejection=REJECTION if rejected else None,
        row_end=chunks,
        shard="5" * 64 if chunks else None,
        shard_uri=uri,
        tokens=10 * chunks,
        quality=QUALITIES[chunks % len(QUALITIES)],
    )


Night = tuple[Mapping[str, tuple[int, bool]], Sequence[str]]
nights_strategy = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 5), st.booleans())),
        st.lists(st.sampled_from(NAMES), unique=True),
    ),
    max_size=5,
)


def stored(storage: Storage, nights: Sequence[Night]) -> tuple[CatalogPart, ...]:
    """One part per night, never merged."""
    parts: tuple[CatalogPart, ...] = ()
    for changed, removed in nights:
        records = [
            record(uri, chunks, rejected=rejected) for uri, (chunks, rejected) in changed.items()
        ]
        gone = [uri for uri in removed if uri not in changed]
        data = encode_part(records, gone)
        artifact = store_artifact(storage, f"docs/catalog/{len(parts)}.parquet", data)
        parts = (*parts, CatalogPart(artifact=artifact, rows=len(records) + len(gone)))
    return parts


def whole(storage: Storage, parts: Sequence[CatalogPart]) -> Catalog:
    tables = [decode_part(storage.read(each.artifact.key), each.rows, "part") for each in parts]
    return Catalog(tables or [lines_table([], [])])


@given(nights_strategy)
def test_it_agrees_with_the_whole_catalog(nights: list[Night]):
    storage = MemoryStorage("look")
    parts = stored(storage, nights)
    records = {each.uri: each for each in whole(storage, parts).records()}
    lines = look(storage, parts).to_pylist()
    assert len(lines) == len(records)
    for line in lines:
        known = records[line["uri"]]
        assert line == {
            "uri": known.uri,
            "size_bytes": known.size_bytes,
            "mtime_ns": known.mtime_ns,
            "hashed": bool(known.content_hash),
            "work_key": known.work_key,
            "rejected": known.rejection is not None,
        }
    assert find_documents(storage, parts, [*NAMES, "never"]) == records
    rejected = sum(known.rejection is not None for known in records.values())
    assert catalog_totals(storage, parts) == CatalogTotals(
        documents=len(records) - rejected,
        rejected=rejected,
        chunks=sum(known.chunks for known in records.values()),
        tokens=sum(known.tokens for known in records.values()),
    )
    found = [known.quality.value for known in records.values() if known.quality]
    assert look_at_outcomes(storage, parts) == CatalogOutcomes(
        notable=tuple(
            records[uri]
            for uri in sorted(records)
            if records[uri].rejection is not None or not records[uri].chunks
        ),
        quality={name: found.count(name) for name in found},
        poor=tuple(uri for uri in sorted(records) if records[uri].quality is Quality.POOR),
    )


def test_only_what_is_asked_for_is_found(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    parts = store_changes(storage, "docs", (), [record(name, 2) for name in NAMES], [])
    assert find_documents(storage, parts, ["c", "x"]) == {"c": record("c", 2)}
    assert find_documents(storage, parts, []) == {}
    assert find_documents(storage, (), ["a"]) == {}


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_damaged_part_is_told(tmp_path: Path, kind: str):
    storage = FolderStorage(tmp_path) if kind == "folder" else MemoryStorage("damaged")
    (part,) = store_changes(storage, "docs", (), [record("a", 2)], [])
    data = bytearray(storage.read(part.artifact.key))
    data[len(data) // 2] ^= 1
    storage.put(part.artifact.key, bytes(data))
    for reading in (look, catalog_totals):
        with pytest.raises(CorruptArtifactError, match="expected sha256"):
            reading(storage, (part,))
    with pytest.raises(CorruptArtifactError, match="expected sha256"):
        find_documents(storage, (part,), ["a"])


def test_another_number_of_lines_is_told():
    storage = MemoryStorage("lines")
    (part,) = store_changes(storage, "docs", (), [record("a", 2)], [])
    with pytest.raises(CorruptArtifactError, match="rows expected 2, found 1"):
        look(storage, (replace(part, rows=2),))
