"""What bad days cost: archives, repairs, an erasure, and a reader that starts anew or follows.

    python benchmarks/bad_days.py

A source of text files is indexed by the command and changed once. Everything after that works on
the store alone, by the code that the commands use; a reader's store is the same folder, read as if
it had no local files.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from index_store.cache import CacheOptions, LocalCache
from index_store.collections import load_manifest
from index_store.exporting import export_version
from index_store.importing import import_archive
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, PublishedVersion
from index_store.repair import repair
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage
from tasks.stages.erasing import erase
from tasks.stages.erasure_report import purge_and_certify

DOCUMENTS = 2000
CHANGED = 20
PARAGRAPHS = 20
COLLECTION = "documents"

Result = TypeVar("Result")


class RemoteFolder(FolderStorage):
    """A folder that is read through its interface alone, and counts what is read."""

    read_bytes = 0

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return a part of an object."""
        data = super().read(key, start=start, end=end)
        self.read_bytes += len(data)
        return data

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002
        """Return None, as a store across a network does."""
        return None


def write_documents(source: Path, count: int, topic: str) -> None:
    """Write texts whose sentences are all different."""
    for number in range(count):
        told = [
            f"Sentence {place} of {topic} {number} says what rule {place * number} asks of people. "
            * 8
            for place in range(PARAGRAPHS)
        ]
        (source / f"{number:05d}.txt").write_text("\n\n".join(told))


def run(source: Path, store: Path) -> None:
    """Run a night."""
    command = [sys.executable, "-m", "flows.cli", "run", "--quiet", "--embedder", "hashing:384"]
    arguments = ["--source", str(source), "--store", str(store)]
    subprocess.run([*command, *arguments], check=True, env=os.environ, stdout=subprocess.DEVNULL)


def timed(what: str, work: Callable[[], Result], told: Callable[[Result], str]) -> Result:
    """Print how long something takes and what came of it."""
    started = time.perf_counter()
    result = work()
    print(f"| {what} | {time.perf_counter() - started:.2f} | {told(result)} |")
    return result


def production(storage: FolderStorage) -> PublishedVersion:
    """Return the version that is served."""
    state = CommitLog(storage, COLLECTION).read()
    return state.versions[state.channels[PRODUCTION]]


def read_once(url: str, folder: Path, *, same: LocalCache | None = None) -> int:
    """Open production through a cache and return the bytes that were read from the store."""
    storage = RemoteFolder(Path(url))
    cache = LocalCache(CacheOptions(folder=folder)) if same is None else same
    Snapshot.open(storage, COLLECTION, options=SnapshotOptions(cache=cache)).close()
    return storage.read_bytes


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source").mkdir()
        write_documents(folder / "source", DOCUMENTS, "first")
        run(folder / "source", folder / "store")
        storage, cache = FolderStorage(folder / "store"), folder / "cache"
        size = sum(entry.size_bytes for entry in storage.list(""))
        rows = load_manifest(storage, production(storage)).counts.chunks_live
        print(f"{DOCUMENTS} documents, {rows} chunks x 384, {size >> 20} MiB\n")
        print("| | seconds | |\n|---|---|---|")
        readers(folder, storage, cache)
        archives(folder, storage)
        repairs(storage)
        erasure(storage)


def readers(folder: Path, storage: FolderStorage, cache: Path) -> None:
    """Open a version with an empty cache, a full one, and after a night that changed 1 %."""
    kept = LocalCache(CacheOptions(folder=cache))
    whole = timed("open, empty cache", lambda: read_once(storage.url, cache, same=kept), mib)
    timed("open, full cache, new process", lambda: read_once(storage.url, cache), mib)
    timed("open, full cache, same process", lambda: read_once(storage.url, cache, same=kept), mib)
    write_documents(folder / "source", CHANGED, "second")
    run(folder / "source", folder / "store")
    timed(
        "open after a night of 1 %",
        lambda: read_once(storage.url, cache, same=kept),
        lambda read: f"{mib(read)}, {read / whole:.2%}",
    )


def archives(folder: Path, storage: FolderStorage) -> None:
    """Export and import a version with its embeddings."""
    archive = folder / "archive"
    timed(
        "export --with-embeddings",
        lambda: export_version(storage, production(storage), archive, with_embeddings=True),
        lambda _: mib(archive.stat().st_size),
    )
    timed(
        "import",
        lambda: import_archive(FolderStorage(folder / "other"), archive),
        lambda done: "same version" if done.version == done.origin else "another version",
    )


def repairs(storage: FolderStorage) -> None:
    """Lose all indexes, then the whole catalog."""
    for kind in (".faiss", ".parquet"):
        for entry in list(storage.list(COLLECTION)):
            if entry.key.endswith(kind):
                storage.delete(entry.key)
        timed(
            f"repair without any {kind} file",
            lambda: repair(storage, COLLECTION),
            lambda report: (
                f"{len(report.restored)} files as they were, {len(report.rebuilt)} new, "
                f"promoted: {report.promoted}"
            ),
        )


def erasure(storage: FolderStorage) -> None:
    """Erase a document, then purge it."""
    uris = (f"{DOCUMENTS // 2:05d}.txt",)
    timed(
        "erase",
        lambda: erase(storage, COLLECTION, uris, run="erasure", created_at_ms=0),
        lambda done: f"{done.chunks} chunks",
    )
    timed(
        "purge and certify",
        lambda: purge_and_certify(storage, COLLECTION, uris, run="erasure", created_at_ms=0),
        lambda report: (
            f"{len(report.purged.keys)} objects removed, {report.certificate.objects} looked at, "
            f"clean: {report.certificate.clean}"
        ),
    )


def mib(size_bytes: int) -> str:
    """Return a size for people."""
    return f"{size_bytes / (1 << 20):.1f} MiB"


if __name__ == "__main__":
    main()
