"""Parts of the catalog as Parquet bytes and back; pure.

Invariants: equal lines are equal bytes, in whatever order they are given; a part that was written
before a column was added reads as one in which nothing is known of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from index_store.attributes import decode_attributes, encode_attributes
from index_store.errors import CorruptArtifactError, UsageError
from index_store.records import DocumentRecord, Quality, Reason, Rejection

FORMAT = b"nightpress.catalog.v1"
ROW_GROUP_ROWS = 65_536  # part of the format: another size gives other bytes

SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("removed", pa.bool_(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("work_key", pa.string(), nullable=False),
        pa.field("rejection_reason", pa.string()),
        pa.field("rejection_detail", pa.string()),
        pa.field("rejection_parser", pa.string()),
        pa.field("rejection_attempts", pa.int32()),
        pa.field("indexed_hash", pa.string()),
        pa.field("shard", pa.string()),
        pa.field("row_start", pa.int64(), nullable=False),
        pa.field("row_end", pa.int64(), nullable=False),
        pa.field("shard_uri", pa.string(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("attributes", pa.string()),
        pa.field("quality", pa.string()),
    ],
    metadata={b"format": FORMAT},
)
_ADDED_LATER = ("attributes", "quality")
"""Columns at the end of the schema that the first parts of this format do not have."""
_FIRST_SCHEMA = pa.schema(
    [kind for kind in SCHEMA if kind.name not in _ADDED_LATER], metadata=SCHEMA.metadata
)


def lines_table(records: Iterable[DocumentRecord], removed: Iterable[str]) -> pa.Table:
    """Return records and tombstones as a table sorted by uri.

    Args:
        records: Documents, each uri once.
        removed: Names of documents that are gone; none of `records`.

    Raises:
        UsageError: A uri is given twice, or is not valid Unicode.
    """
    lines = [_line(record) for record in records]
    lines += [_tombstone(uri) for uri in removed]
    lines.sort(key=lambda line: str(line["uri"]))
    for one, next_one in pairwise(lines):
        if one["uri"] == next_one["uri"]:
            raise UsageError(f"catalog: {one['uri']!r} is given twice")
    try:
        return pa.Table.from_pylist(lines, schema=SCHEMA)
    except UnicodeEncodeError as error:
        raise UsageError(f"catalog: a uri is not valid unicode: {error.reason}") from error


def encode_table(table: pa.Table) -> bytes:
    """Return a part's bytes.

    Args:
        table: Made by `lines_table` or `catalog.merge_tables`, sorted by uri.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
    return bytes(sink.getvalue().to_pybytes())


def encode_part(records: Iterable[DocumentRecord], removed: Iterable[str]) -> bytes:
    """Return the bytes of a part with these documents and tombstones; see `lines_table`."""
    return encode_table(lines_table(records, removed))


def open_part(source: pa.NativeFile, rows: int, name: str) -> pq.ParquetFile:
    """Open a part, to read of it what is needed.

    Args:
        source: Its bytes, already checked against their hash.
        rows: The lines it must have.
        name: What to call it in messages.

    Raises:
        CorruptArtifactError: It is no part of a catalog, or has another number of lines.
    """
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise _no_part(name, error) from error
    schema = file.schema_arrow
    if schema.metadata != SCHEMA.metadata or schema not in (SCHEMA, _FIRST_SCHEMA):
        raise CorruptArtifactError(f"{name}: expected columns of {FORMAT.decode()}")
    if file.metadata.num_rows != rows:
        raise CorruptArtifactError(f"{name}: rows expected {rows}, found {file.metadata.num_rows}")
    return file


def read_batches(file: pq.ParquetFile, columns: Sequence[str], name: str) -> Iterator[pa.Table]:
    """Yield the lines of a part in order, some columns of them, a row group at a time.

    Raises:
        CorruptArtifactError: A row group is damaged.
    """
    for number in range(file.num_row_groups):
        try:
            lines = file.read_row_group(number, columns=list(columns), use_threads=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            raise _no_part(name, error) from error
        yield _with_all(lines, columns)


def decode_part(data: bytes, rows: int, name: str) -> pa.Table:
    """Read a whole part; see `open_part`.

    In this thread alone: one of Arrow's that lets go of Python's bytes while the interpreter ends
    takes the whole process down.
    """
    file = open_part(pa.BufferReader(data), rows, name)
    try:
        lines = file.read(use_threads=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise _no_part(name, error) from error
    return _with_all(lines, SCHEMA.names)


def _with_all(lines: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the columns asked for, those that a part of before does not have without values."""
    for name in columns:
        if name in _ADDED_LATER and name not in lines.column_names:
            kind = SCHEMA.field(name)
            lines = lines.append_column(kind, pa.nulls(lines.num_rows, kind.type))
    return lines


def _no_part(name: str, error: Exception) -> CorruptArtifactError:
    found = str(error).splitlines()[0]
    return CorruptArtifactError(f"{name}: expected a part of a catalog, found {found}")


def record_from_line(line: Mapping[str, Any]) -> DocumentRecord:
    """Return the record of a line that is no tombstone."""
    reason = line["rejection_reason"]
    rejection = None
    if reason is not None:
        rejection = Rejection(
            reason=Reason(reason),
            detail=line["rejection_detail"],
            parser=line["rejection_parser"],
            attempts=line["rejection_attempts"],
        )
    names = (
        "uri",
        "size_bytes",
        "mtime_ns",
        "content_hash",
        "work_key",
        "indexed_hash",
        "shard",
        "row_start",
        "row_end",
        "shard_uri",
        "tokens",
    )
    quality = line["quality"]
    return DocumentRecord(
        rejection=rejection,
        attributes=decode_attributes(line["attributes"] or "", f"catalog line {line['uri']}"),
        quality=None if quality is None else Quality(quality),
        **{name: line[name] for name in names},
    )


def _line(record: DocumentRecord) -> dict[str, object]:
    rejection = record.rejection
    return {
        "uri": record.uri,
        "removed": False,
        "size_bytes": record.size_bytes,
        "mtime_ns": record.mtime_ns,
        "content_hash": record.content_hash,
        "work_key": record.work_key,
        "rejection_reason": None if rejection is None else rejection.reason.value,
        "rejection_detail": None if rejection is None else rejection.detail,
        "rejection_parser": None if rejection is None else rejection.parser,
        "rejection_attempts": None if rejection is None else rejection.attempts,
        "indexed_hash": record.indexed_hash,
        "shard": record.shard,
        "row_start": record.row_start,
        "row_end": record.row_end,
        "shard_uri": record.shard_uri,
        "tokens": record.tokens,
        "attributes": encode_attributes(record.attributes) or None,
        "quality": None if record.quality is None else record.quality.value,
    }


def _tombstone(uri: str) -> dict[str, object]:
    return {
        "uri": uri,
        "removed": True,
        "size_bytes": 0,
        "mtime_ns": 0,
        "content_hash": "",
        "work_key": "",
        "row_start": 0,
        "row_end": 0,
        "shard_uri": "",
        "tokens": 0,
    }
