"""Listings of S3 in the order of whole keys, whatever order the server has.

S3 sorts names as strings of bytes. Servers that keep objects in folders sort them folder by folder,
so that `a/b` comes before `a-b`, and mean that order by "start after", too. Inside one folder both
orders are the same. So the first level is asked for by itself and sorted here, every page is
sorted, nothing is trusted to start after a character that the orders disagree on, and a listing
that is out of order all the same is refused.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from index_store.errors import TransientError, UnfitStoreError
from index_store.storage.base import StoredObject

Ask = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""Asks for one page of a listing, given the parameters of ListObjectsV2."""


def list_in_order(ask: Ask, root: str, prefix: str, after: str) -> Iterator[StoredObject]:
    """List objects by key; pages are asked for as they are needed.

    Args:
        ask: Asks for one page.
        root: What every name of the store begins with; left out of keys.
        prefix: What the keys begin with.
        after: The keys come after this one.

    Raises:
        TransientError: The listing breaks off.
        UnfitStoreError: It is in no order.
    """
    if "/" in prefix:
        yield from _subtree(ask, root, prefix, after)
        return
    for name, entry in sorted(_level(ask, root, prefix).items()):
        if entry is None and (name > after or after.startswith(name)):
            yield from _subtree(ask, root, name, after)
        elif entry is not None and name > after:
            yield entry


def milliseconds(moment: datetime) -> int:
    """Return a time as milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def _level(ask: Ask, root: str, prefix: str) -> dict[str, StoredObject | None]:
    """Return the objects of one level by key; folders end with a slash and have None."""
    found: dict[str, StoredObject | None] = {}
    for page in _pages(ask, {"Prefix": root + prefix, "Delimiter": "/"}):
        found |= {entry.key: entry for entry in _objects(page, root)}
        folders = [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        found |= dict.fromkeys([folder.removeprefix(root) for folder in folders])
    return found


def _subtree(ask: Ask, root: str, prefix: str, after: str) -> Iterator[StoredObject]:
    place: dict[str, object] = {"Prefix": root + prefix}
    start = _safe_start(prefix, after)
    if start:
        place["StartAfter"] = root + start
    last = ""
    for page in _pages(ask, place):
        for entry in sorted(_objects(page, root), key=lambda entry: entry.key):
            if entry.key <= after:
                continue
            if entry.key <= last:
                raise UnfitStoreError(f"the store lists {entry.key} after {last}")
            last = entry.key
            yield entry


def _safe_start(prefix: str, after: str) -> str:
    """Return a key from which on every server lists all that comes after `after`, or nothing."""
    if not after.startswith(prefix):
        return after if after > prefix else ""
    beyond = after[len(prefix) :]
    cut = next((place for place, mark in enumerate(beyond) if mark < "/"), len(beyond))
    return after[: len(prefix) + cut] if cut else ""


def _pages(ask: Ask, place: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    more: dict[str, object] = {}
    while True:
        page = ask({**place, **more})
        yield page
        if not page.get("IsTruncated"):
            return
        token = page.get("NextContinuationToken")
        if not token or more.get("ContinuationToken") == token:
            raise TransientError(f"listing {place['Prefix']} breaks off after a page")
        more = {"ContinuationToken": token}


def _objects(page: Mapping[str, Any], root: str) -> list[StoredObject]:
    """Return the lines of a page without the folder marks that some programs leave."""
    return [
        StoredObject(
            key=entry["Key"].removeprefix(root),
            size_bytes=int(entry["Size"]),
            modified_ms=milliseconds(entry["LastModified"]),
        )
        for entry in page.get("Contents", [])
        if not entry["Key"].endswith("/")
    ]
