"""The batch jobs of the embedding provider of the tests: files, jobs, answers hours later.

It speaks `/v1/files` and `/v1/batch/jobs` as the types of Mistral's own client have them. Time
passes by being asked: a job is over after so many looks at it.
"""

import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass(kw_only=True)
class NightBehaviour:
    """How the provider treats jobs.

    Attributes:
        polls: Looks at a job until it is over; a cancelled one is over at the next.
        final: What it ends as.
        done_share: Share of its requests that are answered, the first ones.
        failing: Places of requests that fail alone.
        spoiled: Places of requests whose vectors are wrong.
        says_status: Whether a line of an answer tells its status.
        shuffled: Whether answers come in another order, with lines that are none between them.
        lose_replies: Creations of jobs whose reply is lost although the job is made.
        busy: Requests of any kind that are answered with 503 first.
        forgetful: Whether a job is unknown after it was made.
        has_jobs: Whether there are jobs at all.
    """

    polls: int = 2
    final: str = "SUCCESS"
    done_share: float = 1.0
    failing: frozenset[int] = frozenset()
    spoiled: frozenset[int] = frozenset()
    says_status: bool = True
    shuffled: bool = False
    lose_replies: int = 0
    busy: int = 0
    forgetful: bool = False
    has_jobs: bool = True


@dataclass(kw_only=True)
class _Job:
    id: str
    model: str
    file: str
    metadata: dict[str, str]
    status: str = "QUEUED"
    looks: int = 0
    answers: str | None = None
    errors: str | None = None


class LostReplyError(Exception):
    """The reply never arrives."""


@dataclass(kw_only=True)
class Batches:
    """Files and jobs.

    Attributes:
        behaviour: How jobs are treated.
        answer: Answers the body of one request: status and body.
        files: Content by id.
        jobs: Jobs by id, in order of creation.
        cancelled: Ids of jobs that somebody cancelled.
        wanted: What jobs were created with.
    """

    behaviour: NightBehaviour
    answer: Answer
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, _Job] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    wanted: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Return status and body of any request about files and jobs.

        Raises:
            LostReplyError: It was done, but nobody will hear of it.
        """
        with self._lock:
            if self.behaviour.busy > 0:
                self.behaviour.busy -= 1
                return 503, b'{"message": "overloaded"}'
            bare = path.partition("?")[0].removeprefix("/v1")
            if not self.behaviour.has_jobs:
                return 404, b'{"detail": "Not Found"}'
            if bare.startswith("/files"):
                return self._file(method, bare, body, kind)
            return self._batch(method, bare, body)

    def _file(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        if method == "POST":
            content = _uploaded(body, kind)
            made = self._kept(content)
            return 200, json.dumps(_file_object(made, len(content))).encode()
        name = path.split("/")[2]
        if name not in self.files:
            return 404, b'{"detail": "Not Found"}'
        if method == "DELETE":
            del self.files[name]
            return 200, json.dumps({"id": name, "object": "file", "deleted": True}).encode()
        return 200, self.files[name]

    def _batch(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        parts = path.split("/")  # "", "batch", "jobs", id, "cancel"
        if len(parts) == 3 and method == "POST":
            return self._create(json.loads(body))
        if len(parts) == 3:
            newest_first = [self._told(job) for job in reversed(self.jobs.values())]
            listed = {"object": "list", "total": len(newest_first), "data": newest_first}
            return 200, json.dumps(listed).encode()
        job = self.jobs.get(parts[3])
        if job is None or self.behaviour.forgetful:
            return 404, b'{"detail": "Not Found"}'
        if method == "POST":
            self.cancelled.append(job.id)
            job.status = "CANCELLATION_REQUESTED"
        else:
            self._look(job)
        return 200, json.dumps(self._told(job)).encode()

    def _create(self, wanted: dict[str, Any]) -> tuple[int, bytes]:
        if wanted["endpoint"] != "/v1/embeddings" or wanted["input_files"][0] not in self.files:
            return 422, b'{"detail": [{"msg": "no such file or endpoint"}]}'
        self.wanted.append(wanted)
        job = _Job(
            id=f"job-{len(self.jobs)}",
            model=wanted["model"],
            file=wanted["input_files"][0],
            metadata=wanted.get("metadata") or {},
        )
        self.jobs[job.id] = job
        if self.behaviour.lose_replies > 0:
            self.behaviour.lose_replies -= 1
            raise LostReplyError
        return 200, json.dumps(self._told(job)).encode()

    def _look(self, job: _Job) -> None:
        job.looks += 1
        if job.answers is not None or job.status in ("FAILED", "TIMEOUT_EXCEEDED"):
            return
        if job.status == "CANCELLATION_REQUESTED":
            self._finish(job, "CANCELLED")
        elif job.looks >= self.behaviour.polls:
            self._finish(job, self.behaviour.final)
        else:
            job.status = "RUNNING"

    def _finish(self, job: _Job, status: str) -> None:
        job.status = status
        lines = [json.loads(line) for line in self.files[job.file].splitlines() if line.strip()]
        done = lines[: round(len(lines) * self.behaviour.done_share)]
        answered, failed = [], []
        for number, line in enumerate(done):
            code, body = (500, {"message": "internal error"})
            if number not in self.behaviour.failing:
                code, body = self.answer(line["body"])
            if number in self.behaviour.spoiled and code == 200:
                body["data"].pop()
            told = {
                "id": f"{job.id}-{number}",
                "custom_id": line["custom_id"],
                "response": {"body": body}
                if not self.behaviour.says_status
                else {"status_code": code, "body": body},
                "error": None,
            }
            (answered if code == 200 else failed).append(json.dumps(told))
        if self.behaviour.shuffled:
            answered += ['{"custom_id": "many"}', "half a line", '{"custom_id": "999999"}']
            random.Random(1).shuffle(answered)  # noqa: S311 - not a secret
        job.answers = self._kept("\n".join(answered).encode()) if answered else None
        job.errors = self._kept("\n".join(failed).encode()) if failed else None

    def _kept(self, content: bytes) -> str:
        name = f"file-{len(self.files)}-{time.monotonic_ns()}"
        self.files[name] = content
        return name

    def _told(self, job: _Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "object": "batch",
            "input_files": [job.file],
            "metadata": job.metadata,
            "endpoint": "/v1/embeddings",
            "model": job.model,
            "output_file": job.answers,
            "error_file": job.errors,
            "errors": [],
            "status": job.status,
            "created_at": 1,
            "total_requests": 1,
            "completed_requests": 1,
            "succeeded_requests": 1,
            "failed_requests": 0,
        }


def _uploaded(body: bytes, kind: str) -> bytes:
    """Return the file of a form, which must also say that it is for a batch."""
    found = re.search(r'boundary="?([^";]+)', kind)
    if found is None:
        raise ValueError("the form has no boundary")
    parts = body.split(b"--" + found[1].encode())
    fields = {
        match[1]: content.removesuffix(b"\r\n")
        for head, _, content in (part.partition(b"\r\n\r\n") for part in parts)
        if (match := re.search(rb'name="(\w+)"', head))
    }
    if fields[b"purpose"] != b"batch":
        raise ValueError("the purpose of the file is not batch")
    return fields[b"file"]


def _file_object(name: str, size_bytes: int) -> dict[str, object]:
    return {
        "id": name,
        "object": "file",
        "bytes": size_bytes,
        "created_at": 1,
        "filename": "requests.jsonl",
        "purpose": "batch",
        "sample_type": "batch_request",
        "source": "upload",
    }
