"""What opening a whole published version from the local cache costs: milliseconds and memory.

    python benchmarks/opening.py [--rows N]

A version of N made-up chunks of 384 dimensions, with its lexical files, is published into a folder
whose files are copied into a cache as those of an S3 store are. A process of its own then opens it
three times, each copy known by its note; then once more without notes, so that each is compared
with its hash. Memory is what anonymous pages grew by until a hybrid search was answered.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from search_store import COLLECTION, build, opened
from verification_cost import DIMENSION, made_up

from index_store.cache import NOTES, CacheOptions, LocalCache
from index_store.manifest import HnswSettings
from index_store.search_options import Question
from index_store.shard_options import ShardOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage

# A small graph: opening does not depend on how much thought went into it.
QUICK_GRAPH = HnswSettings(m=32, ef_construction=16)
MIB = 1 << 20


def open_version(store: Path, cache: LocalCache) -> Snapshot:
    """Open the newest version through the cache."""
    return Snapshot.open(
        FolderStorage(store),
        COLLECTION,
        channel="candidate",
        options=SnapshotOptions(exact_rows=0, cache=cache),
    )


def print_opened(store: Path, folder: Path) -> None:
    """Print milliseconds of three openings, one after the other, and anonymous MiB of the first."""
    question = np.ones(DIMENSION, np.float32) / np.float32(DIMENSION**0.5)
    cache = LocalCache(CacheOptions(folder=folder, copy_folders=True))
    before = _anonymous_mib()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        snapshot = open_version(store, cache)
        times.append(1000 * (time.perf_counter() - began))
        if len(times) == 1:
            opened_mib = _anonymous_mib() - before
            snapshot.search(Question(text="word1 word2", vector=question))
            searched_mib = _anonymous_mib() - before
        snapshot.close()
    shutil.rmtree(folder / NOTES)
    began = time.perf_counter()
    open_version(store, cache).close()
    print(*times, 1000 * (time.perf_counter() - began), opened_mib, searched_mib)


def _anonymous_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell RssAnon")


def main() -> None:
    """Publish, fill the cache, and print what a process that finds it filled needs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--open", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open:
        print_opened(*given.open)
        return
    with tempfile.TemporaryDirectory() as name:
        store, folder = Path(name) / "store", Path(name) / "cache"
        rows, storage = made_up(given.rows), FolderStorage(store)
        entry = build(storage, rows, options=ShardOptions(hnsw=QUICK_GRAPH))
        opened(storage, rows, entry).close()
        open_version(store, LocalCache(CacheOptions(folder=folder, copy_folders=True))).close()
        command = [sys.executable, __file__, "--open", str(store), str(folder)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        copies_mib = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / MIB
    first, *again, hashed, opened_mib, searched_mib = map(float, told.split())
    index_mib = entry.index.size_bytes / MIB
    print(f"{given.rows:,} x {DIMENSION}: vectors {index_mib:.0f} MiB, all files {copies_mib:.0f}")
    print(f"first opening of a process: {first:.0f} ms")
    print(f"again in that process: {', '.join(f'{each:.0f}' for each in again)} ms")
    print(f"again, every hash compared: {hashed:.0f} ms")
    for what, mib in (("opened", opened_mib), ("and searched", searched_mib)):
        print(f"anonymous, {what}: {mib:.1f} MiB, {mib / index_mib:.1%} of the vectors' file")


if __name__ == "__main__":
    main()
