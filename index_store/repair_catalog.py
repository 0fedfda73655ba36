"""Rebuild the catalog of a version from chunk tables, deletion vectors and what parts are left.

A chunk table knows the documents of its rows, but not what their files looked like. Such a document
gets a line without content hash, so that the next run reads its file again; its chunks come out as
they are, and their embeddings are stored already.

Invariants: the live rows alone decide which documents have chunks; a line of a part that is left is
taken over only when it lays claim to exactly the rows that are live under its name.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from index_store.artifacts import read_artifact
from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.catalog import Catalog
from index_store.catalog_codec import decode_part, lines_table
from index_store.document_table import DocumentTable
from index_store.errors import CorruptArtifactError
from index_store.local_files import LocalFiles
from index_store.manifest import CatalogPart, ShardEntry
from index_store.records import DocumentRecord
from index_store.relocations import RelocationMap
from index_store.repair_shards import PORTION_ROWS, dead_rows, is_whole, open_chunks
from index_store.storage.base import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltCatalog:
    """A catalog made from what is left.

    Attributes:
        records: Every document, each uri once.
        unknown: How many of them have to be read again.
    """

    records: tuple[DocumentRecord, ...]
    unknown: int


def rebuild_catalog(
    storage: Storage,
    parts: Sequence[CatalogPart],
    shards: Sequence[ShardEntry],
    relocations: RelocationMap,
) -> RebuiltCatalog:
    """Rebuild a catalog of which a part is missing or damaged.

    Args:
        storage: The store.
        parts: Its parts, oldest first.
        shards: Shards whose chunk tables and deletion vectors are whole.
        relocations: Documents that moved.

    Raises:
        CorruptArtifactError: The same name has live rows in two places.
        TransientError: The store could not be read.
    """
    left, newest = _what_is_left(storage, parts)
    records: dict[str, DocumentRecord] = {}
    unknown = 0
    for entry in shards:
        for found in _live_documents(storage, entry, relocations):
            if found.uri in records:
                raise CorruptArtifactError(
                    f"catalog: a document has live rows in shard {records[found.uri].shard} "
                    f"and in shard {entry.id}, so it cannot be rebuilt"
                )
            known = left.get(found.uri)
            unknown += known is None or not _same_rows(known, found)
            records[found.uri] = found if known is None or not _same_rows(known, found) else known
    for record in newest.records():
        if not record.chunks:
            records.setdefault(record.uri, record)
    return RebuiltCatalog(records=tuple(records.values()), unknown=unknown)


def _what_is_left(storage: Storage, parts: Sequence[CatalogPart]) -> tuple[Catalog, Catalog]:
    """Return the catalog of all whole parts, and of those with no damaged part after them."""
    tables, newest = [lines_table([], [])], [lines_table([], [])]
    for part in parts:
        if is_whole(storage, part.artifact):
            data = read_artifact(storage, part.artifact)
            table = decode_part(data, part.rows, part.artifact.key)
            tables.append(table)
            newest.append(table)
        else:
            newest = newest[:1]
    return Catalog(tables), Catalog(newest)


def _same_rows(one: DocumentRecord, other: DocumentRecord) -> bool:
    return (one.shard, one.row_start, one.row_end) == (other.shard, other.row_start, other.row_end)


def _live_documents(
    storage: Storage, entry: ShardEntry, relocations: RelocationMap
) -> Iterator[DocumentRecord]:
    """Yield each run of live rows of one document, as far as the chunk table knows it."""
    dead = dead_rows(storage, entry)
    current: DocumentRecord | None = None
    with closing(LocalFiles(storage, None)) as files:
        table = open_chunks(files, entry)
        known = _known_by_row(files, entry)
        for start in range(0, entry.rows, PORTION_ROWS):
            end = min(start + PORTION_ROWS, entry.rows)
            for row, stored in enumerate(table.read(start, end), start):
                if row in dead:
                    continue
                uri = relocations.uri_of(entry.id, row, stored.uri)
                goes_on = (
                    current is not None
                    and current.uri == uri
                    and current.row_end == row
                    and stored.ordinal > 0
                )
                if current is not None and goes_on:
                    tokens = current.tokens + stored.chunk.tokens
                    current = replace(current, row_end=row + 1, tokens=tokens)
                    continue
                if current is not None:
                    yield current
                found = _unknown(uri, entry.id, row, stored.uri, stored.chunk.tokens)
                current = replace(found, attributes=known.get(row, NO_ATTRIBUTES))
    if current is not None:
        yield current


def _known_by_row(files: LocalFiles, entry: ShardEntry) -> dict[int, DocumentAttributes]:
    """Return what the document table knows, by first row, so that no right is lost with a catalog.

    A shard from before document tables was open to everybody, and stays so.
    """
    if entry.documents is None:
        return {}
    table = DocumentTable.open(files.checked_path(entry.documents, verify=True), rows=entry.rows)
    return {document.row_start: document.attributes for document in table.documents()}


def _unknown(uri: str, shard: str, row: int, written: str, tokens: int) -> DocumentRecord:
    return DocumentRecord(
        uri=uri,
        size_bytes=0,
        mtime_ns=0,
        content_hash="",
        work_key="",
        indexed_hash="",
        shard=shard,
        row_start=row,
        row_end=row + 1,
        shard_uri=written,
        tokens=tokens,
    )
