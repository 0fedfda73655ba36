"""Checkpoints of parsed batches: everything that was found out comes back."""

import orjson

from index_store.attributes import DocumentAttributes
from index_store.records import Chunk, Quality, Reason, Rejection
from index_store.storage.memory import MemoryStorage
from tasks.stages.checkpoints import DocumentOutcome, ParsedBatchWriter, read_batch

FOUND = DocumentOutcome(
    uri="a.md",
    size_bytes=1,
    mtime_ns=2,
    content_hash="h",
    work_key="k",
    row_end=1,
    tokens=3,
    warnings=("encoding guessed: cp1252",),
    seconds=0.5,
    attributes=DocumentAttributes(title="Été", groups=(), keywords=("a", "b"), extra={"n": "1"}),
    quality=Quality.POOR,
)
REFUSED = DocumentOutcome(
    uri="b.pdf",
    size_bytes=1,
    mtime_ns=2,
    content_hash="h",
    work_key="k",
    row_start=1,
    row_end=1,
    rejection=Rejection(reason=Reason.NO_TEXT, detail="0 words", parser="pdf 1", attempts=2),
    quality=Quality.NONE,
)


def _stored(storage: MemoryStorage) -> str:
    with ParsedBatchWriter() as writer:
        writer.add(FOUND, [Chunk(text="text", tokens=3)])
        writer.add(REFUSED, [])
        return writer.store(storage, "docs", "run", 0).key


def test_outcomes_come_back_as_they_were():
    storage = MemoryStorage("store")
    assert read_batch(storage, _stored(storage)).documents == (FOUND, REFUSED)


def test_a_checkpoint_written_before_there_were_attributes_is_read():
    storage = MemoryStorage("store")
    key = _stored(storage)
    body = orjson.loads(storage.read(key))
    for row in body["documents"]:
        del row["attributes"], row["quality"]
    storage.put("docs/runs/old/parsed/0.json", orjson.dumps(body))
    found, _ = read_batch(storage, "docs/runs/old/parsed/0.json").documents
    assert found.attributes == DocumentAttributes()
    assert found.quality is None
