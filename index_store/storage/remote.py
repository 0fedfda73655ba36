"""A store in S3, reached through s3fs; the only module that knows of it.

s3fs is used for its connection alone: its retries, caches, files and parallel reads are not, since
they repeat conditional writes, show what was long ago, store half a file and mix two objects.
Invariants: one request per call, repeated by `Attempts` alone; an object is written by one request
or by an upload in parts that becomes visible at its end; what is read is as long as the server
said, and a read in several requests is of one object.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index_store.errors import TransientError, UsageError
from index_store.storage.base import MAX_KEY_BYTES, StoredObject, check_key
from index_store.storage.remote_attempts import Attempts, Kind
from index_store.storage.remote_failures import Outcome, understood
from index_store.storage.remote_listing import list_in_order, milliseconds
from index_store.storage.remote_options import RemoteOptions
from index_store.storage.remote_uploads import PartWriter, UnfinishedUpload, content_md5

MAX_CREATE_BYTES = 1 << 20  # what every server tried takes in one conditional request
RANGE_BYTES = 8 << 20  # a longer range is read in several requests
CONNECTIONS = 32
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """What one GET brought: bytes from `start` on of an object of `total` bytes."""

    data: bytes
    start: int
    total: int
    etag: str

    @property
    def is_whole(self) -> bool:
        return len(self.data) == self.total


class RemoteStorage:
    """Objects below a prefix of a bucket; safe for threads, not for forks."""

    def __init__(
        self, url: str, options: RemoteOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Connect on first use.

        Args:
            url: `s3://bucket` or `s3://bucket/prefix`.
            options: How to reach it.
            sleep: Waits for a number of seconds between attempts.

        Raises:
            UsageError: The address names no bucket or no valid prefix.
        """
        bucket, root = _bucket_and_root(url)
        self._url = f"s3://{bucket}/{root}".rstrip("/")
        self._root = root
        self._options = options
        self._client = S3Client(bucket, options)
        self._attempts = Attempts(self._url, options, sleep)
        self._etags_are_md5 = True

    @property
    def url(self) -> str:
        """The bucket and the prefix."""
        return self._url

    @property
    def endpoint(self) -> str:
        """The server's address; empty when AWS or a profile decides."""
        return self._options.endpoint_url or ""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """See `Storage.read`; without a range the MD5 of the object is compared, too."""
        name = self._name(key)
        if end is not None and end <= start:
            self._attempts.run(Kind.LOOK, "read", key, lambda: self._client.size_bytes(name))
            return b""
        body = self._read_piece(key, start, end)
        pieces = [body.data]
        got, wanted = start + len(body.data), min(body.total, body.total if end is None else end)
        while got < wanted:
            piece = self._read_piece(key, got, wanted)
            if (piece.etag, piece.total) != (body.etag, body.total):
                raise TransientError(f"read {key} in {self._url}: it was replaced meanwhile")
            pieces.append(piece.data)
            got += len(piece.data)
        return b"".join(pieces)

    def put(self, key: str, source: bytes | Path) -> None:
        """See `Storage.put`."""
        name = self._name(key)
        if isinstance(source, Path) and source.stat().st_size <= self._options.part_bytes:
            source = source.read_bytes()
        if isinstance(source, bytes) and len(source) <= self._options.part_bytes:
            body = source
            self._attempts.run(Kind.WRITE, "put", key, lambda: self._client.put(name, body))
        else:
            self._parts(key).write(source)

    def create(self, key: str, data: bytes) -> None:
        """See `Storage.create`.

        Raises:
            UsageError: There are more than `MAX_CREATE_BYTES`.
        """
        name = self._name(key)
        if len(data) > MAX_CREATE_BYTES:
            raise UsageError(
                f"create {key}: at most {MAX_CREATE_BYTES} bytes can be created on condition, "
                f"found {len(data)}"
            )
        self._attempts.run(
            Kind.CREATE, "create", key, lambda: self._client.put(name, data, IfNoneMatch="*")
        )

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`; pages are asked for as they are needed."""
        yield from list_in_order(lambda place: self._page(prefix, place), self._root, prefix, after)

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        name = self._name(key)
        self._attempts.run(
            Kind.LOOK, "delete", key, lambda: self._client.call("delete_object", {"Key": name})
        )

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing here is a file of this machine."""
        check_key(key)
        return None

    def begin_upload(self, key: str, data: bytes) -> UnfinishedUpload:
        """See `Uploads.begin_upload`."""
        return self._parts(key).begin(data)

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """See `Uploads.unfinished_uploads`."""
        place: dict[str, object] = {"Prefix": self._root}
        while True:
            asked = place
            page = self._attempts.run(
                Kind.LOOK,
                "list uploads",
                "",
                lambda: self._client.call("list_multipart_uploads", asked),  # noqa: B023 - run now
            )
            for entry in page.get("Uploads", []):
                yield UnfinishedUpload(
                    key=entry["Key"].removeprefix(self._root),
                    id=entry["UploadId"],
                    begun_ms=milliseconds(entry["Initiated"]),
                )
            if not page.get("IsTruncated"):
                return
            place = {
                "Prefix": self._root,
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """See `Uploads.abort_upload`."""
        self._parts(upload.key).abort(upload.id)

    def _parts(self, key: str) -> PartWriter:
        return PartWriter(
            self._client, self._attempts, self._options, name=self._name(key), key=key
        )

    def _name(self, key: str) -> str:
        name = self._root + check_key(key)
        if len(name.encode()) > MAX_KEY_BYTES:
            raise UsageError(f"key {key!r} is too long below {self._url}")
        return name

    def _read_piece(self, key: str, start: int, end: int | None) -> _Body:
        """Read a range, or its first `RANGE_BYTES` when its end is known and it is longer."""
        if end is not None:
            end = min(end, start + RANGE_BYTES)
        return self._attempts.run(
            Kind.LOOK, "read", key, lambda: self._checked(self._root + key, start, end)
        )

    def _checked(self, name: str, start: int, end: int | None) -> _Body:
        """Read a range once, and compare a whole object with its MD5 where the server tells it.

        An ETag that looks like an MD5 need not be one. When it differs and a second read brings the
        same bytes, then this server's are none; when it brings others, a bit was lost on the way.
        """
        body = self._client.get(name, start, end)
        told = _MD5.fullmatch(body.etag)
        if not (body.is_whole and told and self._etags_are_md5):
            return body
        if _md5_hex(body.data) != told[1]:
            if self._client.get(name, start, end) != body:
                raise TransientError("two reads brought different bytes")
            self._etags_are_md5 = False
        return body

    def _page(self, prefix: str, place: Mapping[str, object]) -> Mapping[str, Any]:
        return self._attempts.run(
            Kind.LOOK, "list", prefix, lambda: self._client.call("list_objects_v2", place)
        )


class S3Client:
    """The requests that are made to one bucket, each of them once."""

    def __init__(self, bucket: str, options: RemoteOptions) -> None:
        self._bucket = bucket
        self._options = options
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._opened: Any = None

    def call(
        self, method: str, parameters: Mapping[str, object], *, size_bytes: int = 0
    ) -> Mapping[str, Any]:
        """Make a request of the S3 interface.

        Args:
            method: Its name in the AWS library.
            parameters: By their names there; misspelt ones are dropped without a word.
            size_bytes: Bytes that it sends, for its deadline.
        """
        answer: Mapping[str, Any] = self._filesystem().call_s3(
            method,
            Bucket=self._bucket,
            timeout=self._options.deadline_for(size_bytes),
            **parameters,
        )
        return answer

    def put(self, name: str, data: bytes, **condition: object) -> Mapping[str, Any]:
        """Write an object by one request that the server checks against its MD5."""
        parameters = {"Key": name, "Body": data, "ContentMD5": content_md5(data), **condition}
        return self.call("put_object", parameters, size_bytes=len(data))

    def size_bytes(self, name: str) -> int:
        """Return the size of an object."""
        return int(self.call("head_object", {"Key": name})["ContentLength"])

    def get(self, name: str, start: int, end: int | None) -> _Body:
        """Read the bytes [start, end) of an object.

        Raises:
            TransientError: The answer is shorter than it says, or another range.
        """
        whole = start == 0 and end is None
        last = "" if end is None else end - 1
        asked = {} if whole else {"Range": f"bytes={start}-{last}"}
        try:
            answer = self.call("get_object", {"Key": name, **asked})
        except Exception as error:
            failure = understood(error)
            if failure is not None and failure.outcome is Outcome.BEYOND:
                return _Body(data=b"", start=start, total=0, etag="")
            raise
        data = self._received(answer)
        total = len(data) if whole else _checked_range(answer, start, end, len(data))
        return _Body(data=data, start=start, total=total, etag=str(answer.get("ETag", "")))

    def _received(self, answer: Mapping[str, Any]) -> bytes:
        from fsspec.asyn import sync  # noqa: PLC0415 - see the module's first line

        body = answer["Body"]  # the library compares its length with what was announced
        deadline_s = self._options.deadline_for(int(answer.get("ContentLength", RANGE_BYTES)))
        try:
            data: bytes = sync(self._filesystem().loop, body.read, timeout=deadline_s)
        finally:
            body.close()
        return data

    def _filesystem(self) -> Any:  # noqa: ANN401 - s3fs has no types
        if os.getpid() != self._process:
            raise UsageError(
                "a store in S3 cannot be used after a fork; open it in the process that uses it"
            )
        with self._lock:
            if self._opened is None:
                self._opened = _open_filesystem(self._options)
            return self._opened


def _open_filesystem(options: RemoteOptions) -> Any:  # noqa: ANN401 - s3fs has no types
    try:
        from s3fs import S3FileSystem  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise UsageError("stores in S3 need the extra s3: install nightpress[s3]") from error
    region = {} if options.region is None else {"region_name": options.region}
    filesystem = S3FileSystem(
        endpoint_url=options.endpoint_url,
        key=options.access_key,
        secret=options.secret_key,
        client_kwargs=region,
        config_kwargs={
            "connect_timeout": options.connect_timeout_s,
            "read_timeout": options.read_timeout_s,
            "max_pool_connections": CONNECTIONS,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            # Newer checksums are sent and compared only where a server insists: not all know them.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    filesystem.retries = 1
    return filesystem


def _bucket_and_root(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of all keys, which is empty or ends with a slash."""
    bucket, _, path = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise UsageError(f"store {url}: write s3://bucket or s3://bucket/prefix")
    path = path.strip("/")
    return bucket, f"{check_key(path)}/" if path else ""


def _md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _checked_range(answer: Mapping[str, Any], start: int, end: int | None, found: int) -> int:
    """Return the size of the object of which a range was asked, when it is the right range."""
    told = _CONTENT_RANGE.fullmatch(str(answer.get("ContentRange", "")))
    if told is None:
        raise TransientError("a range was asked for and something else came")
    first, last, total = (int(number) for number in told.groups())
    expected_end = total if end is None else min(end, total)
    if (first, last + 1, found) != (start, expected_end, expected_end - start):
        raise TransientError(
            f"expected bytes {start} to {expected_end}, found {found} from {first} to {last + 1}"
        )
    return total
