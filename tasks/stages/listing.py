"""Sources, and what a complete listing of them holds.

Invariants: pure; a uri is printable, and the same wherever its source is mounted.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote_from_bytes

from index_store.errors import UsageError
from index_store.storage.bucket import is_object_url, split_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One folder or bucket of documents.

    Attributes:
        root: The folder; of no meaning when there is a url.
        url: `s3://bucket` or `s3://bucket/prefix`; empty for a folder.
        label: First part of every uri from this source; empty when there is only one source.
    """

    root: Path = Path()
    label: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What counts as a document.

    Attributes:
        extensions: Lower-case endings with their dot.
        include: Globs over the path relative to the root; empty means everything.
        exclude: Globs that win over `include`.
        allow_outside_root: Whether a symbolic link may lead out of its root.
        sidecars: Whether JSON files beside documents describe them.
        folder_sidecar: Name of the file that describes every document of its folder and below.
    """

    extensions: frozenset[str]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_outside_root: bool = False
    sidecars: bool = True
    folder_sidecar: str = "_metadata.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A document as the source shows it.

    Attributes:
        uri: Name that stays the same when the root is mounted elsewhere.
        path: Where to read it, a file or an `s3://` address; may hold surrogate escapes for names
            that are not UTF-8.
        size_bytes: Size.
        mtime_ns: Modification time, nanoseconds since the epoch; in S3 the part below a
            millisecond stands for the entity tag.
        sidecars: Paths of the files that describe it, the outermost folder's first.
        described: Hash of what they hold, empty when there are none.
    """

    uri: str
    path: str
    size_bytes: int
    mtime_ns: int
    sidecars: tuple[str, ...] = ()
    described: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An entry that is not a document, with the reason."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A complete listing.

    Attributes:
        files: Documents, sorted by uri, uris unique.
        skipped: Entries that were passed over for a reason worth telling, sorted by uri.
        ignored: Number of files passed over for their extension or by the globs.
    """

    files: tuple[ListedFile, ...]
    skipped: tuple[Skipped, ...] = ()
    ignored: int = 0


def parse_sources(specs: Sequence[str]) -> tuple[Source, ...]:
    """Turn `DIR`, `s3://BUCKET/PREFIX` or `NAME=` either into sources.

    A single source needs no name. Several get the folder's own name unless one is given.

    Raises:
        UsageError: No source is given, or two sources have the same name.
    """
    if not specs:
        raise UsageError("no source given; use --source DIR or set NIGHTPRESS_SOURCE")
    sources = [_parse_source(spec, several=len(specs) > 1) for spec in specs]
    labels = [source.label for source in sources]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two sources are named {label!r}; name them with NAME=DIR")
    return tuple(sources)


def _parse_source(spec: str, *, several: bool) -> Source:
    name, equals, place = spec.partition("=")
    is_named = equals and re.fullmatch(r"[A-Za-z0-9._-]+", name)
    if is_named and not is_object_url(spec) and not Path(spec).exists():
        return _source(place, name)
    last = spec.rstrip("/").rpartition("/")[2] if is_object_url(spec) else Path(spec).resolve().name
    return _source(spec, last if several else "")


def _source(place: str, label: str) -> Source:
    if is_object_url(place):
        split_url(place)
        return Source(url=place.rstrip("/"), label=label)
    return Source(root=Path(place), label=label)


def wanted(relative: str, options: ScanOptions) -> bool:
    """Tell whether a name below a root is a document's."""
    if os.path.splitext(relative)[1].lower() not in options.extensions:
        return False
    if matches(relative, options.exclude):
        return False
    return not options.include or matches(relative, options.include)


def uri_of(source: Source, relative: str) -> str:
    """Return the uri of a name below a source's root."""
    return printable_uri(f"{source.label}/{relative}" if source.label else relative)


def printable_uri(name: str) -> str:
    """Return a name as valid Unicode; one whose bytes are not UTF-8 is percent-encoded."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return quote_from_bytes(os.fsencode(name), safe="/ ()[]{},;=+&@!'~#")
    return name


def matches(relative: str, globs: Sequence[str]) -> bool:
    """Tell whether a name below a root matches one of several globs."""
    return any(_glob(pattern).fullmatch(relative) for pattern in globs)


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    """Translate a glob: `*` and `?` stay within a name, `**` crosses folders.

    A pattern without `/` matches at any depth.
    """
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts), re.DOTALL)
