"""The chunk table of a shard: from row number to text and citation, memory-mapped.

Invariants: row i describes row i of the shard's vectors; the file is uncompressed Arrow IPC in
batches of a fixed size, so the same chunks give the same bytes; a chunk's id covers everything
that the row holds.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa

from index_store.cells import Cell, cells_of
from index_store.errors import CorruptArtifactError, UsageError
from index_store.ids import CHUNK_SCHEME, digest, text_hash
from index_store.records import Chunk, Citation

BATCH_ROWS = 1024  # part of the format: another size gives other bytes
FORMAT = b"nightpress.chunks.v1"

SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.binary(32), nullable=False),
        pa.field("text_hash", pa.binary(32), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("page", pa.int32()),
        pa.field("slide", pa.int32()),
        pa.field("sheet", pa.string()),
        pa.field("row_start", pa.int64()),
        pa.field("row_end", pa.int64()),
        pa.field("section", pa.list_(pa.string()), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
    ],
    metadata={b"format": FORMAT},
)
KEYWORDS_SCHEMA = SCHEMA.append(pa.field("keywords", pa.list_(pa.string()), nullable=False))
"""That of a table in which some chunk has keywords; it was added later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """One row of a chunk table.

    Attributes:
        chunk_id: 32 bytes that cover all other fields.
        text_hash: 32 bytes, key of the embedding.
        chunk: Text, tokens and citation.
        uri: Name of the document when the row was written.
        ordinal: Place among the document's chunks, from 0.
    """

    chunk_id: bytes
    text_hash: bytes
    chunk: Chunk
    uri: str
    ordinal: int


_PLACES = ("page", "slide", "sheet", "row_start", "row_end", "section")
_NOWHERE = Citation()


class CitedChunk(NamedTuple):
    """What is shown of a row.

    Attributes:
        chunk_id: Its id, 32 bytes.
        text: Its text.
        citation: Where it stands.
    """

    chunk_id: bytes
    text: str
    citation: Citation


@dataclass(frozen=True, slots=True)
class _Cells:
    """The columns of a batch that searches read, from a place to what stands there.

    Attributes:
        chunk_id: Gives 32 bytes.
        text: Gives the text.
        uri: Gives the name of the document as it was written.
        citation: Gives where the row stands; None when no row of the batch says.
    """

    chunk_id: Cell
    text: Cell
    uri: Cell
    citation: Callable[[int], Citation] | None


def stored_chunk(uri: str, ordinal: int, chunk: Chunk) -> StoredChunk:
    """Return the row for a chunk of a document, with its ids."""
    cited = chunk.citation
    keywords: tuple[str | int, ...] = ()
    if chunk.keywords:
        keywords = (len(chunk.keywords), *chunk.keywords)
    numbers = (cited.page, cited.slide, cited.row_start, cited.row_end)
    chunk_id = digest(
        CHUNK_SCHEME,
        uri,
        ordinal,
        chunk.text,
        chunk.tokens,
        *("" if number is None else number for number in numbers),
        0 if cited.sheet is None else cited.sheet,
        *cited.section,
        *keywords,
    )
    return StoredChunk(
        chunk_id=chunk_id, text_hash=text_hash(chunk.text), chunk=chunk, uri=uri, ordinal=ordinal
    )


