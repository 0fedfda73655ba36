"""What a night costs that changes 0.1 % of a large catalog: planning it, and publishing it.

    python benchmarks/catalog_growth.py [--documents N ...]

A catalog of N documents is written once, then one night is planned and its catalog, counts and
relocations are written, by the code that a run uses. Each size runs in a process of its own.
Seconds are of processor time; memory is the most that anonymous pages grew by, beyond the listing,
which the scan made before. The catalog lies in a folder, so its parts are mapped.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from index_store.artifacts import Artifact, sha256_hex, store_artifact
from index_store.catalog_codec import ROW_GROUP_ROWS, SCHEMA
from index_store.catalog_look import catalog_totals, find_documents, look
from index_store.embedder import EmbedderSpec
from index_store.manifest import CatalogPart, Counts, HnswSettings, Manifest, ShardEntry
from index_store.storage.folder import FolderStorage
from tasks.stages.assembling import Changes, decide_changes
from tasks.stages.assembly import VersionFacts, assemble
from tasks.stages.building import Placement
from tasks.stages.checkpoints import DocumentOutcome
from tasks.stages.diffing import DiffOptions, Plan, WorkKeys, diff, files_to_hash
from tasks.stages.listing import ListedFile
from tasks.stages.quick_look import look_quickly

CHANGED_EVERY = 1000  # one document in as many changes
KEY = WorkKeys(indexing="1" * 64, attempt="2" * 64)
SPEC = EmbedderSpec(
    provider="none", model="none", revision="1", dimension=8, tokenizer="none", max_input_tokens=1
)
FILE = Artifact(key="docs/x", size_bytes=1, sha256="0" * 64)
SHARD = "5" * 64
CHUNKS = 10  # of a document


def uri_of(number: int) -> str:
    """Return a name of usual length."""
    return f"department-{number % 97:02d}/project-{number % 8191:05d}/document-{number:09d}.pdf"


def write_catalog(storage: FolderStorage, documents: int) -> CatalogPart:
    """Write a catalog as one part, without holding all of it."""
    drawn = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        names = sorted(uri_of(number) for number in range(documents))
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for start in range(0, documents, ROW_GROUP_ROWS):
                some = names[start : start + ROW_GROUP_ROWS]
                writer.write_table(_lines(some, start, drawn), row_group_size=ROW_GROUP_ROWS)
        key = f"docs/catalog/{documents}.parquet"
        return CatalogPart(artifact=store_artifact(storage, key, path), rows=documents)


def _lines(names: list[str], start: int, drawn: np.random.Generator) -> pa.Table:
    count = len(names)
    drawn_hex = drawn.bytes(32 * count).hex()
    hashes = [drawn_hex[at : at + 64] for at in range(0, 64 * count, 64)]
    rows = np.arange(start, start + count) * CHUNKS
    columns: dict[str, object] = {
        "uri": names,
        "removed": [False] * count,
        "size_bytes": np.full(count, 1000),
        "mtime_ns": np.full(count, 1),
        "content_hash": hashes,
        "work_key": [KEY.indexing] * count,
        "indexed_hash": hashes,
        "shard": [SHARD] * count,
        "row_start": rows,
        "row_end": rows + CHUNKS,
        "shard_uri": names,
        "tokens": np.full(count, 3000),
    }
    empty = [None] * count
    return pa.table(
        [pa.array(columns.get(kind.name, empty), kind.type) for kind in SCHEMA], schema=SCHEMA
    )


def base_manifest(part: CatalogPart) -> Manifest:
    """Return a version with this catalog."""
    chunks = part.rows * CHUNKS
    shard = ShardEntry(
        id=SHARD, rows=chunks, dead=0, dimension=8, hnsw=HnswSettings(), index=FILE, chunks=FILE
    )
    return Manifest(
        collection="docs",
        parent=None,
        run="benchmark",
        created_at_ms=1,
        embedder=SPEC,
        chunker="none",
        shards=(shard,),
        catalog=(part,),
        counts=Counts(
            documents=part.rows,
            rejected=0,
            chunks_live=chunks,
            chunks_dead=0,
            tokens=part.rows * 3000,
        ),
    )


def plan_night(
    storage: FolderStorage, base: Manifest, files: list[ListedFile]
) -> tuple[Plan, dict[str, str]]:
    """Plan as a run does."""
    looked = look_quickly(files, look(storage, base.catalog), lambda *_: KEY, retry_rejected=False)
    uris = [*(file.uri for file in looked.files), *looked.vanished]
    known = find_documents(storage, base.catalog, uris)
    hashes = {
        file.uri: sha256_hex(file.uri.encode()) for file in files_to_hash(looked.files, known)
    }
    keys = {file.uri: KEY for file in looked.files}
    return diff(looked.files, known, hashes, keys, DiffOptions()), hashes


def assemble_night(
    storage: FolderStorage, base: Manifest, plan: Plan, hashes: dict[str, str]
) -> Manifest:
    """Write what differs as a run does, shards excepted."""
    work = plan.work()
    outcomes = {
        item.uri: DocumentOutcome(
            uri=item.uri,
            size_bytes=item.size_bytes,
            mtime_ns=item.mtime_ns,
            content_hash=hashes[item.uri],
            work_key=KEY.indexing,
            row_end=CHUNKS,
            tokens=3000,
        )
        for item in work
    }
    new = "6" * 64
    placements = [
        Placement(uri=item.uri, shard=new, row_start=CHUNKS * n, row_end=CHUNKS * (n + 1))
        for n, item in enumerate(work)
    ]
    known = find_documents(storage, base.catalog, [item.uri for item in plan.items])
    changes: Changes = decide_changes(plan, known, outcomes, placements, keep_last_good=True)
    facts = VersionFacts(
        collection="docs",
        parent=None,
        run="night",
        created_at_ms=2,
        embedder=SPEC,
        chunker="none",
    )
    entry = ShardEntry(
        id=new,
        rows=CHUNKS * len(work),
        dead=0,
        dimension=8,
        hnsw=HnswSettings(),
        index=FILE,
        chunks=FILE,
    )
    return assemble(storage, facts, base, changes, [entry])


@dataclass
class Spent:
    """What a stage took."""

    seconds: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def spent() -> Iterator[Spent]:
    """Measure a stage: time, and how far its anonymous memory grew."""
    measured, before, done = Spent(), _anonymous_mib(), threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            measured.peak_mib = max(measured.peak_mib, _anonymous_mib() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.process_time()
    yield measured
    measured.seconds = time.process_time() - began
    done.set()
    watcher.join()


def _anonymous_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell RssAnon")


def written_mib(storage: FolderStorage, work: Callable[[], object]) -> float:
    """Return how much a stage added to the store."""
    before = sum(entry.size_bytes for entry in storage.list(""))
    work()
    return (sum(entry.size_bytes for entry in storage.list("")) - before) / (1 << 20)


def print_row(documents: int) -> None:
    """Measure one size."""
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder))
        base = base_manifest(write_catalog(storage, documents))
        size = base.catalog[0].artifact.size_bytes / (1 << 20)
        files = [
            ListedFile(
                uri=(uri := uri_of(number)),
                path=uri,
                size_bytes=1000 + (number % CHANGED_EVERY == 0),
                mtime_ns=1,
            )
            for number in range(documents)
        ]
        files.sort(key=lambda file: file.uri)
        with spent() as planning:
            plan, hashes = plan_night(storage, base, files)
        del files
        manifests: list[Manifest] = []
        with spent() as publishing:
            written = written_mib(
                storage, lambda: manifests.append(assemble_night(storage, base, plan, hashes))
            )
        with spent() as checking:
            totals = catalog_totals(storage, manifests[0].catalog)
        assert totals.documents == manifests[0].counts.documents == documents  # noqa: S101
        assert len(plan.items) == documents // CHANGED_EVERY  # noqa: S101
    cells = (
        f"{documents:,}",
        f"{len(plan.items):,}",
        f"{size:,.0f}",
        f"{planning.seconds:.1f}",
        f"{planning.peak_mib:,.0f}",
        f"{publishing.seconds:.1f}",
        f"{publishing.peak_mib:,.0f}",
        f"{written:.2f}",
        f"{checking.seconds:.1f}",
        f"{checking.peak_mib:,.0f}",
    )
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description="a night of a large catalog")
    parser.add_argument("--documents", type=int, nargs="+", default=[1_000_000, 10_000_000])
    sizes = parser.parse_args().documents
    if len(sizes) == 1:
        print_row(sizes[0])
        return
    print(
        "| documents | changed | catalog MiB | plan s | plan MiB | assemble s | assemble MiB | "
        "written MiB | check s | check MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for size in sizes:
        command = [sys.executable, __file__, "--documents", str(size)]
        subprocess.run(command, check=True, env=os.environ)


if __name__ == "__main__":
    main()
