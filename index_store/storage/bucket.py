"""Documents in S3, as a source shows them: names as they are, entity tags, contents in pieces.

Not a store: names follow no rules of ours, nothing is written, and objects change under our eyes.
Invariants: a listing is given only when its last page was read and every page held what it
announced; all pieces of a content are of one object.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from index_store.errors import NotFoundError, TransientError, UsageError
from index_store.storage.remote import RANGE_BYTES, S3Client
from index_store.storage.remote_attempts import Attempts, Kind
from index_store.storage.remote_listing import milliseconds
from index_store.storage.remote_options import RemoteOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketObject:
    """An object as a listing shows it.

    Attributes:
        name: Its name in the bucket.
        size_bytes: Its size.
        modified_ms: When it was written, milliseconds since the epoch.
        etag: What the server calls its content.
    """

    name: str
    size_bytes: int
    modified_ms: int
    etag: str


def is_object_url(path: str) -> bool:
    """Tell whether a path names something in S3 rather than a file."""
    return path.startswith("s3://")


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and name, or bucket and prefix, of an address in S3.

    Raises:
        UsageError: It names no bucket.
    """
    bucket, _, name = url.removeprefix("s3://").partition("/")
    if not is_object_url(url) or not bucket:
        raise UsageError(f"{url!r}: write s3://BUCKET or s3://BUCKET/PREFIX")
    return bucket, name


class Bucket:
    """One bucket; safe for threads, not for forks."""

    def __init__(
        self, name: str, options: RemoteOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Connect on first use.

        Args:
            name: Name of the bucket.
            options: How to reach it.
            sleep: Waits for a number of seconds between attempts.
        """
        self.name = name
        self._client = S3Client(name, options)
        self._attempts = Attempts(f"s3://{name}", options, sleep)

    def list(self, prefix: str) -> Iterator[BucketObject]:
        """List every object below a prefix, without the folder marks that some programs leave.

        Args:
            prefix: Empty, or ends with a slash.

        Raises:
            UsageError: There is no such bucket, or we may not list it.
            TransientError: The listing is incomplete.
        """
        more: dict[str, object] = {}
        while True:
            page = self._page({"Prefix": prefix, **more})
            lines = page.get("Contents", [])
            told = page.get("KeyCount", len(lines))
            if told != len(lines):
                raise TransientError(
                    f"listing s3://{self.name}/{prefix}: a page holds {len(lines)} names, "
                    f"it announces {told}"
                )
            yield from (_object(line) for line in lines if not line["Key"].endswith("/"))
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == more.get("ContinuationToken"):
                raise TransientError(f"listing s3://{self.name}/{prefix} breaks off after a page")
            more = {"ContinuationToken": token}

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object in pieces.

        Raises:
            NotFoundError: There is no such object.
            TransientError: It cannot be read, or was replaced while it was.
        """
        got, first = 0, None
        while first is None or got < first.total:
            start, end = got, got + RANGE_BYTES
            body = self._attempts.run(
                Kind.LOOK,
                "read",
                name,
                lambda: self._client.get(name, start, end),  # noqa: B023 - run now
            )
            first = first or body
            if (body.etag, body.total) != (first.etag, first.total):
                raise TransientError(f"s3://{self.name}/{name} was replaced while it was read")
            got += len(body.data)
            yield body.data

    def has(self, name: str) -> bool:
        """Tell whether an object exists.

        Raises:
            TransientError: Nobody knows.
        """
        try:
            self._attempts.run(Kind.LOOK, "look", name, lambda: self._client.size_bytes(name))
        except NotFoundError:
            return False
        return True

    def _page(self, place: Mapping[str, object]) -> Mapping[str, Any]:
        return self._attempts.run(
            Kind.LOOK,
            "list",
            str(place["Prefix"]),
            lambda: self._client.call("list_objects_v2", place),
        )


def _object(line: Mapping[str, Any]) -> BucketObject:
    return BucketObject(
        name=line["Key"],
        size_bytes=int(line["Size"]),
        modified_ms=milliseconds(line["LastModified"]),
        etag=str(line.get("ETag", "")),
    )