class ChunkTableWriter:
    """Writes a chunk table to a local file, batch by batch; holds at most one batch in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = SCHEMA
        self._open()
        self._pending: list[StoredChunk] = []
        self._rows = 0

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return self._rows

    def add(self, chunks: Iterable[StoredChunk]) -> None:
        """Append rows.

        Raises:
            UsageError: A text is not valid Unicode.
        """
        for chunk in chunks:
            if chunk.chunk.keywords and self._schema is SCHEMA:
                self._widen()
            self._pending.append(chunk)
            self._rows += 1
            if len(self._pending) == BATCH_ROWS:
                self._write_pending()

    def close(self) -> None:
        """Write what is left and finish the file; calling it twice is harmless."""
        if self._sink.closed:
            return
        if self._pending:
            self._write_pending()
        self._writer.close()
        self._sink.close()

    def __enter__(self) -> "ChunkTableWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._sink.close()

    def _open(self) -> None:
        self._sink = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)

    def _widen(self) -> None:
        """Begin anew with a column for keywords, and copy what was written without."""
        self._writer.close()
        self._sink.close()
        narrow = self._path.replace(self._path.with_name(f"{self._path.name}.narrow"))
        self._schema = KEYWORDS_SCHEMA
        self._open()
        with pa.memory_map(str(narrow)) as source:
            written = pa.ipc.open_file(source)
            for number in range(written.num_record_batches):
                batch = written.get_batch(number)
                nothing = pa.array([[]] * len(batch), KEYWORDS_SCHEMA.field("keywords").type)
                columns = [*batch.columns, nothing]
                self._writer.write_batch(pa.record_batch(columns, schema=KEYWORDS_SCHEMA))
        narrow.unlink()

    def _write_pending(self) -> None:
        try:
            self._writer.write_batch(_batch(self._pending, self._schema))
        except UnicodeEncodeError as error:
            raise UsageError(f"chunk table: a text is not valid unicode: {error.reason}") from error
        self._pending = []


class ChunkTable:
    """A chunk table opened for reading; memory-mapped, safe for threads."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._batches = table.to_batches()
        if any(len(batch) != BATCH_ROWS for batch in self._batches[:-1]):
            self._batches = table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
        self._opened: dict[int, _Cells] = {}

    @classmethod
    def open(cls, path: Path, *, rows: int | None = None) -> "ChunkTable":
        """Open a local file whose bytes were checked before.

        Args:
            path: The file; it is never modified in place.
            rows: The rows it must have, None when that is not known.

        Raises:
            CorruptArtifactError: It is no chunk table, or has another number of rows.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            raise CorruptArtifactError(
                f"{path}: expected a chunk table, found {str(error).splitlines()[0]}"
            ) from error
        known = table.schema.equals(SCHEMA) or table.schema.equals(KEYWORDS_SCHEMA)
        if table.schema.metadata != SCHEMA.metadata or not known:
            raise CorruptArtifactError(f"{path}: expected columns of {FORMAT.decode()}")
        if rows is not None and table.num_rows != rows:
            raise CorruptArtifactError(f"{path}: rows expected {rows}, found {table.num_rows}")
        return cls(table)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._table.num_rows)

    def take(self, rows: Sequence[int]) -> list[StoredChunk]:
        """Return rows in the order asked for; each is in [0, rows)."""
        return [_from_line(self._line(row)) for row in rows]

    def text(self, row: int) -> str:
        """Return the text of one row; much cheaper than `take`."""
        text: str = self._cells(row).text(row % BATCH_ROWS)
        return text

    def uri(self, row: int) -> str:
        """Return the name under which one row was written; much cheaper than `take`."""
        uri: str = self._cells(row).uri(row % BATCH_ROWS)
        return uri

    def cited(self, row: int) -> CitedChunk:
        """Return what is shown of one row; cheaper than `take`."""
        cells, place = self._cells(row), row % BATCH_ROWS
        return CitedChunk(
            cells.chunk_id(place),
            cells.text(place),
            _NOWHERE if cells.citation is None else cells.citation(place),
        )

    def read(self, start: int, end: int) -> list[StoredChunk]:
        """Return the rows [start, end) in order."""
        return [_from_line(line) for line in self._table.slice(start, end - start).to_pylist()]

    def _line(self, row: int) -> dict[str, Any]:
        batch, place = self._batches[row // BATCH_ROWS], row % BATCH_ROWS
        return {name: batch.column(n)[place].as_py() for n, name in enumerate(batch.schema.names)}

    def _cells(self, row: int) -> _Cells:
        """Return the columns of a row's batch, each made readable once."""
        number = row // BATCH_ROWS
        cells = self._opened.get(number)
        if cells is None:
            cells = self._opened[number] = _cells_of(self._batches[number])
        return cells

    def text_hashes(self, start: int, end: int) -> list[bytes]:
        """Return the keys of the embeddings of the rows [start, end)."""
        hashes: list[bytes] = self._table.column("text_hash").slice(start, end - start).to_pylist()
        return hashes

    def chunk_ids(self, start: int, end: int) -> list[bytes]:
        """Return the chunk ids of the rows [start, end)."""
        ids: list[bytes] = self._table.column("chunk_id").slice(start, end - start).to_pylist()
        return ids

    def documents(self) -> list[tuple[str, int, int]]:
        """Return (uri, start, end) of each run of rows of one document, in the order of rows."""
        runs: list[tuple[str, int, int]] = []
        start, last = 0, None
        for row, uri in enumerate(self._table.column("uri").to_pylist()):
            if uri != last and last is not None:
                runs.append((last, start, row))
                start = row
            last = uri
        if last is not None:
            runs.append((last, start, self.rows))
        return runs


