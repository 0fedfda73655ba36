"""Parse and chunk one batch of documents in the pool, and keep the result as a checkpoint.

Invariants: every document of the batch ends as an outcome, in order of uri; what an earlier run
finished is taken over, not done again; a document whose text is stored is not read; when the
embedder is another one, a document that fails comes with its last good text, for other vectors.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from index_store.attributes import NO_ATTRIBUTES, decode_attributes
from index_store.chunk_table import StoredChunk, stored_chunk
from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.records import Reason, Rejection
from index_store.storage.base import Storage
from index_store.storage.bucket import is_object_url
from tasks.stages.checkpoints import (
    DocumentOutcome,
    ParsedBatch,
    ParsedBatchWriter,
    open_table,
    read_batch,
)
from tasks.stages.chunking.options import tokenizer_in
from tasks.stages.fetching import local_copies
from tasks.stages.last_good import is_emptied, kept_attributes
from tasks.stages.parsing.isolation import ParsePool
from tasks.stages.parsing.outcome import Outcome, rejected
from tasks.stages.parsing.registry import parser_for, parser_identity
from tasks.stages.sidecars.reading import NOBODY
from tasks.stages.stored_text import StoredText
from tasks.stages.work_items import BatchWork, StoredRows, WorkItem

FETCHERS = 16  # documents of a batch that are copied and parsed at the same time
UNKNOWN_TIME_NS = -(1 << 62)  # 1823: no file is that old

TakenOver = dict[str, tuple[DocumentOutcome, list[StoredChunk]]]


def parse_batch(
    work: BatchWork,
    pool: Callable[[], ParsePool],
    storage: Storage,
    text: Callable[[], StoredText],
    *,
    store: Callable[[ParsedBatchWriter], ParsedBatch],
) -> ParsedBatch:
    """Parse a batch.

    Args:
        work: The documents.
        pool: Opens where they are parsed; called when there is something to parse.
        storage: Where checkpoints of earlier runs are.
        text: Opens the chunks of the last version; called when a document's text is taken from it.
        store: Writes the checkpoint of this batch.

    Returns:
        The finished batch.

    Raises:
        CorruptArtifactError: Chunks of the last version are damaged.
        TransientError: The store is out of reach.
    """
    items = work.items
    done = _take_over(items, storage) | _from_version(items, text)
    # As many copies of documents from elsewhere exist as threads work here.
    fetchers = ThreadPoolExecutor(max_workers=FETCHERS, thread_name_prefix="fetch")
    waiting: dict[str, Future[Outcome]] = {
        item.uri: _submit(item, pool(), fetchers) for item in items if item.uri not in done
    }
    try:
        with ParsedBatchWriter(tokenizer_in(work.chunker)) as writer:
            for item in items:
                if item.uri in done:
                    document, rows = done.pop(item.uri)
                else:
                    document, rows = _parsed(item, waiting.pop(item.uri).result())
                if item.last_good is not None:
                    document, rows = _or_last_good(document, rows, item.last_good, text)
                writer.add_stored(_placed(document, writer.rows, len(rows)), rows)
            return store(writer)
    finally:
        for future in waiting.values():
            future.cancel()
        fetchers.shutdown()


def _submit(item: WorkItem, pool: ParsePool, fetchers: ThreadPoolExecutor) -> Future[Outcome]:
    parser = parser_for(item.uri).name
    if is_object_url(item.path):
        return fetchers.submit(_parse_copy, item, parser, pool)
    return pool.submit(Path(item.path), parser, sidecars=item.sidecars)


def _parse_copy(item: WorkItem, parser: str, pool: ParsePool) -> Outcome:
    """Parse a document from elsewhere; one that no parser would open is not copied."""
    if item.size_bytes > pool.limits.file_bytes:
        detail = f"{item.size_bytes} bytes, the limit is {pool.limits.file_bytes}"
        return rejected(
            Reason.TOO_LARGE,
            detail,
            parser=parser_identity(parser, pool.limits),
            attributes=NOBODY if item.sidecars else NO_ATTRIBUTES,
        )
    with local_copies([item.path, *item.sidecars]) as (path, *sidecars):
        return pool.submit(path, parser, sidecars=tuple(map(str, sidecars))).result()


def _take_over(items: Sequence[WorkItem], storage: Storage) -> TakenOver:
    """Read what earlier runs finished; a damaged checkpoint counts as nothing."""
    taken: TakenOver = {}
    for key in sorted({item.checkpoint for item in items if item.checkpoint}):
        wanted = {item.uri: item for item in items if item.checkpoint == key}
        try:
            taken |= _from_checkpoint(storage, key, wanted)
        except (CorruptArtifactError, NotFoundError):
            continue
    return taken


def _from_version(items: Sequence[WorkItem], text: Callable[[], StoredText]) -> TakenOver:
    """Read the documents whose text stays as the last version has it."""
    taken: TakenOver = {}
    for item in items:
        if item.stored is not None:
            rows = text().chunks(item.uri, item.stored)
            document = DocumentOutcome(
                uri=item.uri,
                size_bytes=item.size_bytes,
                mtime_ns=item.mtime_ns,
                content_hash=item.content_hash,
                work_key=item.keys.indexing,
                tokens=sum(row.chunk.tokens for row in rows),
                attributes=decode_attributes(item.stored.attributes, f"work on {item.uri}"),
            )
            taken[item.uri] = (document, rows)
    return taken


def _from_checkpoint(storage: Storage, key: str, wanted: dict[str, WorkItem]) -> TakenOver:
    taken: TakenOver = {}
    batch = read_batch(storage, key)
    with open_table(storage, batch) as table:
        for document in batch.documents:
            item = wanted.get(document.uri)
            if item is None or not _still_holds(document, item):
                continue
            # Rows of a rejected document are its last good text, and this run says if it stays.
            has_rows = document.rejection is None and document.row_end > document.row_start
            rows = table.read(document.row_start, document.row_end) if has_rows and table else []
            tokens = document.tokens if has_rows else 0
            observed = replace(
                document, size_bytes=item.size_bytes, mtime_ns=item.mtime_ns, tokens=tokens
            )
            taken[document.uri] = (observed, rows)
    return taken


def _still_holds(document: DocumentOutcome, item: WorkItem) -> bool:
    if document.content_hash != item.content_hash:
        return False
    if document.rejection is None:
        return document.work_key == item.keys.indexing
    same_work = document.work_key == item.keys.attempt
    return same_work and document.rejection.attempts == item.attempt


def _or_last_good(
    document: DocumentOutcome,
    rows: list[StoredChunk],
    last_good: StoredRows,
    text: Callable[[], StoredText],
) -> tuple[DocumentOutcome, list[StoredChunk]]:
    """Return a document that failed with its last good text, read by those who may now."""
    if document.rejection is None or is_emptied(document.rejection):
        return document, rows
    known = decode_attributes(last_good.attributes, f"work on {document.uri}")
    rows = text().chunks(document.uri, last_good)
    kept = replace(
        document,
        tokens=sum(row.chunk.tokens for row in rows),
        attributes=kept_attributes(known, document.attributes),
    )
    return kept, rows


def _placed(document: DocumentOutcome, row_start: int, rows: int) -> DocumentOutcome:
    return replace(document, row_start=row_start, row_end=row_start + rows)


def _parsed(item: WorkItem, outcome: Outcome) -> tuple[DocumentOutcome, list[StoredChunk]]:
    chunks = outcome.chunks or ()
    rows = [stored_chunk(item.uri, number, chunk) for number, chunk in enumerate(chunks)]
    return _document(item, outcome), rows


def _document(item: WorkItem, outcome: Outcome) -> DocumentOutcome:
    chunks = outcome.chunks or ()
    rejection = _rejection(item, outcome)
    content_hash = _content_hash(item, outcome, rejection)
    return DocumentOutcome(
        uri=item.uri,
        size_bytes=item.size_bytes,
        # What was read is not what was listed: the next run has to look again.
        mtime_ns=item.mtime_ns if content_hash == item.content_hash else UNKNOWN_TIME_NS,
        content_hash=content_hash,
        work_key=item.keys.indexing if rejection is None else item.keys.attempt,
        tokens=sum(chunk.tokens for chunk in chunks),
        rejection=rejection,
        warnings=outcome.warnings,
        seconds=outcome.seconds,
        attributes=outcome.attributes,
        quality=outcome.quality,
    )


def _content_hash(item: WorkItem, outcome: Outcome, rejection: Rejection | None) -> str:
    """Return the hash of what was read; empty when nothing was, so that it is read again."""
    if rejection is not None and rejection.reason in (Reason.CHANGED, Reason.UNREADABLE):
        return ""
    return outcome.content_hash or item.content_hash


def _rejection(item: WorkItem, outcome: Outcome) -> Rejection | None:
    refused = outcome.rejection
    if refused is None:
        return None
    reason, detail = refused.reason, refused.detail
    if reason is Reason.UNREADABLE and item.content_hash:
        reason, detail = Reason.CHANGED, f"it could be read when the run began: {detail}"
    same_content = not outcome.content_hash or outcome.content_hash == item.content_hash
    return Rejection(
        reason=reason,
        detail=detail,
        parser=refused.parser,
        attempts=item.attempt if same_content else 1,
    )
