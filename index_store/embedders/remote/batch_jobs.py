"""Mistral's Batch API: requests in a file, answers hours later at half the price.

The contract is that of the types of Mistral's own client (`mistralai.client`, release 3): upload a
file of lines, each with a `custom_id` and the body of a request; create a job on it; ask for the
job until its status is final; read a file of lines with the answers.

Invariants: a job is created once: when the reply to its creation is lost, it is looked for by the
name that it was given before another is made; no more than one line of an answer is held at a time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from index_store.embedder import Vectors
from index_store.embedders.remote.client import ProviderClient, Reply
from index_store.embedders.remote.options import RemoteOptions
from index_store.embedders.remote.refusals import RefusalKind, refusal
from index_store.embedders.remote.wire import OpenAIWire
from index_store.errors import IndexStoreError, StoppedError, TransientError, UsageError

ENDPOINT = "/v1/embeddings"
NAME_KEY = "nightpress"  # of a job's metadata, under which its name stands
FINAL = frozenset({"SUCCESS", "FAILED", "TIMEOUT_EXCEEDED", "CANCELLED"})
OK = 200
TRIES = 5
BACKOFF_S = 1.0  # doubles with each further try
UPLOAD_S = 600.0
JOBS_SHOWN = 100  # of the newest, among which a job is looked for by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """A job as the provider tells it.

    Attributes:
        id: Its id.
        status: One of the provider's words.
        answers: Id of the file of answers, None when there is none yet.
        errors: Id of the file of requests that failed, None when there is none.
    """

    id: str
    status: str
    answers: str | None
    errors: str | None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """The answer to one request of a job.

    Attributes:
        number: Place of the request in its job.
        vectors: float32, shape (texts, dimension), rows L2-normalised; None when it failed.
        tokens: Tokens that the provider counted, None when it does not say.
        why: What failed, empty otherwise.
    """

    number: int
    vectors: Vectors | None
    tokens: int | None = None
    why: str = ""


class BatchJobs:
    """The jobs of one model at one provider.

    Args:
        base_url: Address up to the provider's own paths, which ends in `/v1`.
        model: Name of the model.
        dimension: Length of its vectors.
        options: How the provider is reached.
        wait: Waits for some seconds.

    Raises:
        UsageError: Address, proxy or certificates cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        dimension: int,
        options: RemoteOptions,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = ProviderClient(base_url, options)
        self._model = model
        self._dimension = dimension
        self._timeout_s = options.timeout_s
        self._wait = wait
        self._wire = OpenAIWire()

    def line(self, number: int, texts: Sequence[str]) -> bytes:
        """Return one request as a line of a job's file."""
        body = orjson.Fragment(self._wire.body(self._model, texts))
        return orjson.dumps({"custom_id": str(number), "body": body}) + b"\n"

    def upload(self, name: str, lines: bytes) -> str:
        """Upload the requests of a job and return the file's id.

        Raises:
            TransientError, StoppedError, UsageError: As `create`.
        """
        boundary = f"nightpress-{name}"
        body = _multipart(boundary, name, lines)
        kind = f"multipart/form-data; boundary={boundary}"
        reply = self._tried(
            lambda: self._client.send("POST", "/files", body, UPLOAD_S, content_type=kind)
        )
        return _text(reply, "id")

    def create(self, name: str, file: str, hours: int) -> BatchJob:
        """Create a job, or return the one that was created under this name.

        Args:
            name: Found again by it, when the reply is lost.
            file: Id of its requests.
            hours: After which the provider gives it up.

        Raises:
            TransientError: The provider is busy or out of reach.
            StoppedError: It refuses the key, or there is no allowance left.
            UsageError: It has no such jobs for this model.
        """
        wanted = orjson.dumps(
            {
                "endpoint": ENDPOINT,
                "model": self._model,
                "input_files": [file],
                "metadata": {NAME_KEY: name},
                "timeout_hours": hours,
            }
        )

        def once() -> Reply:
            try:
                return self._client.send("POST", "/batch/jobs", wanted, self._timeout_s)
            except TransientError:
                found = self.find(name)  # it may have been created all the same
                if found is None:
                    raise
                raise _FoundError(found) from None

        try:
            return _job(_object(self._tried(once)))
        except _FoundError as found:
            return found.job

    def find(self, name: str) -> BatchJob | None:
        """Return the job that was created under a name, None when there is none.

        Raises:
            TransientError, StoppedError, UsageError: As `create`.
        """
        path = f"/batch/jobs?page=0&page_size={JOBS_SHOWN}&order_by=-created"
        listed = _object(self._tried(lambda: self._client.send("GET", path, b"", self._timeout_s)))
        jobs = listed.get("data")
        for job in jobs if isinstance(jobs, list) else []:
            metadata = job.get("metadata") if isinstance(job, dict) else None
            if isinstance(metadata, dict) and metadata.get(NAME_KEY) == name:
                return _job(job)
        return None

    def get(self, job: str) -> BatchJob | None:
        """Return how a job stands, None when the provider has forgotten it.

        Raises:
            TransientError, StoppedError, UsageError: As `create`.
        """
        path = f"/batch/jobs/{job}"
        reply = self._tried(
            lambda: self._client.send("GET", path, b"", self._timeout_s), missing_is_fine=True
        )
        return None if reply.status == 404 else _job(_object(reply))

    def cancel(self, job: str) -> None:
        """Ask for an end of a job; what it has done so far is still told.

        Raises:
            TransientError, StoppedError, UsageError: As `create`.
        """
        path = f"/batch/jobs/{job}/cancel"
        self._tried(lambda: self._client.send("POST", path, b"", self._timeout_s))

    def answers(self, file: str, texts: Sequence[int]) -> Iterator[BatchAnswer]:
        """Read a file of answers, line by line.

        Args:
            file: Its id.
            texts: Number of texts in every request of the job.

        Raises:
            TransientError: The provider is busy, out of reach, or breaks off.
        """
        for line in self._client.lines(f"/files/{file}/content", UPLOAD_S):
            answer = self._answer(line, texts)
            if answer is not None:
                yield answer

    def remove(self, file: str) -> None:
        """Remove a file at the provider; that it cannot be is no failure."""
        with suppress(IndexStoreError):
            self._client.send("DELETE", f"/files/{file}", b"", self._timeout_s)

    def close(self) -> None:
        """Close every connection; calling it twice is harmless."""
        self._client.close()

    def _answer(self, line: bytes, texts: Sequence[int]) -> BatchAnswer | None:
        """Return what a line tells, None when it belongs to no request of the job."""
        try:
            told = orjson.loads(line)
            number = int(told["custom_id"])
            response = told.get("response") or {}
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return None
        if not 0 <= number < len(texts):
            return None
        status = response.get("status_code", OK)  # the client's types do not tell what lines hold
        if status != OK:
            return BatchAnswer(number=number, vectors=None, why=f"status {status}")
        try:
            body = orjson.dumps(response.get("body"))
            answer = self._wire.answer(body, texts[number], self._dimension)
        except TransientError as error:
            return BatchAnswer(number=number, vectors=None, why=str(error))
        return BatchAnswer(number=number, vectors=answer.vectors, tokens=answer.tokens)

    def _tried(self, once: Callable[[], Reply], *, missing_is_fine: bool = False) -> Reply:
        """Send with patience; an answer that is an error becomes ours."""
        for attempt in range(TRIES):
            try:
                reply = once()
            except TransientError as error:
                told, wait_s = str(error), None
            else:
                if reply.status == 200 or (reply.status == 404 and missing_is_fine):
                    return reply
                refused = refusal(reply.status, reply.headers, reply.body, datetime.now(UTC))
                if refused.kind is not RefusalKind.BUSY:
                    raise _error(refused.kind, refused.message)
                told, wait_s = refused.message, refused.retry_after_s
            if attempt == TRIES - 1:
                raise TransientError(f"batch jobs: {TRIES} tries failed, the last with {told}")
            self._wait(wait_s or BACKOFF_S * 2**attempt)
        raise AssertionError("the last try returns or raises")


