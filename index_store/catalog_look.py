"""Reading of a catalog only what is needed: a few columns of all lines, or all of a few lines.

A catalog of ten million documents does not fit into memory as records, and next to nothing of it
changes in a night.

Invariants: a part is checked against its hash before it is read; it is read a row group at a time;
what comes back is what the merged catalog says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from index_store.artifacts import check_file, read_artifact
from index_store.catalog import overlay
from index_store.catalog_codec import SCHEMA, open_part, read_batches, record_from_line
from index_store.manifest import CatalogPart
from index_store.records import DocumentRecord
from index_store.storage.base import Storage

LOOK_COLUMNS = (
    "uri",
    "removed",
    "size_bytes",
    "mtime_ns",
    "content_hash",
    "work_key",
    "rejection_reason",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTotals:
    """What a catalog adds up to.

    Attributes:
        documents: Documents, rejected ones excluded.
        rejected: Documents whose observed content is refused.
        chunks: Rows that documents lay claim to.
        tokens: Tokens of the chunks.
    """

    documents: int
    rejected: int
    chunks: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogOutcomes:
    """What became of the documents of a catalog.

    Attributes:
        notable: Those that are rejected or have no chunk, sorted by uri.
        quality: Number of documents of every quality that was found, by its name.
        poor: Those whose text came out poor, sorted.
    """

    notable: tuple[DocumentRecord, ...]
    quality: Mapping[str, int]
    poor: tuple[str, ...]


def look(storage: Storage, parts: Sequence[CatalogPart]) -> pa.Table:
    """Return what change detection needs of every document, in no order.

    Returns:
        Columns `uri`, `size_bytes`, `mtime_ns`, `hashed` (whether the content could be read),
        `work_key` (a dictionary) and `rejected`.

    Raises:
        CorruptArtifactError: A part is missing or damaged.
        TransientError: The store could not be read.
    """
    tables = [
        pa.concat_tables([_shrunk(lines) for lines in _batches(storage, part, LOOK_COLUMNS)])
        for part in parts
        if part.rows
    ]
    if not tables:
        tables = [_shrunk(SCHEMA.empty_table())]
    merged = overlay([table.unify_dictionaries() for table in tables]).unify_dictionaries()
    return merged.filter(pc.invert(merged.column("removed"))).drop_columns("removed")


def live_columns(
    storage: Storage, parts: Sequence[CatalogPart], columns: Sequence[str]
) -> pa.Table:
    """Return some columns of every document, in no order, with `uri` first; raises as `look` does.

    Args:
        storage: The store.
        parts: Parts of the catalog, oldest first.
        columns: Names of other columns of the catalog.
    """
    names = ("uri", "removed", *columns)
    tables = [pa.concat_tables(list(_batches(storage, part, names))) for part in parts if part.rows]
    if not tables:
        tables = [SCHEMA.empty_table().select(list(names))]
    merged = overlay(tables)
    return merged.filter(pc.invert(merged.column("removed"))).drop_columns("removed")


def look_at_outcomes(storage: Storage, parts: Sequence[CatalogPart]) -> CatalogOutcomes:
    """Return what became of the documents of a catalog; raises as `look` does."""
    columns = ("rejection_reason", "row_start", "row_end", "quality")
    lines = live_columns(storage, parts, columns)
    refused = pc.is_valid(lines.column("rejection_reason"))
    empty = pc.equal(lines.column("row_end"), lines.column("row_start"))
    quality = lines.column("quality")
    notable = find_documents(
        storage, parts, lines.column("uri").filter(pc.or_(refused, empty)).to_pylist()
    )
    counted = pc.value_counts(quality.drop_null()).to_pylist()
    return CatalogOutcomes(
        notable=tuple(notable[uri] for uri in sorted(notable)),
        quality={entry["values"]: entry["counts"] for entry in counted},
        poor=tuple(sorted(lines.column("uri").filter(pc.equal(quality, "poor")).to_pylist())),
    )


def catalog_totals(storage: Storage, parts: Sequence[CatalogPart]) -> CatalogTotals:
    """Add up a catalog; raises as `look` does."""
    columns = ("uri", "removed", "rejection_reason", "row_start", "row_end", "tokens")
    newer: list[pa.Array] = []
    lines = rejected = chunks = tokens = 0
    for part in reversed(parts):
        seen = pa.chunked_array(newer, pa.string())
        for batch in _batches(storage, part, columns):
            uris = batch.column("uri")
            hidden = pc.or_(pc.is_in(uris, value_set=seen), batch.column("removed"))
            live = batch.filter(pc.invert(hidden))
            lines += live.num_rows
            rejected += live.num_rows - live.column("rejection_reason").null_count
            chunks += _sum(live, "row_end") - _sum(live, "row_start")
            tokens += _sum(live, "tokens")
            if part is not parts[0]:
                newer += uris.chunks
    return CatalogTotals(
        documents=lines - rejected, rejected=rejected, chunks=chunks, tokens=tokens
    )


def find_documents(
    storage: Storage, parts: Sequence[CatalogPart], uris: Iterable[str]
) -> dict[str, DocumentRecord]:
    """Return the lines of some documents, by uri; those that are not in the catalog are left out.

    Raises:
        CorruptArtifactError: A part is missing or damaged.
        TransientError: The store could not be read.
    """
    wanted = pa.array(sorted(set(uris)), pa.string())
    found: dict[str, DocumentRecord] = {}
    for part in reversed(parts):
        if not len(wanted):
            break
        seen: list[str] = []
        for lines in _batches(storage, part, SCHEMA.names):
            for line in lines.filter(pc.is_in(lines.column("uri"), value_set=wanted)).to_pylist():
                seen.append(line["uri"])
                if not line["removed"]:
                    found[line["uri"]] = record_from_line(line)
        wanted = wanted.filter(pc.invert(pc.is_in(wanted, value_set=pa.array(seen, pa.string()))))
    return found


def _shrunk(lines: pa.Table) -> pa.Table:
    return pa.table(
        {
            "uri": lines.column("uri"),
            "removed": lines.column("removed"),
            "size_bytes": lines.column("size_bytes"),
            "mtime_ns": lines.column("mtime_ns"),
            "hashed": pc.not_equal(lines.column("content_hash"), ""),
            "work_key": lines.column("work_key").dictionary_encode(),
            "rejected": pc.is_valid(lines.column("rejection_reason")),
        }
    )


def _sum(lines: pa.Table, column: str) -> int:
    return int(pc.sum(lines.column(column)).as_py() or 0)


def _batches(storage: Storage, part: CatalogPart, columns: Sequence[str]) -> Iterator[pa.Table]:
    artifact = part.artifact
    path = storage.local_path(artifact.key)
    if path is None:
        source = pa.BufferReader(read_artifact(storage, artifact))
    else:
        check_file(path, artifact, verify=True)
        source = pa.memory_map(str(path))
    with source:
        yield from read_batches(open_part(source, part.rows, artifact.key), columns, artifact.key)
