"""What the commit log costs as it grows, and whether racing writers lose anything.

python benchmarks/log_growth.py [--records 10000] [--writers 8] [--appends 1000]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from index_store.artifacts import Artifact
from index_store.errors import ConflictError
from index_store.layout import log_prefix, manifest_key
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, LogChange, LogState, RecordKind
from index_store.storage.base import Storage, StoredObject
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage

COLLECTION = "docs"
PAGE = 1000  # keys that S3 lists in one request
OPEN_VERSIONS = 20


class Metered(MemoryStorage):
    """Counts requests as S3 would, and bytes written."""

    def __init__(self) -> None:
        super().__init__("metered")
        self.requests = 0
        self.written_bytes = 0

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """See `Storage.read`."""
        self.requests += 1
        return super().read(key, start=start, end=end)

    def put(self, key: str, source: bytes | Path) -> None:
        """See `Storage.put`."""
        self.requests += 1
        self.written_bytes += len(source) if isinstance(source, bytes) else source.stat().st_size
        super().put(key, source)

    def create(self, key: str, data: bytes) -> None:
        """See `Storage.create`."""
        self.requests += 1
        self.written_bytes += len(data)
        super().create(key, data)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`."""
        entries = list(super().list(prefix, after=after))
        self.requests += 1 + len(entries) // PAGE
        yield from entries

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        self.requests += 1
        super().delete(key)


def change(number: int, state: LogState) -> LogChange:
    """A publication at first, then promotions of the versions in turn."""
    version = f"{number % OPEN_VERSIONS + 1:064x}"
    if version in state.versions:
        return LogChange(
            kind=RecordKind.PROMOTE,
            version=version,
            channel=PRODUCTION,
            expected=state.channels.get(PRODUCTION),
        )
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version,
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        manifest=Artifact(key=manifest_key(COLLECTION, version), size_bytes=1, sha256=version),
    )


def growth(limit: int) -> None:
    """Print what appending and opening cost at several lengths."""
    storage = Metered()
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    print(
        "| records | append: requests | KiB written | open: requests | ms | audit: requests | ms |"
    )
    print("|---|---|---|---|---|---|---|")
    length = 10
    while length <= limit:
        requests, written, before = storage.requests, storage.written_bytes, state.seq
        while state.seq < length:
            state = log.append(state, change(state.seq, state))
        appended = length - before
        each = (storage.requests - requests) / appended
        kib = (storage.written_bytes - written) / appended / 1024
        cold = timed(storage, lambda: CommitLog(storage, COLLECTION).read())
        audit = timed(storage, lambda: CommitLog(storage, COLLECTION).audit())
        print(
            f"| {length} | {each:.1f} | {kib:.1f} | {cold[0]} | {cold[1]:.1f} "
            f"| {audit[0]} | {audit[1]:.0f} |"
        )
        length *= 10


def timed(storage: Metered, act: Callable[[], object]) -> tuple[int, float]:
    """Return requests and milliseconds of an action."""
    requests, start = storage.requests, time.perf_counter()
    act()
    return storage.requests - requests, (time.perf_counter() - start) * 1000


def race(storage: Storage, writers: int, appends: int) -> str:
    """Let threads append at once; return what became of their records."""
    lost_races = [0] * writers

    def append_all(place: int) -> None:
        log = CommitLog(storage, COLLECTION)
        for number in range(place, appends, writers):
            version = f"{number + 1:064x}"
            while True:
                state = log.read()
                publication = LogChange(
                    kind=RecordKind.PUBLISH,
                    version=version,
                    channel=CANDIDATE,
                    expected=state.channels.get(CANDIDATE),
                    manifest=Artifact(
                        key=manifest_key(COLLECTION, version), size_bytes=1, sha256=version
                    ),
                )
                try:
                    log.append(state, publication)
                except ConflictError:
                    lost_races[place] += 1
                    continue
                break

    start = time.perf_counter()
    threads = [threading.Thread(target=append_all, args=(place,)) for place in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    audit = CommitLog(storage, COLLECTION).audit()
    seqs = sorted(known.seq for known in audit.state.versions.values())
    contiguous = sorted(audit.modified_ms) == list(range(1, audit.state.seq + 1))
    return (
        f"{appends - len(audit.state.versions)} lost, {len(seqs) - len(set(seqs))} doubled, "
        f"{'contiguous' if contiguous and audit.state.seq == appends else 'NOT CONTIGUOUS'}, "
        f"{sum(lost_races)} races lost and run again, {seconds:.1f} s"
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--appends", type=int, default=1000)
    options = parser.parse_args()
    growth(options.records)
    with tempfile.TemporaryDirectory() as folder:
        stores = (("memory", MemoryStorage("race")), ("folder", FolderStorage(Path(folder))))
        for name, storage in stores:
            told = race(storage, options.writers, options.appends)
            print(f"{options.appends} appends by {options.writers} writers, {name}: {told}")
            size = sum(entry.size_bytes for entry in storage.list(log_prefix(COLLECTION)))
            print(f"  the log's folder holds {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
