"""Records of jobs that a provider has been given and has not answered yet.

Invariant: a record is written before its job is created and removed after its answers are stored,
so a run that is killed in between leaves what the next one needs to collect them.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from index_store.errors import NotFoundError
from index_store.layout import batch_job_key, batch_jobs_prefix
from index_store.storage.base import Storage

FORMAT_VERSION = 1
NO_SOURCE = "unknown"  # of records that were written before they named sources


@dataclass(frozen=True, slots=True, kw_only=True)
class NightJob:
    """One job.

    Attributes:
        name: Under which the provider can be asked for it; no other job has it.
        requests: Hashes of the texts of every request.
        tokens: Tokens in every request, as counted here, by the source of their texts.
        file: Id of its requests at the provider, None before they are uploaded.
        job: Its id at the provider, None before it is known.
    """

    name: str
    requests: tuple[tuple[bytes, ...], ...]
    tokens: tuple[Mapping[str, int], ...]
    file: str | None = None
    job: str | None = None


class NightJobs:
    """The records of one embedder in one store."""

    def __init__(self, storage: Storage, embedder_id: str) -> None:
        self._storage = storage
        self._embedder_id = embedder_id

    def write(self, job: NightJob) -> NightJob:
        """Write a record, over an earlier one of the same job."""
        value = {
            "format_version": FORMAT_VERSION,
            "name": job.name,
            "requests": [[each.hex() for each in request] for request in job.requests],
            "tokens": [sum(request.values()) for request in job.tokens],
            "sources": [dict(request) for request in job.tokens],
            "file": job.file,
            "job": job.job,
        }
        key = batch_job_key(self._embedder_id, job.name)
        self._storage.put(key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        return job

    def uploaded(self, job: NightJob, file: str) -> NightJob:
        """Record the file of a job."""
        return self.write(replace(job, file=file))

    def created(self, job: NightJob, created: str) -> NightJob:
        """Record the id of a job."""
        return self.write(replace(job, job=created))

    def remove(self, job: NightJob) -> None:
        """Forget a job."""
        self._storage.delete(batch_job_key(self._embedder_id, job.name))

    def open(self) -> Iterator[NightJob]:
        """Return what earlier runs left; a damaged record is passed over, its texts are new."""
        for entry in list(self._storage.list(batch_jobs_prefix(self._embedder_id))):
            with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError, NotFoundError):
                yield _parsed(orjson.loads(self._storage.read(entry.key)))


def _parsed(value: dict[str, object]) -> NightJob:
    requests, file, job = value["requests"], value["file"], value["job"]
    if not isinstance(requests, list):
        raise TypeError("a record of a job has no requests")
    return NightJob(
        name=str(value["name"]),
        requests=tuple(tuple(bytes.fromhex(each) for each in request) for request in requests),
        tokens=_tokens(value),
        file=None if file is None else str(file),
        job=None if job is None else str(job),
    )


def _tokens(value: dict[str, object]) -> tuple[Mapping[str, int], ...]:
    tokens, sources = value["tokens"], value.get("sources")
    if not isinstance(tokens, list):
        raise TypeError("a record of a job has no tokens")
    if not isinstance(sources, list) or len(sources) != len(tokens):
        return tuple({NO_SOURCE: int(each)} for each in tokens)
    return tuple(
        {str(source): int(count) for source, count in request.items()} for request in sources
    )
