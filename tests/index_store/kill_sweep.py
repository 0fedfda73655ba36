"""Kills a publish at every file operation, one process each, and reports what readers see after it.

Run as a program by `test_kill.py`: children are forked from here, where no library has threads
yet. Its argument is the distance between kill points. Prints one line per kill point: `<number>
<old|new|half> <healed|broken>`, and `done` for the run that came through.
"""

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset  # here, or every child would import it

sys.path.insert(0, str(Path(__file__).parent))

from store_builders import (
    COLLECTION,
    build_manifest,
    commit_log,
    publish_documents,
    vector,
)

from index_store.log import CommitLog
from index_store.publisher import promote, publish
from index_store.snapshot import Snapshot
from index_store.storage.folder import FolderStorage

OLD = {"a.txt": ["the old text"], "b.txt": ["kept"]}
NEW = {"a.txt": ["the new text"], "b.txt": ["kept"]}
EVENTS = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.fsync"}
COMPLETED = 77  # exit code of a child that was not killed


def prepare(root: Path, folder: Path) -> None:
    """Publish and promote the old version."""
    storage = FolderStorage(root)
    first = publish_documents(storage, OLD, folder)
    promote(commit_log(storage), first.version)


def night(root: Path, folder: Path) -> None:
    """Publish and promote the new version, or go on where an earlier night stopped."""
    storage = FolderStorage(root)
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    candidate = state.channels["candidate"]
    if candidate == state.channels["production"]:
        manifest = build_manifest(storage, NEW, folder, parent=candidate, run="night")
        candidate = publish(storage, log, manifest, state).version
    promote(log, candidate)


def served(root: Path) -> str:
    """Return which version production serves, with every file checked."""
    with Snapshot.open(FolderStorage(root), COLLECTION) as snapshot:
        texts = {hit.text for hit in snapshot.nearest(vector("x"), 10)}
    return {("kept", "the new text"): "new", ("kept", "the old text"): "old"}.get(
        tuple(sorted(texts)), "half"
    )


def killed_night(root: Path, folder: Path, number: int) -> None:
    """Run the night and die just before file operation `number` below the store."""
    seen = 0
    fsync = os.fsync

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in EVENTS or (event == "open" and arguments[1] in {"xb", "wb"}):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def audited_fsync(descriptor: int) -> None:
        count("os.fsync", ())
        fsync(descriptor)

    os.fsync = audited_fsync
    sys.addaudithook(count)
    night(root, folder)
    os._exit(COMPLETED)


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a child and return its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def judge(root: Path, folder: Path, number: int) -> None:
    """Print what readers see after the kill, and after the night ran again."""
    before = served(root)
    if before != "new":
        night(root, folder)
    state = CommitLog(FolderStorage(root), COLLECTION).read()
    healed = served(root) == "new" and state.seq == 4 and len(state.versions) == 2
    sys.stdout.write(f"{number} {before} {'healed' if healed else 'broken'}\n")
    sys.stdout.flush()


def main() -> None:
    """Try kill points until a night comes through."""
    pa.array([1])  # imports what it needs once, here
    with tempfile.TemporaryDirectory() as name:
        old, build = Path(name) / "old", Path(name) / "build"
        build.mkdir()
        if forked(lambda: prepare(old, build)):
            return
        for number in range(1, 1000, int(sys.argv[1])):
            root, folder = Path(name) / f"store-{number}", Path(name) / f"build-{number}"
            folder.mkdir()
            shutil.copytree(old, root)
            code = forked(lambda: killed_night(root, folder, number))  # noqa: B023
            if code == COMPLETED:
                sys.stdout.write("done\n")
                return
            if code != -signal.SIGKILL or forked(lambda: judge(root, folder, number)):  # noqa: B023
                return


if __name__ == "__main__":
    main()
