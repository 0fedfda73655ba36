"""The work list of a run: batches of documents with everything a worker needs to know.

Invariants: a batch file is plain JSON and travels through the store, never through Prefect; paths
survive even when their bytes are not UTF-8.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from index_store.attributes import encode_attributes
from index_store.layout import run_key
from index_store.records import DocumentRecord
from index_store.storage.base import Storage
from tasks.stages.batching import Batch
from tasks.stages.checkpoints import find_parsed
from tasks.stages.diffing import Action, PlanItem, WorkKeys
from tasks.stages.planning import Planned

# Of a document whose text is stored: no run that parses takes it over for parsed and judged.
NOT_PARSED = WorkKeys(indexing="", attempt="")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """Chunks of a document in the version that a run builds on.

    Attributes:
        shard: Id of the shard.
        row_start: First row.
        row_end: One past the last row.
        written_as: Name of the document in the shard.
        attributes: What is known of it besides its text, as `encode_attributes` writes it.
    """

    shard: str
    row_start: int
    row_end: int
    written_as: str
    attributes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One document to be parsed, or to be embedded anew as it was parsed.

    Attributes:
        uri: Name of the document.
        path: Where to read it.
        size_bytes: Size in the listing.
        mtime_ns: Modification time in the listing.
        content_hash: SHA-256 when it was planned; empty when it could not be read.
        keys: Identities of what is applied to it.
        attempt: Number of this attempt at this content, from 1.
        checkpoint: Finished batch of an earlier run that holds it, or empty.
        sidecars: Paths of the files that describe it, the outermost folder's first.
        stored: Its chunks in the last version, when its text is taken from there.
        last_good: Its chunks in the last version, when they get other vectors should it fail now.
    """

    uri: str
    path: str
    size_bytes: int
    mtime_ns: int
    content_hash: str
    keys: WorkKeys
    attempt: int = 1
    checkpoint: str = ""
    sidecars: tuple[str, ...] = ()
    stored: StoredRows | None = None
    last_good: StoredRows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWork:
    """One batch of work.

    Attributes:
        chunker: Identity of the chunker.
        base: Version that holds stored chunks, None when no document has any.
        items: Documents in order of uri.
    """

    chunker: str
    base: str | None
    items: tuple[WorkItem, ...]


def write_work(
    storage: Storage, collection: str, run: str, batches: Sequence[Batch], planned: Planned
) -> None:
    """Write one file per batch, each document with what of it is there already.

    Args:
        storage: The store.
        collection: Name of the collection.
        run: Id of the run.
        batches: What to write.
        planned: The plan that they were cut from.
    """
    keys = planned.keys
    parsed = (
        item for batch in batches for item in batch.items if item.action is not Action.REEMBEDDED
    )
    wanted = {
        (item.uri, item.content_hash, work_key)
        for item in parsed
        for work_key in (keys[item.uri].indexing, keys[item.uri].attempt)
    }
    found = find_parsed(storage, collection, wanted)
    for batch in batches:
        items = [_work_item(item, planned, found) for item in batch.items]
        body = {
            "chunker": planned.chunker,
            "base": planned.base.version,
            "items": [_row(item) for item in items],
        }
        storage.put(_key(collection, run, batch.number), orjson.dumps(body))


def read_work(storage: Storage, collection: str, run: str, number: int) -> BatchWork:
    """Read the work of one batch."""
    body = orjson.loads(storage.read(_key(collection, run, number)))
    return BatchWork(
        chunker=body["chunker"], base=body["base"], items=tuple(map(_item, body["items"]))
    )


def _row(item: WorkItem) -> dict[str, object]:
    return {
        **asdict(item),
        "path": os.fsencode(item.path).hex(),
        "sidecars": [os.fsencode(path).hex() for path in item.sidecars],
    }


def _item(row: Mapping[str, Any]) -> WorkItem:
    return WorkItem(
        **{
            **row,
            "path": os.fsdecode(bytes.fromhex(row["path"])),
            "sidecars": tuple(os.fsdecode(bytes.fromhex(each)) for each in row["sidecars"]),
            "keys": WorkKeys(**row["keys"]),
            "stored": _rows(row["stored"]),
            "last_good": _rows(row["last_good"]),
        }
    )


def _rows(row: Mapping[str, Any] | None) -> StoredRows | None:
    return None if row is None else StoredRows(**row)


def _work_item(
    item: PlanItem, planned: Planned, found: Mapping[tuple[str, str, str], str]
) -> WorkItem:
    if item.action is Action.REEMBEDDED:
        return _stored_item(item, planned.known[item.previous_uri or item.uri])
    keys, record = planned.keys[item.uri], planned.known.get(item.uri)
    attempt = 1
    if (
        record is not None
        and record.rejection is not None
        and record.content_hash == item.content_hash
    ):
        attempt = record.rejection.attempts + 1
    checkpoint = ""
    for work_key in (keys.attempt, keys.indexing):
        checkpoint = found.get((item.uri, item.content_hash, work_key), checkpoint)
    return WorkItem(
        uri=item.uri,
        path=item.path,
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        content_hash=item.content_hash,
        keys=keys,
        attempt=attempt,
        checkpoint=checkpoint,
        sidecars=item.sidecars,
        last_good=_last_good(item, planned),
    )


def _last_good(item: PlanItem, planned: Planned) -> StoredRows | None:
    before = planned.known.get(item.previous_uri or item.uri)
    keeps = planned.reembeds_last_good and before is not None and before.chunks
    return _stored_rows(before) if before is not None and keeps else None


def _stored_item(item: PlanItem, record: DocumentRecord) -> WorkItem:
    return WorkItem(
        uri=item.uri,
        path="",
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        content_hash=item.content_hash,
        keys=NOT_PARSED,
        stored=_stored_rows(record),
    )


def _stored_rows(record: DocumentRecord) -> StoredRows:
    return StoredRows(
        shard=record.shard or "",
        row_start=record.row_start,
        row_end=record.row_end,
        written_as=record.shard_uri,
        attributes=encode_attributes(record.attributes),
    )


def _key(collection: str, run: str, number: int) -> str:
    return run_key(collection, run, f"work/{number:06d}.json")