def _cells_of(batch: pa.RecordBatch) -> _Cells:
    silent = all(_is_silent(batch.column(name)) for name in _PLACES)
    return _Cells(
        chunk_id=cells_of(batch.column("chunk_id")),
        text=cells_of(batch.column("text")),
        uri=cells_of(batch.column("uri")),
        citation=None if silent else _citations_of(batch),
    )


def _citations_of(batch: pa.RecordBatch) -> Callable[[int], Citation]:
    page, slide, sheet, start, end, section = (cells_of(batch.column(name)) for name in _PLACES)

    def read(place: int) -> Citation:
        return Citation(
            page=page(place),
            slide=slide(place),
            sheet=sheet(place),
            row_start=start(place),
            row_end=end(place),
            section=tuple(section(place)),
        )

    return read


def _is_silent(column: pa.Array) -> bool:
    if pa.types.is_list(column.type):
        return len(column.flatten()) == 0
    return bool(column.null_count == len(column))


def chunk_ids_hash(chunk_ids: Iterable[bytes]) -> bytes:
    """Return 32 bytes that stand for chunk ids in their order."""
    hasher = hashlib.sha256()
    for chunk_id in chunk_ids:
        hasher.update(chunk_id)
    return hasher.digest()


def _batch(chunks: Sequence[StoredChunk], schema: pa.Schema) -> pa.RecordBatch:
    cited = [item.chunk.citation for item in chunks]
    columns: list[Sequence[object]] = [
        [item.chunk_id for item in chunks],
        [item.text_hash for item in chunks],
        [item.chunk.text for item in chunks],
        [item.chunk.tokens for item in chunks],
        [citation.page for citation in cited],
        [citation.slide for citation in cited],
        [citation.sheet for citation in cited],
        [citation.row_start for citation in cited],
        [citation.row_end for citation in cited],
        [list(citation.section) for citation in cited],
        [item.uri for item in chunks],
        [item.ordinal for item in chunks],
        [list(item.chunk.keywords) for item in chunks],
    ]
    arrays = [
        pa.array(column, type=kind.type) for column, kind in zip(columns, schema, strict=False)
    ]
    return pa.record_batch(arrays, schema=schema)


def _from_line(line: Mapping[str, Any]) -> StoredChunk:
    citation = Citation(
        page=line["page"],
        slide=line["slide"],
        sheet=line["sheet"],
        row_start=line["row_start"],
        row_end=line["row_end"],
        section=tuple(line["section"]),
    )
    return StoredChunk(
        chunk_id=line["chunk_id"],
        text_hash=line["text_hash"],
        chunk=Chunk(
            text=line["text"],
            tokens=line["tokens"],
            citation=citation,
            keywords=tuple(line.get("keywords", ())),
        ),
        uri=line["uri"],
        ordinal=line["ordinal"],
    )
