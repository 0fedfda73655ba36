"""A process that uses a cache: `python cache_child.py <mode> <store> <cache>`.

Modes: `halt` stops in the middle of a download and waits to be killed; `race` leases every object
ten times over and prints whether each copy was whole; `hold` keeps a copy until its input ends;
`sweep` forks children that are killed at every step of a download, and prints whether the next
reader gets a whole copy; `full` reads through a cache on a disk that fills up. Each prints a line
when it is where it should be. It runs apart from the tests, so that it can be killed, and mounted
things stay its own.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "index_store"))

from metered_storage import MeteredStorage
from store_builders import COLLECTION, publish_documents, vector

from index_store.artifacts import Artifact, measure
from index_store.cache import CacheOptions, LocalCache
from index_store.errors import TransientError
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage

LIMIT_BYTES = 150_000  # of the cache: not enough for all objects of a race


class InterruptedStorage(MeteredStorage):
    """Does something before a part of an object is given."""

    def __init__(
        self, inner: FolderStorage | MemoryStorage, interrupt: Callable[[str, int], None]
    ) -> None:
        super().__init__(inner)
        self._interrupt = interrupt

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        self._interrupt(key, start)
        return super().read(key, start=start, end=end)


def artifacts(storage: FolderStorage) -> list[Artifact]:
    return [measure(entry.key, storage.read(entry.key)) for entry in storage.list("")]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def halt(storage: FolderStorage, cache: LocalCache) -> None:
    def wait(key: str, start: int) -> None:  # noqa: ARG001
        if start:
            say("halfway")
            sys.stdin.read()

    cache.lease(InterruptedStorage(storage, wait), artifacts(storage)[0])


def race(storage: FolderStorage, cache: LocalCache) -> None:
    for _ in range(10):
        for artifact in artifacts(storage):
            lease = cache.lease(MeteredStorage(storage), artifact)
            if measure(artifact.key, lease.path) != artifact:
                say(f"{artifact.key} is damaged")
            lease.close()
    say("whole")


def hold(storage: FolderStorage, cache: LocalCache) -> None:
    lease = cache.lease(storage, artifacts(storage)[0])
    say("held")
    sys.stdin.read()
    lease.close()


def sweep(storage: FolderStorage, cache: LocalCache) -> None:
    """Kill a download at every file operation, each in a child of its own."""
    (artifact,) = artifacts(storage)
    for number in range(1, 1000):
        child = os.fork()
        if child == 0:
            die_at(number)
            cache.lease(MeteredStorage(storage), artifact)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        heir = LocalCache(cache.options)
        lease = heir.lease(MeteredStorage(storage), artifact)
        whole = measure(artifact.key, lease.path) == artifact
        files = [path.name for path in cache.options.folder.iterdir() if path.is_file()]
        alone = files == [artifact.sha256]
        say(f"{number} {'whole' if whole and alone else 'broken'}")
        lease.close()
        lease.path.unlink()
        if code != -signal.SIGKILL:
            say("done")
            return


def die_at(number: int) -> None:
    """Kill this process just before its file operation of that number."""
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:  # noqa: ARG001
        nonlocal seen
        if event.startswith(("os.", "fcntl.")) or event == "open":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def full(scratch: Path, folder: Path) -> None:
    """Serve a small version while a large one cannot be opened: first midway, then at the start."""
    inner = MemoryStorage("full")
    old = publish_documents(inner, {"a.txt": ["small"]}, scratch, run="old").version
    texts = [f"{number} " + "x" * 200 for number in range(3000)]
    new = publish_documents(inner, {"b.txt": texts}, scratch, run="new").version
    options = SnapshotOptions(cache=LocalCache(CacheOptions(folder=folder)))

    def fill(key: str, start: int) -> None:  # noqa: ARG001
        if key.endswith("index.faiss"):
            with contextlib.suppress(OSError):
                (folder.parent / "filler").write_bytes(b"x" * (4 << 20))

    with Snapshot.open(MeteredStorage(inner), COLLECTION, version=old, options=options) as serving:
        for storage in (InterruptedStorage(inner, fill), MeteredStorage(inner)):
            try:
                Snapshot.open(storage, COLLECTION, version=new, options=options)
            except TransientError as error:
                say(f"refused: {error}")
            (folder.parent / "filler").unlink(missing_ok=True)
        say(f"serving: {serving.nearest(vector('small'), 1)[0].text}")
        say(f"unfinished: {len(list(folder.glob('.tmp-*')))}")


def main() -> None:
    mode, store, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if mode == "full":
        full(store, folder)
        return
    cache = LocalCache(CacheOptions(folder=folder, limit_bytes=LIMIT_BYTES))
    {"halt": halt, "race": race, "hold": hold, "sweep": sweep}[mode](FolderStorage(store), cache)


if __name__ == "__main__":
    main()
