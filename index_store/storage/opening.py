"""From the address a person types to the store behind it."""

import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from index_store.errors import UsageError
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from index_store.storage.remote import RemoteStorage
from index_store.storage.remote_options import options_from

_LOCK = threading.Lock()
_MEMORY_STORES: dict[str, MemoryStorage] = {}  # a name means the same store throughout a process


def open_storage(url: str) -> Storage:
    """Open the store at an address.

    Args:
        url: A folder, `file:///folder`, `s3://bucket/prefix` or `memory://name`. Nothing is created
            and nobody is asked before the first read or write; endpoint, region and credentials of
            S3 come from the usual AWS environment.

    Raises:
        UsageError: The address is empty or of a kind that is not supported.
    """
    if not url.strip():
        raise UsageError("store address is empty; give a folder, for example .nightpress/store")
    scheme, separator, _ = url.partition("://")
    if not separator:
        return _open_folder(Path(url).expanduser())
    if scheme == "file":
        return _open_file_url(url)
    if scheme == "memory":
        return _open_memory(url)
    if scheme == "s3":
        return RemoteStorage(url, options_from(os.environ))
    raise UsageError(
        f"store {url}: scheme {scheme!r} is not supported; give a folder or s3://bucket/prefix"
    )


def _open_folder(folder: Path) -> FolderStorage:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"store {folder} is not a folder")
    return FolderStorage(folder)


def _open_file_url(url: str) -> FolderStorage:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise UsageError(f"store {url}: write file:/// and an absolute path")
    return _open_folder(Path(unquote(parts.path)))


def _open_memory(url: str) -> MemoryStorage:
    name = url.removeprefix("memory://")
    if not name:
        raise UsageError("store memory:// needs a name, for example memory://trial")
    with _LOCK:
        return _MEMORY_STORES.setdefault(name, MemoryStorage(name))
