"""What swapping versions costs those who ask meanwhile, and whether ending costs anybody an answer.

    python benchmarks/swap_under_load.py [--rows N] [--swaps N] [--clients N] [--pause S]

A shard of N made-up chunks of 384 dimensions is published, then many versions of it with a small
shard more, none promoted. `nightpress serve` runs in a process of its own, clients with a
connection each ask without a pause, and one version after another is promoted, with a pause between
them that counts as steady. A request counts as during a swap when it was under way between the
promotion and the first answer of the new version. Memory is what anonymous pages of the process
grew by. Then SIGTERM comes while the same clients ask until nobody listens any more.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from search_store import COLLECTION, Rows, build
from serving_load import Asked, Load, Service, p, running
from verification_cost import made_up

from index_store.artifacts import Artifact
from index_store.collections import ensure_format
from index_store.embedders.hashing import HashingEmbedder
from index_store.log import CommitLog
from index_store.manifest import Counts, HnswSettings, Manifest, ShardEntry
from index_store.publisher import promote, publish
from index_store.shard_options import ShardOptions
from index_store.storage.folder import FolderStorage

EMBEDDER = HashingEmbedder(384)
OPTIONS = ShardOptions(hnsw=HnswSettings(m=32, ef_construction=16))
DELTA_ROWS = 100
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """When a swap was under way."""

    began_s: float
    ended_s: float

    def has(self, asked: Asked) -> bool:
        """Whether a request was under way then."""
        return asked.began_s < self.ended_s and asked.began_s + asked.took_s > self.began_s


def rows_of(count: int, first: int = 0) -> Rows:
    """Return made-up chunks with the vectors that the service's embedder makes of them."""
    rows = made_up(count)
    uris = [f"{first}-{uri}" for uri in rows.uris]
    texts = [f"{first} {text}" for text in rows.texts]
    vectors = np.concatenate(
        [EMBEDDER.embed(texts[at : at + 512]) for at in range(0, len(texts), 512)]
    )
    return replace(rows, uris=uris, texts=texts, vectors=vectors)


def published(storage: FolderStorage, rows: int, versions: int) -> tuple[list[str], int]:
    """Publish versions that share a large shard; their ids, and the bytes of one."""
    ensure_format(storage, COLLECTION)
    base = build(storage, rows_of(rows), options=OPTIONS)
    log = CommitLog(storage, COLLECTION)
    ids, size_bytes = [], 0
    for number in range(1, versions + 1):
        delta = build(storage, rows_of(DELTA_ROWS, number), options=OPTIONS, number=number)
        manifest = manifest_of((base, delta), log.read().channels.get("candidate"), number)
        ids.append(publish(storage, log, manifest, log.read()).version)
        unique: dict[str, Artifact] = {each.key: each for each in manifest.artifacts}
        size_bytes = sum(each.size_bytes for each in unique.values())
    return ids, size_bytes


def manifest_of(shards: Sequence[ShardEntry], parent: str | None, number: int) -> Manifest:
    """Return a version of these shards."""
    live = sum(shard.live for shard in shards)
    counts = Counts(documents=live // 10, rejected=0, chunks_live=live, chunks_dead=0, tokens=0)
    return Manifest(
        collection=COLLECTION,
        parent=parent,
        run=f"run-{number}",
        created_at_ms=number,
        embedder=EMBEDDER.spec,
        chunker="benchmark",
        shards=tuple(shards),
        catalog=(),
        counts=counts,
    )


class Peak:
    """The most anonymous memory that a process had, looked at all the time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.kib = service.memory_kib()

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            self.kib = max(self.kib, self._service.memory_kib())


def swap_all(
    service: Service, log: CommitLog, versions: Sequence[str], pause_s: float
) -> list[Window]:
    """Promote one version after another; when each swap was under way."""
    windows = []
    for version in versions:
        time.sleep(pause_s)
        began = time.monotonic()
        promote(log, version)
        service.wait_for(version)
        windows.append(Window(began, time.monotonic()))
    time.sleep(pause_s)
    return windows


def print_swaps(
    answers: Sequence[Asked], windows: Sequence[Window], grown: float, size_bytes: int
) -> None:
    """Print what the swaps cost."""
    during = [each for each in answers if any(window.has(each) for window in windows)]
    steady = [each for each in answers if not any(window.has(each) for window in windows)]
    failed = [each for each in answers if each.status != 200]
    lasted = [window.ended_s - window.began_s for window in windows]
    print(f"{len(windows)} swaps, each {np.median(lasted):.2f} s (median), {len(answers)} requests")
    print(f"failed: {len(failed)} {sorted({each.told for each in failed})[:3]}")
    for what, asked in (("steady", steady), ("during a swap", during)):
        print(f"{what}: {len(asked)} requests, p50 {p(0.5, asked):.1f} p99 {p(0.99, asked):.1f} ms")
    print(f"p99 during a swap: {p(0.99, during) / p(0.99, steady):.2f} x steady (goal 2)")
    print(f"anonymous memory: {grown / MIB:.1f} MiB more at most, {grown / size_bytes:.1%}")
    print(f"of {size_bytes / MIB:.0f} MiB that a version has (goal 10 %)")


def print_ending(service: Service, load: Load) -> None:
    """Send SIGTERM under load, and print what became of the requests."""
    load.start()
    time.sleep(1.0)
    began = time.monotonic()
    code = service.end()
    took_s = time.monotonic() - began
    load.join()
    after = [each for each in load.answers if each.began_s + each.took_s > began]
    lost = [each for each in load.answers if each.status != 200]
    print(f"SIGTERM: ended with code {code} after {took_s:.1f} s, {len(after)} answered meanwhile")
    print(f"lost: {len(lost)} of {len(load.answers)} {sorted({each.told for each in lost})[:3]}")


def main() -> None:
    """Publish, load, swap, end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pause", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = FolderStorage(folder / "store")
        versions, size_bytes = published(storage, given.rows, given.swaps + 1)
        log = CommitLog(storage, COLLECTION)
        promote(log, versions[0])
        questions = [" ".join(text.split()[1:6]) for text in rows_of(500).texts]
        with running(str(folder / "store"), folder, poll_s=0.2) as service:
            service.wait_for(versions[0])
            warm = Load(service.port, questions, given.clients)
            warm.start()
            time.sleep(3.0)
            warm.stop()
            before_kib = service.memory_kib()
            load = Load(service.port, questions, given.clients)
            load.start()
            with Peak(service) as peak:
                windows = swap_all(service, log, versions[1:], given.pause)
            load.stop()
            print_swaps(load.answers, windows, 1024 * (peak.kib - before_kib), size_bytes)
            print_ending(service, Load(service.port, questions, given.clients))


if __name__ == "__main__":
    main()
