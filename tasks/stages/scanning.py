"""List the documents of one or more sources, and prove that the listing is complete.

Invariants: a listing is returned only when every folder could be read to its end; symbolic links
are followed once per inode and never lead outside the root unless that is allowed; anything that is
not a regular file is skipped with a reason; a sidecar is never a document; the result is sorted by
uri and does not depend on the order in which the operating system lists names.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from index_store.errors import StoppedError
from index_store.storage.bucket import is_object_url
from tasks.stages.bucket_scanning import scan_bucket
from tasks.stages.fetching import hash_object
from tasks.stages.listing import (
    ListedFile,
    Listing,
    ScanOptions,
    Skipped,
    Source,
    matches,
    printable_uri,
    uri_of,
    wanted,
)
from tasks.stages.sidecars.pairing import ENDING as SIDECAR_ENDING
from tasks.stages.sidecars.pairing import pair_sidecars

HASH_BLOCK_BYTES = 1 << 20
HASH_THREADS = 4  # hashing releases the interpreter lock; more threads only queue for the disk


def scan(sources: Sequence[Source], options: ScanOptions) -> Listing:
    """List every document of every source.

    Args:
        sources: Folders and buckets with distinct labels.
        options: What counts as a document.

    Returns:
        The complete listing.

    Raises:
        StoppedError: A root is missing or not a folder, or any folder could not be read to its end.
    """
    files: dict[str, ListedFile] = {}
    skipped: list[Skipped] = []
    ignored = 0
    for source in sources:
        listing = scan_bucket(source, options) if source.url else _scan_folder(source, options)
        files.update({file.uri: file for file in listing.files})
        skipped += listing.skipped
        ignored += listing.ignored
    return Listing(
        files=tuple(files[uri] for uri in sorted(files)),
        skipped=tuple(sorted(skipped, key=lambda entry: entry.uri)),
        ignored=ignored,
    )


def _scan_folder(source: Source, options: ScanOptions) -> Listing:
    walk = _Walk(source=source, options=options)
    walk.run()
    return Listing(
        files=tuple(walk.files.values()), skipped=tuple(walk.skipped), ignored=walk.ignored
    )


def hash_files(
    paths: Sequence[str], on_done: Callable[[int], None] | None = None
) -> list[str | None]:
    """Hash the content of files.

    Args:
        paths: Files, or addresses of objects, to read.
        on_done: Called with the number of files finished so far.

    Returns:
        For each path 64 hexadecimal characters of SHA-256, or None when the file is gone or cannot
        be read.
    """
    hashes: list[str | None] = []
    with ThreadPoolExecutor(max_workers=HASH_THREADS) as pool:
        for content_hash in pool.map(_hash_file, paths):
            hashes.append(content_hash)
            if on_done is not None:
                on_done(len(hashes))
    return hashes


def _hash_file(path: str) -> str | None:
    if is_object_url(path):
        return hash_object(path)
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One source while it is listed."""

    source: Source
    options: ScanOptions
    files: dict[str, ListedFile] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: int = 0
    _folders: set[tuple[int, int]] = field(default_factory=set)
    _inodes: set[tuple[int, int]] = field(default_factory=set)
    _links: list[tuple[str, str]] = field(default_factory=list)
    _candidates: dict[str, str] = field(default_factory=dict)
    _real_root: str = ""

    def run(self) -> None:
        root = str(self.source.root)
        try:
            info = os.stat(root)
        except OSError as error:
            raise StoppedError(
                f"source {root!r} cannot be read: {error.strerror}; mount it or correct --source"
            ) from error
        if not stat.S_ISDIR(info.st_mode):
            raise StoppedError(f"source {root!r} is not a folder; give the folder that holds it")
        self._real_root = os.path.realpath(root)
        self._enter(root, "", info)
        while self._links:  # links wait until every real name is known, so that the real name wins
            waiting, self._links = sorted(self._links), []
            for path, relative in waiting:
                self._follow(path, relative)
        if self._candidates:
            self._settle_sidecars()

    def _settle_sidecars(self) -> None:
        candidates = {self._uri(relative): path for relative, path in self._candidates.items()}
        names = {self._uri(relative): relative for relative in self._candidates}
        paired = pair_sidecars(candidates, list(self.files), self.options.folder_sidecar)
        for uri, path in paired.documents.items():
            self._take(path, names[uri])
        for uri, description in paired.descriptions.items():
            if uri in self.files:
                self.files[uri] = replace(
                    self.files[uri], sidecars=description.paths, described=description.digest
                )

    def _enter(self, folder: str, relative: str, info: os.stat_result) -> None:
        """List a folder and everything below it, without following links."""
        self._folders.add((info.st_dev, info.st_ino))
        pending = [(folder, relative)]
        while pending:
            path, prefix = pending.pop()
            for entry in self._entries(path):
                name = f"{prefix}{entry.name}"
                if entry.is_symlink():
                    self._links.append((entry.path, name))
                elif entry.is_dir(follow_symlinks=False):
                    if self._new_folder(entry.path, name):
                        pending.append((entry.path, name + "/"))
                else:
                    self._meet(entry.path, name)

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from entries
        except FileNotFoundError:
            if folder == str(self.source.root):
                raise StoppedError(f"source {folder!r} vanished while it was listed") from None
            # A folder removed between its parent's listing and its own is gone, not unread.
        except OSError as error:
            raise StoppedError(
                f"listing of {folder!r} is incomplete: {error.strerror}; "
                "make it readable or leave it out with --exclude"
            ) from error

    def _new_folder(self, path: str, relative: str) -> bool:
        if matches(relative + "/", self.options.exclude):
            return False
        try:
            info = os.stat(path)
        except FileNotFoundError:
            return False
        key = (info.st_dev, info.st_ino)
        if key in self._folders:
            return False
        self._folders.add(key)
        return True

    def _follow(self, path: str, relative: str) -> None:
        real = os.path.realpath(path)
        inside = real == self._real_root or real.startswith(self._real_root.rstrip("/") + "/")
        try:
            info = os.stat(path)
        except OSError as error:
            self._skip(relative, f"broken link: {error.strerror}")
            return
        if not inside and not self.options.allow_outside_root:
            self._skip(relative, "link leads outside the source")
        elif stat.S_ISDIR(info.st_mode):
            if self._new_folder(path, relative):
                self._enter(path, relative + "/", info)
        elif (info.st_dev, info.st_ino) not in self._inodes:
            self._meet(path, relative)

    def _meet(self, path: str, relative: str) -> None:
        """Take an entry, or put it aside when it may describe others."""
        is_json = relative[-len(SIDECAR_ENDING) :].lower() == SIDECAR_ENDING
        if is_json and self.options.sidecars and not matches(relative, self.options.exclude):
            self._candidates[relative] = path
        else:
            self._take(path, relative)

    def _take(self, path: str, relative: str) -> None:
        """Add one entry that is neither a folder nor a link."""
        if not wanted(relative, self.options):
            self.ignored += 1
            return
        try:
            info = os.stat(path)
        except FileNotFoundError:
            return  # vanished while we looked: as if it had never been there
        except OSError as error:
            raise StoppedError(f"{path!r} cannot be examined: {error.strerror}") from error
        if not stat.S_ISREG(info.st_mode):
            self._skip(relative, _kind_of(info.st_mode))
            return
        self._inodes.add((info.st_dev, info.st_ino))
        uri = self._uri(relative)
        if uri in self.files and self._loses_name(relative, uri):
            return
        self.files[uri] = ListedFile(
            uri=uri, path=path, size_bytes=info.st_size, mtime_ns=info.st_mtime_ns
        )

    def _loses_name(self, relative: str, uri: str) -> bool:
        """Settle that a name that is not UTF-8 reads like another one: the one in UTF-8 stays."""
        self.skipped.append(Skipped(uri=uri, reason="a name that is not UTF-8 reads like another"))
        return not relative.isprintable() and relative != printable_uri(relative)

    def _skip(self, relative: str, reason: str) -> None:
        if not matches(relative, self.options.exclude):
            self.skipped.append(Skipped(uri=self._uri(relative), reason=reason))

    def _uri(self, relative: str) -> str:
        return uri_of(self.source, relative)


def _kind_of(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")
