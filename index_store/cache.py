"""A folder of this machine with copies of artifacts, shared by all processes that read a store.

A copy is a file named by its own hash. Who uses it holds a shared lock on it; who wants to remove
it needs the lock for itself alone, so what a snapshot of any process has open stays. The operating
system drops a lock when its process ends, however it ends, so nothing is ever left locked.

Invariants: a file bears the name of a hash only after its bytes agreed with it; it is never
modified in place, because that kills or misleads whoever has it mapped, and it goes by being
unlinked; an artifact that is here is never downloaded again; a copy is compared with its hash at
least once a day, and whenever anything has touched it since: a note beside the copies says which
file was compared and when, and its modification time when the copy was last used.
"""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from index_store.artifacts import Artifact, check_file
from index_store.clock import system_clock_ms
from index_store.errors import CorruptArtifactError, NoRoomError, TransientError
from index_store.storage.base import TEMPORARY_PREFIX, Storage
from index_store.streaming import read_blocks

MAX_ATTEMPTS = 20  # when others keep removing or damaging what was just made
MARK_NS = 1_000_000_000 * 1_000_000_000  # modification time of what is being compared and after
NOTES = "checked"  # folder of the notes, named as the copies are
TRUSTED_MS = 24 * 3600 * 1000  # a comparison with the hash holds for so long
# Times of files move by up to 10 ms at once, so a copy is noted only when it is older than that:
# whatever touches it later then has another time.
_TICK_NS = 20_000_000

_Stamp = tuple[int, int, int, int, int]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """Where copies are kept.

    Attributes:
        folder: A folder on a local disk; made when it is needed.
        limit_bytes: Size that the copies may come to together before the least recently used ones
            go; what is open stays even beyond it.
        copy_folders: Whether files of a store in a folder are copied too, for folders on a network.
    """

    folder: Path
    limit_bytes: int = 20 << 30
    copy_folders: bool = False


