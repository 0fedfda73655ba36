"""The document table of a shard: which rows a document has, and what is known of it; memory-mapped.

It is what filters, rights and the titles in citations are made of. A shard that was published
before there were document tables has none; its documents are read from the chunk table then, and
nothing is known of them.

Invariants: one line per run of rows of a document, in order of row, without gaps; the file is
uncompressed Arrow IPC in batches of a fixed size, so equal documents are equal bytes; values of
`extra` and groups are kept as they are, never folded.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes, encode_attributes
from index_store.cells import cells_of
from index_store.errors import CorruptArtifactError
from index_store.ids import DOCUMENT_SCHEME, hex_digest

BATCH_ROWS = 1024  # part of the format: another size gives other bytes
FORMAT = b"nightpress.documents.v1"

SCHEMA = pa.schema(
    [
        pa.field("row_start", pa.int64(), nullable=False),
        pa.field("row_end", pa.int64(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("media_type", pa.string(), nullable=False),
        pa.field("document_type", pa.string(), nullable=False),
        pa.field("theme", pa.string(), nullable=False),
        pa.field("keywords", pa.list_(pa.string()), nullable=False),
        pa.field("groups", pa.list_(pa.string())),
        pa.field("extra", pa.map_(pa.string(), pa.string()), nullable=False),
    ],
    metadata={b"format": FORMAT},
)
_TEXTS = ("title", "url", "date", "language", "media_type", "document_type", "theme")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDocument:
    """One line: the rows of a document in a shard.

    Attributes:
        uri: Name of the document when the rows were written.
        row_start: First row.
        row_end: One past the last row.
        attributes: What is known of the document.
    """

    uri: str
    row_start: int
    row_end: int
    attributes: DocumentAttributes = NO_ATTRIBUTES


def documents_hash(documents: Iterable[ShardDocument]) -> str:
    """Return 64 hexadecimal characters that stand for documents in their order."""
    parts: list[str | int] = []
    for document in documents:
        parts += [document.uri, document.row_start, document.row_end]
        parts.append(encode_attributes(document.attributes))
    return hex_digest(DOCUMENT_SCHEME, *parts)


def write_documents(path: Path, documents: Sequence[ShardDocument]) -> None:
    """Write the document table of a shard to a local file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for start in range(0, len(documents), BATCH_ROWS):
            writer.write_batch(_batch(documents[start : start + BATCH_ROWS]))


class DocumentTable:
    """An open document table; rows are read when they are asked for.

    Attributes:
        table: The columns, one chunk each; what filters work on.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        self._uri = cells_of(columns["uri"])
        self._texts = tuple(cells_of(columns[name]) for name in _TEXTS)
        self._keywords = cells_of(columns["keywords"])
        self._groups = cells_of(columns["groups"])
        self._extra = cells_of(columns["extra"])

    @classmethod
    def open(cls, path: Path, *, rows: int) -> "DocumentTable":
        """Map a local file whose size and hash were checked.

        Args:
            path: The file.
            rows: Rows of the shard.

        Raises:
            CorruptArtifactError: It is no document table, or not that of a shard with these rows.
        """
        table = _read(lambda: pa.memory_map(str(path)), str(path))
        starts, ends = table["row_start"].to_pylist(), table["row_end"].to_pylist()
        if [0, *ends] != [*starts, rows]:
            raise CorruptArtifactError(f"{path}: its documents do not cover the rows 0 to {rows}")
        return cls(table.combine_chunks())

    @classmethod
    def of_runs(cls, runs: Iterable[tuple[str, int, int]]) -> "DocumentTable":
        """Make one of (uri, start, end), as a chunk table gives them; nothing else is known."""
        documents = [
            ShardDocument(uri=uri, row_start=start, row_end=end) for uri, start, end in runs
        ]
        return cls(pa.Table.from_batches([_batch(documents)]))

    def documents(self) -> list[ShardDocument]:
        """Return every line."""
        return [
            ShardDocument(
                uri=self.table["uri"][place].as_py(),
                row_start=self.table["row_start"][place].as_py(),
                row_end=self.table["row_end"][place].as_py(),
                attributes=self.attributes(place),
            )
            for place in range(len(self.table))
        ]

    def attributes(self, place: int) -> DocumentAttributes:
        """Return what is known of the document on one line."""
        title, url, date, language, media_type, document_type, theme = self._texts
        groups = self._groups(place)
        return DocumentAttributes(
            title=title(place),
            url=url(place),
            date=date(place),
            language=language(place),
            media_type=media_type(place),
            document_type=document_type(place),
            theme=theme(place),
            keywords=tuple(self._keywords(place)),
            groups=None if groups is None else tuple(groups),
            extra=dict(self._extra(place)),
        )

    def uri(self, place: int) -> str:
        """Return the name that the document on one line was written under."""
        uri: str = self._uri(place)
        return uri


def document_names(data: bytes, name: str) -> list[str]:
    """Return the uri on every line of a document table.

    Args:
        data: Its bytes.
        name: What to call it in messages.

    Raises:
        CorruptArtifactError: It is none.
    """
    uris: list[str] = _read(lambda: pa.BufferReader(data), name)["uri"].to_pylist()
    return uris


def _read(opened: Callable[[], pa.NativeFile], name: str) -> pa.Table:
    try:
        table = pa.ipc.open_file(opened()).read_all()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise CorruptArtifactError(
            f"{name}: expected a document table, found {str(error).splitlines()[0]}"
        ) from error
    if table.schema.metadata != SCHEMA.metadata or not table.schema.equals(SCHEMA):
        raise CorruptArtifactError(f"{name}: expected columns of {FORMAT.decode()}")
    return table


def _batch(documents: Sequence[ShardDocument]) -> pa.RecordBatch:
    known = [document.attributes for document in documents]
    columns: list[Sequence[object]] = [
        [document.row_start for document in documents],
        [document.row_end for document in documents],
        [document.uri for document in documents],
        *([getattr(each, name) for each in known] for name in _TEXTS),
        [list(each.keywords) for each in known],
        [None if each.groups is None else list(each.groups) for each in known],
        [sorted(each.extra.items()) for each in known],
    ]
    arrays = [
        pa.array(column, type=kind.type) for column, kind in zip(columns, SCHEMA, strict=True)
    ]
    return pa.record_batch(arrays, schema=SCHEMA)
