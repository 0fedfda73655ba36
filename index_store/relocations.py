"""Relocations: documents that moved while their chunks stayed where they were; pure.

A chunk table is immutable, so its rows keep the uri under which they were written. A version lists
the row ranges that go by another uri now, and a snapshot answers with that one.

Invariant: ranges of one shard do not overlap.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from index_store.errors import CorruptArtifactError
from index_store.records import DocumentRecord

FORMAT = b"nightpress.relocations.v1"

SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row_start", pa.int64(), nullable=False),
        pa.field("row_end", pa.int64(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
    ],
    metadata={b"format": FORMAT},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """Rows [row_start, row_end) of a shard belong to the document `uri` now."""

    shard: str
    row_start: int
    row_end: int
    uri: str


class RelocationMap:
    """Finds the current uri of a row; immutable."""

    def __init__(self, relocations: Iterable[Relocation]) -> None:
        self._ranges: dict[str, list[Relocation]] = {}
        for item in sorted(relocations, key=lambda item: (item.shard, item.row_start)):
            self._ranges.setdefault(item.shard, []).append(item)
        self._starts = {
            shard: [item.row_start for item in items] for shard, items in self._ranges.items()
        }

    def concern(self, shard: str) -> bool:
        """Tell whether rows of a shard go by another uri."""
        return shard in self._ranges

    def uri_of(self, shard: str, row: int, written: str) -> str:
        """Return the current uri of a row that was written under `written`."""
        place = bisect_right(self._starts.get(shard, []), row) - 1
        if place < 0:
            return written
        item = self._ranges[shard][place]
        return item.uri if row < item.row_end else written


def relocations_of(moved: Iterable[DocumentRecord]) -> list[Relocation]:
    """Return the relocations of documents whose rows bear another uri (`Catalog.moved`)."""
    return [
        Relocation(
            shard=record.shard, row_start=record.row_start, row_end=record.row_end, uri=record.uri
        )
        for record in moved
        if record.shard is not None
    ]


def encode_relocations(relocations: Iterable[Relocation]) -> bytes:
    """Return relocations as Arrow IPC bytes; equal sets are equal bytes."""
    ordered = sorted(relocations, key=lambda item: (item.shard, item.row_start))
    columns = [
        [item.shard for item in ordered],
        [item.row_start for item in ordered],
        [item.row_end for item in ordered],
        [item.uri for item in ordered],
    ]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
    return bytes(sink.getvalue().to_pybytes())


def decode_relocations(data: bytes, name: str) -> list[Relocation]:
    """Read relocations from bytes that were checked against their hash.

    Raises:
        CorruptArtifactError: They are no relocations.
    """
    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptArtifactError(
            f"{name}: expected relocations, found {str(error).splitlines()[0]}"
        ) from error
    if table.schema.metadata != SCHEMA.metadata or not table.schema.equals(SCHEMA):
        raise CorruptArtifactError(f"{name}: expected columns of {FORMAT.decode()}")
    return [Relocation(**line) for line in table.to_pylist()]
