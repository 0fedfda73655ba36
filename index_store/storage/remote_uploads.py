"""Large objects, written in parts and visible when the last part is there.

Invariants: every part bears its MD5; an upload that fails is given up, so that its parts cost
nothing; a lost reply to the last request is settled by looking at the object.
"""

import base64
import hashlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from index_store.clock import system_clock_ms
from index_store.errors import (
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from index_store.storage.remote_attempts import Attempts, Kind
from index_store.storage.remote_failures import understood
from index_store.storage.remote_options import RemoteOptions

MAX_PARTS = 10_000  # the limit of S3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """An upload in parts that was begun: nobody sees its object yet.

    Attributes:
        key: Name that the object would have, relative to the store.
        id: The server's name for the upload.
        begun_ms: When it was begun, milliseconds since the epoch.
    """

    key: str
    id: str
    begun_ms: int


@runtime_checkable
class Uploads(Protocol):
    """A store that writes large objects in parts, which can be left over."""

    def begin_upload(self, key: str, data: bytes) -> UnfinishedUpload:
        """Begin to write an object in parts, and leave it at its first part.

        Raises:
            TransientError: That did not work.
        """
        ...

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """List uploads in parts that nobody finished: of writers at work, or that were killed.

        Raises:
            TransientError: The store could not be listed.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Give up an upload and free its parts; one that is gone is fine.

        Raises:
            TransientError: It may still be there.
        """
        ...


class Requests(Protocol):
    """Makes a request of the S3 interface once."""

    def call(
        self, method: str, parameters: Mapping[str, object], *, size_bytes: int = 0
    ) -> Mapping[str, Any]:
        """See `S3Client.call`."""
        ...


def content_md5(data: bytes) -> str:
    """Return the MD5 of `data` as S3 wants it in a header."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class PartWriter:
    """Writes one object in parts.

    Args:
        requests: Reaches the bucket.
        attempts: Tries requests again.
        options: Size of a part, and how many are under way at a time.
        name: Name of the object in the bucket.
        key: Its key in the store, for messages.
    """

    def __init__(
        self, requests: Requests, attempts: Attempts, options: RemoteOptions, *, name: str, key: str
    ) -> None:
        self._requests = requests
        self._attempts = attempts
        self._options = options
        self._name = name
        self._key = key

    def write(self, source: bytes | Path) -> None:
        """Write the object.

        Raises:
            CorruptArtifactError: The object that came of it has another size.
            TransientError: The object was not written.
            UnknownOutcomeError: It may have been written.
        """
        size_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        step = max(self._options.part_bytes, math.ceil(size_bytes / MAX_PARTS))
        upload = self._begin()
        try:
            with ThreadPoolExecutor(self._options.part_threads) as threads:
                parts = list(
                    threads.map(
                        lambda number: self._part(upload, number, _slice(source, number, step)),
                        range(1, math.ceil(size_bytes / step) + 1),
                    )
                )
            self._complete(upload, parts, size_bytes)
        except UnknownOutcomeError:  # giving it up now could undo what succeeded
            raise
        except BaseException:
            with suppress(IndexStoreError):
                self.abort(upload)
            raise
        found = self._found()
        if found != f"{size_bytes} bytes":
            raise CorruptArtifactError(f"{self._key}: expected {size_bytes} bytes, found {found}")

    def begin(self, data: bytes) -> UnfinishedUpload:
        """Begin the object with its first part, and leave it there.

        Raises:
            TransientError: That did not work.
        """
        upload = self._begin()
        self._part(upload, 1, data)
        return UnfinishedUpload(key=self._key, id=upload, begun_ms=system_clock_ms())

    def abort(self, upload: str) -> None:
        """Give up an upload; one that is gone is fine.

        Raises:
            TransientError: It may still be there.
        """
        self._attempts.run(Kind.LOOK, "give up", self._key, lambda: self._abort(upload))

    def _begin(self) -> str:
        answer = self._attempts.run(
            Kind.LOOK,  # beginning it twice leaves one for garbage collection and harms nobody
            "begin",
            self._key,
            lambda: self._requests.call("create_multipart_upload", {"Key": self._name}),
        )
        return str(answer["UploadId"])

    def _part(self, upload: str, number: int, data: bytes) -> Mapping[str, object]:
        parameters = {
            "Key": self._name,
            "UploadId": upload,
            "PartNumber": number,
            "Body": data,
            "ContentMD5": content_md5(data),
        }
        answer = self._attempts.run(
            Kind.LOOK,
            f"put part {number} of",
            self._key,
            lambda: self._requests.call("upload_part", parameters, size_bytes=len(data)),
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _complete(self, upload: str, parts: list[Mapping[str, object]], size_bytes: int) -> None:
        self._attempts.run(
            Kind.WRITE, "finish", self._key, lambda: self._finish(upload, parts, size_bytes)
        )

    def _finish(self, upload: str, parts: list[Mapping[str, object]], size_bytes: int) -> None:
        parameters = {
            "Key": self._name,
            "UploadId": upload,
            "MultipartUpload": {"Parts": parts},
        }
        try:
            self._requests.call("complete_multipart_upload", parameters, size_bytes=size_bytes)
        except Exception as error:
            if not _is_gone(error):
                raise
            # Finished by an attempt before, whose reply was lost; or given up by somebody.
            found = self._found()
            if found != f"{size_bytes} bytes":
                raise TransientError(f"the upload is gone, and found {found}") from error

    def _abort(self, upload: str) -> None:
        try:
            self._requests.call("abort_multipart_upload", {"Key": self._name, "UploadId": upload})
        except Exception as error:
            if not _is_gone(error):
                raise

    def _found(self) -> str:
        """Return the size of the object that is there, in words."""
        try:
            answer = self._attempts.run(
                Kind.LOOK,
                "look at",
                self._key,
                lambda: self._requests.call("head_object", {"Key": self._name}),
            )
        except NotFoundError:
            return "nothing"
        return f"{int(answer['ContentLength'])} bytes"


def _slice(source: bytes | Path, number: int, step: int) -> bytes:
    start = (number - 1) * step
    if isinstance(source, bytes):
        return source[start : start + step]
    with source.open("rb") as file:
        file.seek(start)
        return file.read(step)


def _is_gone(error: Exception) -> bool:
    failure = understood(error)
    return failure is not None and failure.code == "NoSuchUpload"
