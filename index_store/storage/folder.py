"""A store in a folder of a local or shared file system.

Every write goes through a temporary file in the target's folder: written, fsynced, then renamed
(`put`) or hard-linked (`create`), and the folder fsynced. A crash leaves at most a temporary file,
which is never listed.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index_store.errors import (
    ConflictError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.storage.base import TEMPORARY_PREFIX, StoredObject, check_key

COPY_BUFFER_BYTES = 1 << 20
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


class FolderStorage:
    """Objects as files below one folder, which is made by the first write."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        """The folder's absolute path."""
        return str(self._root)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """See `Storage.read`."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read() if end is None else file.read(max(0, end - start))
        except OSError as error:
            raise _translated(error, "read", key) from error

    def put(self, key: str, source: bytes | Path) -> None:
        """See `Storage.put`."""
        path = self._path(key)
        try:
            with _temporary_file(path.parent, source) as temporary:
                temporary.replace(path)
        except OSError as error:
            raise _translated(error, "write", key) from error
        _settle_folder(path.parent, key)

    def create(self, key: str, data: bytes) -> None:
        """See `Storage.create`."""
        path = self._path(key)
        try:
            with _temporary_file(path.parent, data) as temporary:
                os.link(temporary, path)
        except FileExistsError as error:
            raise ConflictError(f"object {key} exists already") from error
        except OSError as error:
            if error.errno in NO_HARD_LINKS:
                raise UnfitStoreError(
                    f"store {self.url} has no hard links, so two writers could both win"
                ) from error
            raise _translated(error, "create", key) from error
        _settle_folder(path.parent, key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`."""
        base, _, _ = prefix.rpartition("/")
        if base:
            check_key(base)
        try:
            yield from self._walk(f"{base}/" if base else "", prefix, after)
        except OSError as error:
            raise TransientError(f"listing {prefix!r} of {self.url}: {error.strerror}") from error

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise _translated(error, "delete", key) from error

    def local_path(self, key: str) -> Path | None:
        """See `Storage.local_path`."""
        path = self._path(key)
        return path if path.is_file() else None

    def abort_stale_uploads(self, prefix: str, *, before_ms: int) -> int:
        """Remove temporary files that killed writers left below a prefix; return how many.

        Args:
            prefix: A folder, ending in a slash.
            before_ms: Only files that were last written before, milliseconds since the epoch.

        Raises:
            TransientError: One could not be removed.
        """
        folder = self._path(prefix.rstrip("/"))
        removed = 0
        try:
            for path in sorted(folder.rglob(f"{TEMPORARY_PREFIX}*")):
                if path.is_file() and path.stat().st_mtime_ns // 1_000_000 < before_ms:
                    path.unlink(missing_ok=True)
                    removed += 1
        except OSError as error:
            raise _translated(error, "sweep", prefix) from error
        return removed

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _walk(self, base: str, prefix: str, after: str) -> Iterator[StoredObject]:
        for key, entry in _sorted_entries(self._root / base, base):
            if key.endswith("/"):
                subtree_wanted = key.startswith(prefix) or prefix.startswith(key)
                if subtree_wanted and (key > after or after.startswith(key)):
                    yield from self._walk(key, prefix, after)
            elif key.startswith(prefix) and key > after:
                status = _status(entry)
                if status is not None:
                    modified_ms = status.st_mtime_ns // 1_000_000
                    yield StoredObject(key=key, size_bytes=status.st_size, modified_ms=modified_ms)


def _sorted_entries(folder: Path, base: str) -> list[tuple[str, os.DirEntry[str]]]:
    """List one folder in the order of whole keys: a folder sorts as its name and a slash."""
    try:
        with os.scandir(folder) as entries:
            named = [
                (base + entry.name + ("/" if entry.is_dir() else ""), entry)
                for entry in entries
                if not entry.name.startswith(TEMPORARY_PREFIX)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    named.sort(key=lambda pair: pair[0])
    return named


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except FileNotFoundError:  # deleted since the folder was read
        return None


@contextmanager
def _temporary_file(folder: Path, source: bytes | Path) -> Iterator[Path]:
    """Write `source` durably to a new file in `folder`, removed at the end unless renamed."""
    _make_folder(folder)
    temporary = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                with source.open("rb") as original:
                    shutil.copyfileobj(original, file, COPY_BUFFER_BYTES)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:  # must not be taken for a lost race
        raise NotADirectoryError(error.errno, "a part of its path is a file", folder) from error
    _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle_folder(folder: Path, key: str) -> None:
    try:
        _fsync_folder(folder)
    except OSError as error:
        raise UnknownOutcomeError(
            f"object {key} was written but its folder could not be synchronised: {error.strerror}"
        ) from error


def _translated(error: OSError, action: str, key: str) -> IndexStoreError:
    if isinstance(error, NotADirectoryError) and action != "read":
        return UsageError(f"{action} {key}: a part of its path is a file")
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return NotFoundError(f"object {key} does not exist")
    if isinstance(error, PermissionError):
        return UsageError(f"{action} {key}: permission denied for {error.filename}")
    return TransientError(f"{action} {key}: {error.strerror}")