class Lease:
    """The right to use a copy; the copy stays in the cache until the lease is closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Give the copy free; calling it twice is harmless."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class LocalCache:
    """Copies of artifacts in one folder; safe for threads and for any number of processes."""

    def __init__(
        self, options: CacheOptions, *, clock_ms: Callable[[], int] = system_clock_ms
    ) -> None:
        self._options = options
        self._clock_ms = clock_ms
        self._notes = options.folder / NOTES
        self._lock = threading.Lock()
        self._checked: dict[str, tuple[int, ...]] = {}  # files of stores on this machine

    @property
    def options(self) -> CacheOptions:
        """Where copies are kept."""
        return self._options

    def lease(self, storage: Storage, artifact: Artifact) -> Lease:
        """Return a checked copy of an artifact, downloaded only when it is not here.

        Raises:
            CorruptArtifactError: The artifact in the store is missing or not what it should be.
            TransientError: The store could not be read, or the copy not be written.
        """
        try:
            for _ in range(MAX_ATTEMPTS):
                lease = self._existing(artifact)
                if lease is not None:
                    return lease
                self._download(storage, artifact)
        except OSError as error:
            raise TransientError(
                f"copy of {artifact.key} in {self._options.folder}: {error.strerror}"
            ) from error
        raise TransientError(
            f"copy of {artifact.key} in {self._options.folder}: "
            f"removed or damaged again {MAX_ATTEMPTS} times"
        )

    def evict(self, needed_bytes: int = 0) -> int:
        """Remove what killed downloads left, and copies until the budget holds.

        Args:
            needed_bytes: Size of what is about to be added.

        Returns:
            Bytes of the copies that are left; above the budget when they are in use.

        Raises:
            TransientError: The folder could not be read.
        """
        try:
            return self._evict(self._options.limit_bytes - needed_bytes)
        except OSError as error:
            raise TransientError(f"cache {self._options.folder}: {error.strerror}") from error

    def size_bytes(self) -> int:
        """Return what the copies come to, as far as they can be looked at."""
        total = 0
        with suppress(OSError):
            for path in _files(self._options.folder):
                with suppress(OSError):  # another process was faster
                    total += path.stat().st_size
        return total

    def reserve(self, artifacts: Iterable[Artifact]) -> None:
        """See that all copies of a version that are not here yet will fit, before the first one.

        Raises:
            NoRoomError: They will not, also when all that nobody uses is removed.
            TransientError: The folder could not be read.
        """
        folder = self._options.folder
        sizes = {each.sha256: each.size_bytes for each in artifacts}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            missing = [size for name, size in sizes.items() if not (folder / name).exists()]
            self._free(sum(missing), f"{len(missing)} copies")
        except OSError as error:
            raise TransientError(f"cache {folder}: {error.strerror}") from error

    def check_once(self, path: Path, artifact: Artifact) -> None:
        """Compare a file of a store on this machine with its hash, unless this process did before.

        Shards stay the same from version to version, so most files of a new one are known.

        Raises:
            CorruptArtifactError: It is missing, or not what it should be.
            TransientError: It could not be read.
        """
        try:
            status = path.stat()
        except OSError:
            check_file(path, artifact, verify=True)  # says what is wrong
            return
        # The time of change, which nobody can set back, instead of that of modification.
        stamp = status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
        name = f"{path} {artifact.sha256}"
        with self._lock:
            known = self._checked.get(name)
        if known != stamp or status.st_size != artifact.size_bytes:
            check_file(path, artifact, verify=True)
            with self._lock:
                self._checked[name] = stamp

    def _existing(self, artifact: Artifact) -> Lease | None:
        path = self._options.folder / artifact.sha256
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if not self._is_whole(path, descriptor, artifact):
                os.close(descriptor)
                return None
            self._note_use(artifact)
        except BaseException:
            os.close(descriptor)
            raise
        return Lease(path, descriptor)

    def _is_whole(self, path: Path, descriptor: int, artifact: Artifact) -> bool:
        """Tell whether the locked file is what bears the name, and has the right bytes."""
        if not _same_file(path, descriptor):
            return False
        if self._is_noted(artifact, descriptor):
            return True
        try:
            _mark(descriptor)
            check_file(path, artifact, verify=True)
        except CorruptArtifactError as error:
            _logger.warning("cache %s: a damaged copy is removed: %s", path.parent, error)
            if _same_file(path, descriptor):
                path.unlink(missing_ok=True)
            return False
        self._note(artifact, descriptor)
        return _same_file(path, descriptor)

    def _is_noted(self, artifact: Artifact, descriptor: int) -> bool:
        """Tell whether a file was compared with its hash lately and nothing touched it since."""
        try:
            noted = json.loads((self._notes / artifact.sha256).read_bytes())
            age_ms = self._clock_ms() - noted["checked_ms"]
            stamp = tuple(noted["file"])
        except (OSError, ValueError, KeyError, TypeError):  # not there, or not whole
            return False
        return 0 <= age_ms < TRUSTED_MS and stamp == _stamp(os.fstat(descriptor))

    def _note(self, artifact: Artifact, descriptor: int) -> None:
        """Note that a file has the bytes that its name says, unless it was written meanwhile.

        Without a note, on a full disk perhaps, the copy is compared again when it is next used.
        """
        status = os.fstat(descriptor)
        if status.st_mtime_ns != MARK_NS:
            return
        young_ns = status.st_ctime_ns + _TICK_NS - time.time_ns()
        time.sleep(min(_TICK_NS, max(0, young_ns)) / 1e9)
        noted = {"file": _stamp(status), "checked_ms": self._clock_ms()}
        with suppress(OSError):
            self._notes.mkdir(exist_ok=True)
            (self._notes / artifact.sha256).write_text(json.dumps(noted))

    def _note_use(self, artifact: Artifact) -> None:
        """Note that a copy is used now."""
        with suppress(OSError):  # there is none, or another process is making or removing it
            os.utime(self._notes / artifact.sha256, ns=2 * (self._clock_ms() * 1_000_000,))

    def _download(self, storage: Storage, artifact: Artifact) -> None:
        """Make a copy, unless another thread or process makes it meanwhile."""
        folder = self._options.folder
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{TEMPORARY_PREFIX}{artifact.sha256}"
        finished = folder / artifact.sha256
        with _exclusive(temporary) as descriptor:
            if not _same_file(temporary, descriptor):
                return  # it was finished or cleaned away while we waited for it
            try:
                if finished.exists():  # made by another since we looked
                    return
                self._make_room(artifact)
                _fill(descriptor, storage, artifact)
                temporary.rename(finished)
            finally:
                if _same_file(temporary, descriptor):
                    temporary.unlink()
            _fsync_folder(folder)
            self._note(artifact, descriptor)
            self._note_use(artifact)

    def _make_room(self, artifact: Artifact) -> None:
        folder, limit_bytes = self._options.folder, self._options.limit_bytes
        left_bytes = self._evict(limit_bytes - artifact.size_bytes)
        if left_bytes + artifact.size_bytes > limit_bytes:
            _logger.warning(
                "cache %s: %d bytes in use and %d wanted are more than the budget of %d",
                *(folder, left_bytes, artifact.size_bytes, limit_bytes),
            )
        self._free(artifact.size_bytes, f"copy of {artifact.key}")

    def _free(self, needed_bytes: int, what: str) -> None:
        """Remove copies that nobody uses if the disk is too full without that."""
        folder = self._options.folder
        if _free_bytes(folder) < needed_bytes:
            self._evict(0)
        free_bytes = _free_bytes(folder)
        if free_bytes < needed_bytes:
            raise NoRoomError(
                f"{what} in {folder}: {needed_bytes} bytes needed, "
                f"{free_bytes} free; make room or move the cache"
            )

    def _evict(self, budget_bytes: int) -> int:
        copies: list[tuple[int, int, Path]] = []
        for path in _files(self._options.folder):
            if path.name.startswith(TEMPORARY_PREFIX):
                _unlink_unless_locked(path)
                continue
            try:
                size_bytes = path.stat().st_size
            except FileNotFoundError:  # another process was faster
                continue
            copies.append((self._last_use_ns(path.name), size_bytes, path))
        left_bytes = sum(size_bytes for _, size_bytes, _ in copies)
        for _, size_bytes, path in sorted(copies):
            if left_bytes <= budget_bytes:
                break
            if _unlink_unless_locked(path):
                left_bytes -= size_bytes
                with suppress(OSError):
                    (self._notes / path.name).unlink()
        return left_bytes

    def _last_use_ns(self, name: str) -> int:
        try:
            return (self._notes / name).stat().st_mtime_ns
        except OSError:
            return 0


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


@contextmanager
def _exclusive(path: Path) -> Iterator[int]:
    """Open or make a file and lock it for this caller alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(descriptor: int, storage: Storage, artifact: Artifact) -> None:
    os.ftruncate(descriptor, 0)  # a killed download may have left something
    with open(descriptor, "wb", closefd=False) as file:
        for block in read_blocks(storage, artifact):
            file.write(block)
        file.flush()
        _mark(descriptor)
        os.fsync(descriptor)


def _mark(descriptor: int) -> None:
    """Give a file a modification time that any later write to it takes away."""
    os.utime(descriptor, ns=(MARK_NS, MARK_NS))


def _unlink_unless_locked(path: Path) -> bool:
    """Remove a file that nobody uses; True when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _same_file(path, descriptor):  # or we would unlink what somebody put in its place
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _stamp(status: os.stat_result) -> _Stamp:
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
