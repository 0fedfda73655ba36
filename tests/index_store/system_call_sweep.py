"""Kills a publish before every system call on a file, or lets the call fail, and judges the store.

Run as a program by `test_system_calls.py`. A child that is about to publish waits; strace attaches
to it with one fault and lets it go. Prints one line for each case, `<call> <number> <fault>
<old|new|half> <healed|broken>`, `<call> <number> <fault> unjudged <exit code>` when judging itself
ended with an error (its traceback is in the standard error), and `done` when all were tried.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet  # here, or every child would import it

sys.path.insert(0, str(Path(__file__).parent))

from kill_sweep import COMPLETED, forked, night, prepare, served
from store_builders import COLLECTION, vector

from index_store.errors import IndexStoreError
from index_store.log import CommitLog
from index_store.storage.folder import FolderStorage
from index_store.verification import verify_collection

KILL = "signal=KILL"
# The calls by which a file comes into being, gets its bytes, its name, or goes: each is killed, and
# fails with the errors that a full or a dying disk gives it.
FAULTS = {
    "openat": (KILL, "error=ENOSPC", "error=EIO"),
    "write": (KILL, "error=ENOSPC", "error=EIO"),
    "pwrite64": (KILL, "error=ENOSPC"),
    "fsync": (KILL, "error=ENOSPC", "error=EIO"),
    "fdatasync": (KILL, "error=EIO"),
    "rename": (KILL, "error=EIO"),
    "link": (KILL, "error=ENOSPC", "error=EIO"),
    "linkat": (KILL, "error=ENOSPC"),
    "unlink": (KILL, "error=EIO"),
    "mkdir": (KILL, "error=ENOSPC"),
    "ftruncate": (KILL, "error=EIO"),
    "read": (KILL, "error=EIO"),
    "pread64": (KILL, "error=EIO"),
    "close": (KILL,),
    "getdents64": (KILL, "error=EIO"),
}
FAILED = 76  # exit code of a child whose publish ended with an error


def publish_or_fail(root: Path, folder: Path) -> None:
    """Run the night; an error that it reports is an outcome like another."""
    try:
        night(root, folder)
    except (IndexStoreError, OSError, RuntimeError):  # FAISS raises the last one
        os._exit(FAILED)
    os._exit(COMPLETED)


def traced(work: Callable[[], None], *options: str) -> int:
    """Run `work` in a child under strace and return its exit code, negative for a signal."""
    waiting, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(go)
            os.read(waiting, 1)  # the first call that a fault may strike
            work()
        finally:
            os._exit(FAILED)  # never back into the program that forked
    os.close(waiting)
    command = ["strace", "-f", "-p", str(child), "-e", f"trace={','.join(FAULTS)}", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        os.write(go, b"x")
        os.close(go)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if "attached" not in attached:
        raise SystemExit(f"strace: {attached.strip()}")
    return code


def calls(root: Path, folder: Path) -> Counter[str]:
    """Return how often an undisturbed publish makes each call in its main thread."""
    log = folder / "calls"
    code = traced(lambda: publish_or_fail(root, folder), "-o", str(log))
    if code != COMPLETED:
        raise SystemExit(f"an undisturbed publish ended with {code}")
    lines = log.read_text().splitlines()
    main = lines[0].split()[0]
    found = (re.match(rf"{main}\s+(\w+)\(", line) for line in lines)
    return Counter(each[1] for each in found if each)


def cases(counted: Counter[str]) -> Iterator[tuple[str, int, str]]:
    """Yield every call, its number, and what is done to it."""
    for call, times in sorted(counted.items()):
        for number in range(1, times + 1):
            for fault in FAULTS[call]:
                yield call, number, fault


def sound(root: Path) -> str:
    """Return which version is served; `half` when anything in the store is not as it should be."""
    problems = verify_collection(FolderStorage(root), COLLECTION, deep=True).problems
    return "half" if problems else served(root)


def judge(root: Path, folder: Path, case: str) -> None:
    """Print what readers see after the fault, and after the night ran again."""
    before = sound(root)
    if before != "new":
        night(root, folder)
    state = CommitLog(FolderStorage(root), COLLECTION).audit().state
    healed = sound(root) == "new" and state.seq == 4 and len(state.versions) == 2
    sys.stdout.write(f"{case} {before} {'healed' if healed else 'broken'}\n")
    sys.stdout.flush()


def main() -> None:
    """Try every case on a copy of one prepared store."""
    pa.array([1])  # imports what it needs once, here, and so does numpy
    vector("any")
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "build").mkdir()
        if forked(lambda: prepare(top / "old", top / "build")):
            return

        def fresh() -> tuple[Path, Path]:
            root, folder = top / "store", top / "night"
            shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copytree(top / "old", root)
            return root, folder

        for call, number, fault in cases(calls(*fresh())):
            root, folder = fresh()
            inject = f"inject={call}:{fault}:when={number}"
            quiet = ("-e", inject, "-o", os.devnull)
            traced(lambda: publish_or_fail(root, folder), *quiet)  # noqa: B023
            case = f"{call} {number} {fault.split('=')[1]}"
            ended = forked(lambda: judge(root, folder, case))  # noqa: B023
            if ended:
                sys.stdout.write(f"{case} unjudged {ended}\n")
                sys.stdout.flush()
        sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
