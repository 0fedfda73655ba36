"""What a run has finished so far, found again by content after a kill.

A finished batch is a chunk table and, written after it, a JSON file that names the table with size
and hash and says what became of each document. A later run takes over every document of the same
name, content and work key, whichever run parsed it.

Invariants: a table without its JSON file does not count; a JSON file or table that is damaged does
not count either, the work is then done again.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from index_store.artifacts import Artifact, check_file, read_artifact, store_artifact
from index_store.attributes import (
    NO_ATTRIBUTES,
    DocumentAttributes,
    decode_attributes,
    encode_attributes,
)
from index_store.chunk_table import ChunkTable, ChunkTableWriter, StoredChunk, stored_chunk
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.layout import run_key
from index_store.records import Chunk, Quality, Reason, Rejection
from index_store.shard_record import artifact_from_row, artifact_row
from index_store.storage.base import Storage

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOutcome:
    """What became of one document in a batch.

    Attributes:
        uri: Name of the document.
        size_bytes: Size in the listing.
        mtime_ns: Modification time in the listing.
        content_hash: SHA-256 of the bytes that were parsed.
        work_key: Identity of what was applied to them.
        row_start: First row of its chunks in the batch's table.
        row_end: One past the last row.
        tokens: Tokens of its chunks.
        rejection: Why it has no chunks, or None.
        warnings: Short notes for the report.
        seconds: Time that parsing took.
        attributes: What is known of the document besides its text.
        quality: How well its text came out; None when nobody judged it.
    """

    uri: str
    size_bytes: int
    mtime_ns: int
    content_hash: str
    work_key: str
    row_start: int = 0
    row_end: int = 0
    tokens: int = 0
    rejection: Rejection | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    attributes: DocumentAttributes = NO_ATTRIBUTES
    quality: Quality | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What must agree for a later run to take this over."""
        return self.uri, self.content_hash, self.work_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBatch:
    """A finished batch.

    Attributes:
        key: Key of its JSON file.
        table: Its chunk table, or None when no document has chunks.
        documents: In order of uri.
        tokenizer: Identity of the tokenizer that counted the tokens; empty for the embedder's.
    """

    key: str
    table: Artifact | None
    documents: tuple[DocumentOutcome, ...]
    tokenizer: str = ""


class ParsedBatchWriter:
    """Collects the documents of one batch; use as a context manager, then `store`.

    Args:
        tokenizer: Identity of the tokenizer that counted the tokens; empty for the embedder's.
    """

    def __init__(self, tokenizer: str = "") -> None:
        self._tokenizer = tokenizer
        self._folder = tempfile.TemporaryDirectory(prefix="nightpress-")
        self._path = Path(self._folder.name) / "chunks.arrow"
        self._writer = ChunkTableWriter(self._path)
        self._documents: list[DocumentOutcome] = []

    def __enter__(self) -> "ParsedBatchWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._folder.cleanup()

    @property
    def rows(self) -> int:
        """Rows written so far; where the next document's chunks begin."""
        return self._writer.rows

    def add(self, document: DocumentOutcome, chunks: Sequence[Chunk]) -> None:
        """Append a document whose row range says where its chunks go."""
        self.add_stored(
            document,
            [stored_chunk(document.uri, number, chunk) for number, chunk in enumerate(chunks)],
        )

    def add_stored(self, document: DocumentOutcome, rows: Iterable[StoredChunk]) -> None:
        """Append a document with rows that an earlier run made."""
        self._writer.add(rows)
        self._documents.append(document)

    def store(
        self, storage: Storage, collection: str, run: str, number: int, suffix: str = ""
    ) -> ParsedBatch:
        """Write the batch as a checkpoint of a run, the JSON file last.

        Args:
            storage: The store.
            collection: Name of the collection.
            run: The run.
            number: Place of the batch in the run.
            suffix: Tells a batch that takes the place of an earlier one from it.
        """
        self._writer.close()
        table = None
        if self._writer.rows:
            name = f"parsed/{number:06d}{suffix}.arrow"
            table = store_artifact(storage, run_key(collection, run, name), self._path)
        batch = ParsedBatch(
            key=_batch_key(collection, run, number, suffix),
            table=table,
            documents=tuple(self._documents),
            tokenizer=self._tokenizer,
        )
        storage.put(batch.key, _encode(batch))
        return batch


