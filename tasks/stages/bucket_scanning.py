"""List the documents of a source in S3, and prove that the listing is complete.

Invariants: a listing is returned only when its last page was read; a prefix without any object is
an error, since S3 does not tell it from a wrong one; a change shows in the time of a document even
when size and second stay the same.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from index_store.errors import StoppedError
from index_store.storage.bucket import BucketObject
from tasks.stages.fetching import local_copies, open_bucket
from tasks.stages.listing import (
    ListedFile,
    Listing,
    ScanOptions,
    Source,
    matches,
    uri_of,
    wanted,
)
from tasks.stages.sidecars.pairing import ENDING as SIDECAR_ENDING
from tasks.stages.sidecars.pairing import MAX_BYTES, pair_sidecars

NS_PER_MS = 1_000_000
"""S3 tells at best the millisecond; what is below it here stands for the entity tag."""


def scan_bucket(source: Source, options: ScanOptions) -> Listing:
    """List one source in S3.

    Raises:
        StoppedError: It holds nothing at all.
        UsageError: There is no such bucket, or we may not list it.
        TransientError: The listing is incomplete, or a sidecar cannot be read.
    """
    files: dict[str, ListedFile] = {}
    candidates: dict[str, ListedFile] = {}
    ignored = 0
    for relative, entry in _objects(source):
        file = _file(source, relative, entry)
        if options.sidecars and _may_describe(relative, entry, options):
            candidates[file.uri] = file
        elif wanted(relative, options):
            files[file.uri] = file
        else:
            ignored += 1
    if candidates:
        settled = _with_sidecars(files, candidates, options)
        ignored += len(candidates) - (len(settled) - len(files))
        files = settled
    return Listing(files=tuple(files.values()), ignored=ignored)


def _objects(source: Source) -> Iterator[tuple[str, BucketObject]]:
    """Yield every object below the source with its name relative to it."""
    bucket, root = open_bucket(source.url)
    prefix = f"{root}/" if root else ""
    seen: set[str] = set()
    for entry in bucket.list(prefix):
        if entry.name in seen:
            raise StoppedError(f"listing of {source.url} shows {entry.name!r} twice")
        seen.add(entry.name)
        yield entry.name.removeprefix(prefix), entry
    if not seen:
        raise StoppedError(
            f"source {source.url} holds no object, which a wrong prefix looks like, too; "
            "correct --source or fill it"
        )


def _file(source: Source, relative: str, entry: BucketObject) -> ListedFile:
    mark = hashlib.sha256(entry.etag.encode()).digest()
    return ListedFile(
        uri=uri_of(source, relative),
        path=f"s3://{open_bucket(source.url)[0].name}/{entry.name}",
        size_bytes=entry.size_bytes,
        mtime_ns=entry.modified_ms * NS_PER_MS + int.from_bytes(mark[:4]) % NS_PER_MS,
    )


def _may_describe(relative: str, entry: BucketObject, options: ScanOptions) -> bool:
    is_json = relative.lower().endswith(SIDECAR_ENDING)
    return is_json and entry.size_bytes <= MAX_BYTES and not matches(relative, options.exclude)


def _with_sidecars(
    files: dict[str, ListedFile], candidates: dict[str, ListedFile], options: ScanOptions
) -> dict[str, ListedFile]:
    """Return the documents with what describes them, and the candidates that are documents."""
    with local_copies([file.path for file in candidates.values()]) as paths:
        local = {uri: str(path) for uri, path in zip(candidates, paths, strict=True)}
        paired = pair_sidecars(local, list(files), options.folder_sidecar)
    remote = {path: candidates[uri].path for uri, path in local.items()}
    settled = dict(files)
    settled |= {uri: candidates[uri] for uri in paired.documents if wanted(uri, options)}
    for uri, description in paired.descriptions.items():
        if uri in settled:
            sidecars = tuple(remote[path] for path in description.paths)
            settled[uri] = replace(settled[uri], sidecars=sidecars, described=description.digest)
    return settled
