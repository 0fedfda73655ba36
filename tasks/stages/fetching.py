"""Contents of documents that are not files of this machine: hashed, or copied for a while.

Invariants: a copy is whole or is not there; it is gone when the caller is done with it.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from index_store.errors import NotFoundError
from index_store.storage.bucket import Bucket, split_url
from index_store.storage.remote_options import options_from

COPY_THREADS = 8  # a request mostly waits for the other side
NAME_BYTES = 255  # of a file name, on every system that matters


@lru_cache(maxsize=16)
def bucket_of(name: str, process: int) -> Bucket:  # noqa: ARG001 - a connection survives no fork
    """Return this process's connection to a bucket; where it is, the AWS environment says."""
    return Bucket(name, options_from(os.environ))


def open_bucket(url: str) -> tuple[Bucket, str]:
    """Return the bucket that an address names, and the name or prefix in it."""
    bucket, name = split_url(url)
    return bucket_of(bucket, os.getpid()), name


def hash_object(url: str) -> str | None:
    """Return the SHA-256 of an object, or None when it is gone.

    Raises:
        TransientError: It cannot be read.
    """
    bucket, name = open_bucket(url)
    digest = hashlib.sha256()
    try:
        for piece in bucket.pieces(name):
            digest.update(piece)
    except NotFoundError:
        return None
    return digest.hexdigest()


@contextmanager
def local_copies(urls: Sequence[str]) -> Iterator[tuple[Path, ...]]:
    """Copy objects to files of their own names, for as long as the context lasts.

    Args:
        urls: Addresses; several may end alike.

    Yields:
        One path per address. There is no file where there is no object any more.

    Raises:
        TransientError: An object cannot be read.
    """
    folder = Path(tempfile.mkdtemp(prefix="nightpress-document-"))
    try:
        places = [folder / str(number) for number in range(len(urls))]
        with ThreadPoolExecutor(max_workers=COPY_THREADS) as threads:
            paths = tuple(threads.map(_copy, urls, places))
        yield paths
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(url: str, folder: Path) -> Path:
    bucket, name = open_bucket(url)
    folder.mkdir()
    path = folder / _file_name(name)
    try:
        with path.open("xb") as file:
            for piece in bucket.pieces(name):
                file.write(piece)
    except NotFoundError:
        path.unlink()
    return path


def _file_name(name: str) -> str:
    """Return the last part of a name where that can be a file's, or else its ending alone."""
    last = name.rpartition("/")[2]
    is_usable = last not in {"", ".", ".."} and "\0" not in last
    if is_usable and len(os.fsencode(last)) <= NAME_BYTES:
        return last
    ending = last.rpartition(".")[2][:16].replace("\0", "") if "." in last else ""
    return f"document.{ending}" if ending else "document"