class _FoundError(Exception):
    """The reply was lost, but the job is there."""

    def __init__(self, job: BatchJob) -> None:
        super().__init__(job.id)
        self.job = job


def _error(kind: RefusalKind, message: str) -> IndexStoreError:
    if kind is RefusalKind.KEY:
        return StoppedError(
            f"batch jobs: the provider refuses the key ({message}); set embed_api_key or "
            "embed_key_file; what is embedded is kept"
        )
    if kind is RefusalKind.QUOTA:
        return StoppedError(
            f"batch jobs: there is no allowance left ({message}); what is embedded is kept"
        )
    return UsageError(
        f"batch jobs: {message}; this provider or model may have none, unset embed_night_rate"
    )


def _multipart(boundary: str, name: str, lines: bytes) -> bytes:
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return head.encode() + lines + f"\r\n--{boundary}--\r\n".encode()


def _object(reply: Reply) -> dict[str, Any]:
    try:
        value = orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise TransientError("batch jobs: the answer is not JSON") from error
    if not isinstance(value, dict):
        raise TransientError("batch jobs: the answer is not a JSON object")
    return value


def _text(reply: Reply, name: str) -> str:
    value = _object(reply).get(name)
    if not isinstance(value, str) or not value:
        raise TransientError(f"batch jobs: the answer has no {name}")
    return value


def _job(value: dict[str, Any]) -> BatchJob:
    found, status = value.get("id"), value.get("status")
    if not isinstance(found, str) or not isinstance(status, str):
        raise TransientError("batch jobs: the answer is no job")
    answers, errors = value.get("output_file"), value.get("error_file")
    return BatchJob(
        id=found,
        status=status,
        answers=answers if isinstance(answers, str) else None,
        errors=errors if isinstance(errors, str) else None,
    )
