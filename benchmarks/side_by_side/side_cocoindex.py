"""CocoIndex with its memoised function per file and its SQLite target; FAISS by a script of ours.

It has no FAISS target, so rows with their vectors lie in SQLite, and after every update the script
builds the whole HNSW index anew from them.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"

import cocoindex as coco
import faiss
import numpy as np
from cocoindex.connectors import localfs, sqlite
from cocoindex.ops.text import RecursiveSplitter
from side_by_side.side import CHUNK_CHARS, DIMENSION, OVERLAP_CHARS, Answers, main
from side_by_side.words import embed

DATABASE: coco.ContextKey[sqlite.ManagedConnection] = coco.ContextKey("chunks")
SPLITTER = RecursiveSplitter()


@dataclass
class Row:
    """One chunk."""

    id: str
    text: str
    vector: bytes


def update(source: Path, store: Path) -> None:
    """Bring the rows up to date, whichever night it is, then build the index from all of them."""
    os.environ["COCOINDEX_DB"] = str(store / "state")

    @coco.lifespan
    def resources(builder: coco.EnvironmentBuilder) -> Iterator[None]:
        builder.provide_with(DATABASE, sqlite.managed_connection(store / "rows.db", load_vec=False))
        yield

    coco.App(coco.AppConfig(name="documents"), _documents, source).update_blocking()
    with sqlite3.connect(store / "rows.db") as rows:
        found = rows.execute("SELECT vector FROM chunks ORDER BY id").fetchall()
    raw = faiss.IndexHNSWFlat(DIMENSION, 32, faiss.METRIC_INNER_PRODUCT)
    raw.hnsw.efConstruction, raw.hnsw.efSearch = 100, 64
    raw.add(np.frombuffer(b"".join(row[0] for row in found), np.float32).reshape(-1, DIMENSION))
    faiss.write_index(raw, str(store / "faiss.index"))


def open_store(store: Path) -> Answers:
    """Load the index and return how it answers."""
    raw = faiss.read_index(str(store / "faiss.index"))
    with sqlite3.connect(store / "rows.db") as rows:
        texts = [row[0] for row in rows.execute("SELECT text FROM chunks ORDER BY id")]

    def ask(question: str) -> list[str]:
        _, rows = raw.search(embed([question]), 10)
        return [texts[row] for row in rows[0] if row >= 0]

    return ask


@coco.fn
async def _documents(source: Path) -> None:
    schema = await sqlite.TableSchema.from_class(Row, ["id"])
    table = await sqlite.mount_table_target(DATABASE, "chunks", schema)
    await coco.mount_each(_document, localfs.walk_dir(source, recursive=True).items(), table)


@coco.fn(memo=True)
async def _document(file: localfs.File, table: sqlite.TableTarget[Row]) -> None:
    chunks = SPLITTER.split(
        await file.read_text(), CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS, language="markdown"
    )
    texts = [chunk.text for chunk in chunks]
    vectors = embed(texts)
    name = file.file_path.path.as_posix()
    for number, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        table.declare_row(row=Row(id=f"{name}#{number}", text=text, vector=vector.tobytes()))


if __name__ == "__main__":
    main(update, update, open_store)