def read_batch(storage: Storage, key: str) -> ParsedBatch:
    """Read a finished batch's JSON file.

    Raises:
        CorruptArtifactError: It is not what `ParsedBatchWriter.store` writes.
    """
    try:
        return _decode(key, storage.read(key))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifactError(f"checkpoint {key} is damaged: {error}") from error


def find_batch(storage: Storage, collection: str, run: str, number: int) -> ParsedBatch | None:
    """Return a batch that this run has finished; a damaged one counts as none."""
    try:
        return read_batch(storage, _batch_key(collection, run, number))
    except (CorruptArtifactError, NotFoundError):
        return None


def _batch_key(collection: str, run: str, number: int, suffix: str = "") -> str:
    return run_key(collection, run, f"parsed/{number:06d}{suffix}.json")


@contextlib.contextmanager
def open_table(storage: Storage, batch: ParsedBatch) -> Iterator[ChunkTable | None]:
    """Open a batch's chunk table after checking its bytes; None when it has none.

    Raises:
        CorruptArtifactError: It is missing or differs from what the batch says.
    """
    if batch.table is None:
        yield None
        return
    rows = max(document.row_end for document in batch.documents)
    local = storage.local_path(batch.table.key)
    if local is not None:
        check_file(local, batch.table, verify=True)
        yield ChunkTable.open(local, rows=rows)
        return
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        path = Path(folder) / "chunks.arrow"
        path.write_bytes(read_artifact(storage, batch.table))
        yield ChunkTable.open(path, rows=rows)


def find_parsed(
    storage: Storage, collection: str, wanted: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], str]:
    """Find documents that some run has parsed already.

    Args:
        storage: The store.
        collection: Name of the collection.
        wanted: Identities (uri, content hash, work key) of documents to be parsed.

    Returns:
        Key of a finished batch by identity, for those that were found.
    """
    wanted = set(wanted)
    found: dict[tuple[str, str, str], str] = {}
    if not wanted:
        return found
    for entry in storage.list(f"{collection}/runs/"):
        if "/parsed/" not in entry.key or not entry.key.endswith(".json"):
            continue
        try:
            batch = read_batch(storage, entry.key)
        except (CorruptArtifactError, NotFoundError):
            continue  # damaged, or of a run that has just ended: work not done
        for document in batch.documents:
            if document.identity in wanted:
                found[document.identity] = entry.key
    return found


def _encode(batch: ParsedBatch) -> bytes:
    table = batch.table
    return orjson.dumps(
        {
            "format_version": FORMAT_VERSION,
            "table": None if table is None else artifact_row(table),
            "documents": [_document_row(document) for document in batch.documents],
            "tokenizer": batch.tokenizer,
        }
    )


def _document_row(document: DocumentOutcome) -> dict[str, object]:
    refused = document.rejection
    return {
        "uri": document.uri,
        "size_bytes": document.size_bytes,
        "mtime_ns": document.mtime_ns,
        "content_hash": document.content_hash,
        "work_key": document.work_key,
        "row_start": document.row_start,
        "row_end": document.row_end,
        "tokens": document.tokens,
        "rejection": None
        if refused is None
        else [refused.reason.value, refused.detail, refused.parser, refused.attempts],
        "warnings": list(document.warnings),
        "seconds": document.seconds,
        "attributes": encode_attributes(document.attributes),
        "quality": None if document.quality is None else document.quality.value,
    }


def _decode(key: str, data: bytes) -> ParsedBatch:
    body = orjson.loads(data)
    if body["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format version {body['format_version']} is not {FORMAT_VERSION}")
    table = body["table"]
    return ParsedBatch(
        key=key,
        table=None if table is None else artifact_from_row(table),
        documents=tuple(_document(row) for row in body["documents"]),
        tokenizer=body.get("tokenizer", ""),
    )


def _document(row: dict[str, object]) -> DocumentOutcome:
    values = dict(row)
    refused = values.pop("rejection")
    warnings = values.pop("warnings")
    attributes = decode_attributes(str(values.pop("attributes", "")), "checkpoint")
    quality = values.pop("quality", None)
    if not isinstance(warnings, list):
        raise TypeError("warnings are not a list")
    rejection = None
    if isinstance(refused, list):
        reason, detail, parser, attempts = refused
        rejection = Rejection(
            reason=Reason(reason), detail=detail, parser=parser, attempts=attempts
        )
    return DocumentOutcome(
        **values,  # type: ignore[arg-type]
        rejection=rejection,
        warnings=tuple(warnings),
        attributes=attributes,
        quality=None if quality is None else Quality(quality),
    )
