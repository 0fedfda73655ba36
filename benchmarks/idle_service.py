"""How soon a retriever answers from a version that is here already, and what it holds while idle.

    python benchmarks/idle_service.py [--rows N] [--store FOLDER]

A version of N made-up chunks of 384 dimensions is published into a folder whose files are copied
into a cache, as those of an S3 store are; a first process fills the cache. Then a process of its
own is started five times, and asked until it is ready; what its start takes of a processor tells
more than seconds on a machine that is busy with something else. Resident memory is split by what is
mapped: files of the index (their pages are the kernel's to drop), and all else. With `--store`, the
same over a store that is there, such as the demo's, with the embedder that its versions name.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serving_load import Service, running
from swap_under_load import COLLECTION, published

from index_store.log import CommitLog
from index_store.publisher import promote
from index_store.storage.folder import FolderStorage

STARTS = 5
LIBRARIES = "fastapi, uvicorn, faiss, pyarrow.compute, tantivy, click"
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)")


def resident_kib(service: Service, folders: tuple[Path, ...]) -> tuple[int, int]:
    """Return the resident KiB of mapped files below some folders, and of all else."""
    of_index = other = 0
    inside = False
    for line in Path(f"/proc/{service.process.pid}/smaps").read_text().splitlines():
        found = MAPPING.fullmatch(line)
        if found:
            inside = found[1].startswith(tuple(map(str, folders)))
        elif line.startswith("Rss:"):
            kib = int(line.split()[1])
            of_index, other = (of_index + kib, other) if inside else (of_index, other + kib)
    return of_index, other


def libraries_s() -> float:
    """Return the seconds of processor time of a process that imports the libraries alone."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_starts(store: str, folder: Path, **settings: object) -> None:
    """Start a service several times, and print when it was ready and what it held."""
    with running(store, folder, **settings) as service:
        service.wait_for()
    ready, spent, held = [], [], (0, 0)
    for _ in range(STARTS):
        began = time.monotonic()
        with running(store, folder, **settings) as service:
            service.wait_for()
            ready.append(time.monotonic() - began)
            spent.append(service.processor_s())
            time.sleep(1.0)
            held = resident_kib(service, (folder / "cache", Path(store)))
    print("ready after", ", ".join(f"{each:.2f}" for each in sorted(ready)), "s (goal 1)")
    print("of a processor", ", ".join(f"{each:.2f}" for each in sorted(spent)), "s")
    print(f"loading what it stands on ({LIBRARIES}) alone takes {libraries_s():.2f} s of it")
    print(f"idle: {held[0] >> 10} MiB of the index resident, {held[1] >> 10} beside it (goal 250)")


def main() -> None:
    """Print when a service is ready, and what it holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.store is not None:
            print_starts(str(given.store.resolve()), folder)
            return
        storage = FolderStorage(folder / "store")
        versions, size_bytes = published(storage, given.rows, 1)
        promote(CommitLog(storage, COLLECTION), versions[0])
        print(f"{given.rows:,} x 384, {size_bytes >> 20} MiB of files")
        print_starts(str(folder / "store"), folder, cache_folders=True)


if __name__ == "__main__":
    main()
