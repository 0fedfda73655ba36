"""Small sources, the options of runs over them, and what a search may return afterwards."""

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path

from index_store.embedder import Vectors
from index_store.embedders.hashing import HashingEmbedder
from index_store.records import Citation
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage
from index_store.storage.fitness import FitnessReport
from index_store.storage.memory import MemoryStorage
from index_store.storage.verdicts import remember
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.listing import ScanOptions, Source
from tasks.stages.run_options import ChangeOptions, EmbedOptions, RunOptions

COLLECTION = "docs"
DIMENSION = 64
EMBEDDER = f"hashing:{DIMENSION}"
BROKEN_PDF = b"%PDF-1.4\nthis is where the download broke off"
Searchable = set[tuple[str, Citation, str]]

_runs = count(1)
_ticks = count(1_600_000_000_000_000_000, 1_000_000_000)


def trusted(name: str) -> MemoryStorage:
    """Return an empty store in memory that no run needs to try before it writes."""
    storage = MemoryStorage(name)
    tried = FitnessReport(checks=(), seconds=0.0)
    remember(storage, tried, single_writer=False, checked_at_ms=0)
    return storage


def options_for(source: Path, store: str = "memory://unused", **change: object) -> RunOptions:
    """Options of a run of its own over one folder; `change` holds fields of `ChangeOptions`."""
    changes = {"tripwire_share": 1.0} | change
    return RunOptions(
        run=f"run-{next(_runs):06d}",
        store=store,
        collection=COLLECTION,
        sources=(Source(root=source),),
        scan=ScanOptions(extensions=frozenset({".txt", ".md", ".pdf"})),
        change=ChangeOptions(**changes),  # type: ignore[arg-type]
        chunk=ChunkOptions(max_tokens=32, overlap_tokens=8, min_chars=10),
        embed=EmbedOptions(spec=EMBEDDER, dimension=DIMENSION),
    )


def again(options: RunOptions) -> RunOptions:
    """The options of the same command, typed once more."""
    return replace(options, run=f"run-{next(_runs):06d}")


def write(path: Path, content: str | bytes) -> None:
    """Write a document with a modification time that no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    touch(path)


def touch(path: Path) -> None:
    """Give a document another modification time."""
    stamp = next(_ticks)
    os.utime(path, ns=(stamp, stamp))


def prose(topic: str, sentences: int = 4) -> str:
    """Text about a topic: sentences that are told apart by their number."""
    return "\n\n".join(
        f"Sentence {number} of {topic} says what the {topic} rule number {number} asks of people."
        for number in range(sentences)
    )


def searchable(storage: Storage, channel: str = "production") -> Searchable:
    """Everything that any question can bring to light."""
    with Snapshot.open(storage, COLLECTION, channel=channel) as snapshot:
        if not snapshot.rows:
            return set()
        anything = HashingEmbedder(snapshot.manifest.embedder.dimension).embed(["anything"])[0]
        hits = snapshot.nearest(anything, snapshot.rows)
        return {(hit.uri, hit.citation, hit.text) for hit in hits}


def vector(text: str) -> Vectors:
    """Embedding of a text: float32, shape (64,)."""
    return HashingEmbedder(DIMENSION).embed([text])[0]


def texts_of(found: Iterable[tuple[str, Citation, str]]) -> set[str]:
    """The texts alone."""
    return {text for _, _, text in found}


def pdf(text: str) -> bytes:
    """A PDF of one page that says `text`, which holds no parentheses."""
    lines = "".join(f"({line}) Tj T* " for line in text.splitlines() if line)
    return pdf_of(f"BT /F1 9 Tf 12 TL 40 780 Td {lines}ET".encode())


def pdf_of(stream: bytes) -> bytes:
    """A PDF of one page that is drawn by `stream`, with Helvetica as /F1."""
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n"
    tail = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + head + table + tail
