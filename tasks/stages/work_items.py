"""The work list of a run: batches of documents with everything a worker needs to know.

Invariants: a batch file is plain JSON and travels through the store, never through Prefect; paths
survive even when their bytes are not UTF-8.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from index_store.layout import run_key
from index_store.records import DocumentRecord
from index_store.storage.base import Storage
from tasks.stages.batching import Batch
from tasks.stages.checkpoints import find_parsed
from tasks.stages.diffing import PlanItem, WorkKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One document to be parsed.

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


def write_work(
    storage: Storage,
    collection: str,
    run: str,
    batches: Sequence[Batch],
    keys: Mapping[str, WorkKeys],
    known: Mapping[str, DocumentRecord],
) -> None:
    """Write one file per batch, each document with the checkpoint that holds it already.

    Args:
        storage: The store.
        collection: Name of the collection.
        run: Id of the run.
        batches: What to write.
        keys: Identities by uri.
        known: Last catalog by uri.
    """
    wanted = {
        (item.uri, item.content_hash, work_key)
        for batch in batches
        for item in batch.items
        for work_key in (keys[item.uri].indexing, keys[item.uri].attempt)
    }
    found = find_parsed(storage, collection, wanted)
    for batch in batches:
        rows = []
        for item in batch.items:
            work = _work_item(item, keys[item.uri], known.get(item.uri), found)
            row = asdict(work)
            row["path"] = os.fsencode(work.path).hex()
            row["sidecars"] = [os.fsencode(path).hex() for path in work.sidecars]
            rows.append(row)
        storage.put(_key(collection, run, batch.number), orjson.dumps(rows))


def read_work(storage: Storage, collection: str, run: str, number: int) -> tuple[WorkItem, ...]:
    """Read the work of one batch."""
    rows = orjson.loads(storage.read(_key(collection, run, number)))
    return tuple(
        WorkItem(
            **{
                **row,
                "path": os.fsdecode(bytes.fromhex(row["path"])),
                "sidecars": tuple(os.fsdecode(bytes.fromhex(each)) for each in row["sidecars"]),
                "keys": WorkKeys(**row["keys"]),
            }
        )
        for row in rows
    )


def _work_item(
    item: PlanItem,
    keys: WorkKeys,
    record: DocumentRecord | None,
    found: Mapping[tuple[str, str, str], str],
) -> WorkItem:
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
    )


def _key(collection: str, run: str, number: int) -> str:
    return run_key(collection, run, f"work/{number:06d}.json")
