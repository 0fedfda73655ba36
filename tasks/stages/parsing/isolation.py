"""A pool of warm child processes that parse documents, one document at a time each.

Invariants: the wall-clock limit of a document starts when that document starts; a child that hangs,
dies or floods is killed with all its descendants and replaced at once, so that capacity is never
lost; every failure of a document is an outcome, never an exception; nothing survives `close` or the
death of the process that owns the pool.
"""

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from index_store.attributes import NO_ATTRIBUTES
from index_store.errors import StoppedError, UsageError
from index_store.records import Reason
from tasks.stages.parsing.child import Child
from tasks.stages.parsing.frames import Silence
from tasks.stages.parsing.last_resort import ask_server, wants_more
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.nothing import DESCRIBE
from tasks.stages.parsing.outcome import Outcome, decode_reply, rejected
from tasks.stages.parsing.registry import TIKA, parser_identity
from tasks.stages.parsing.slot import Slot, WorkerOptions
from tasks.stages.sidecars.reading import NOBODY

__all__ = ["Outcome", "ParsePool", "WorkerOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    path: Path
    parser: str
    sidecars: tuple[str, ...]
    future: Future[Outcome]


class ParsePool:
    """Parses documents in children; usable from several threads, and as a context manager."""

    def __init__(self, workers: int, limits: Limits, work: WorkerOptions) -> None:
        """Start the children.

        Args:
            workers: Documents parsed at the same time, at least 1.
            limits: Bounds on every document.
            work: What is done with parsed documents.

        Raises:
            UsageError: `workers` is less than 1.
        """
        if workers < 1:
            raise UsageError(f"workers: expected at least 1, got {workers}")
        self._limits = limits
        self._work = work
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._offline = True
        self._slots = [Slot(limits, work) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"parse-{number}", daemon=True)
            for number, slot in enumerate(self._slots)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, path: Path, parser: str, *, sidecars: tuple[str, ...] = ()) -> Future[Outcome]:
        """Queue one document.

        Args:
            path: The file; it is opened by the child.
            parser: Name of a parser, see `registry.parser_for`.
            sidecars: Paths of the files that describe it, the outermost folder's first.

        Returns:
            A future whose result is the outcome. It raises only when the pool was closed meanwhile
            (StoppedError), when no child can be started just now (TransientError), or when the
            chunker is not what the options say (UsageError).

        Raises:
            StoppedError: The pool is closed.
            UsageError: There is no such parser.
        """
        parser_identity(parser, self._limits, self._work.parsing)
        future: Future[Outcome] = Future()
        with self._lock:
            if self._closed:
                raise self._stopped()
            self._jobs.put(_Job(path=path, parser=parser, sidecars=sidecars, future=future))
        return future

    @property
    def limits(self) -> Limits:
        """Bounds on every document."""
        return self._limits

    @property
    def offline(self) -> bool:
        """Whether every child started so far was cut off from the network."""
        return self._offline

    def close(self) -> None:
        """Kill the children and fail what is not finished; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for slot in self._slots:
            slot.close()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self, slot: Slot) -> None:
        slot.warm()
        while (job := self._jobs.get()) is not None:
            if self._closed:
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                self._run(job, slot)
        slot.drop()

    def _run(self, job: _Job, slot: Slot) -> None:
        """Finish one job; the slot has a child for the next one then."""
        try:
            child = slot.ready()
            self._offline = self._offline and child.offline
            outcome, fit = self._parse(job, child)
            if not fit or child.documents >= self._limits.documents_per_child:
                slot.drop()
                slot.warm()
            if self._work.tika.url and wants_more(outcome):
                outcome = self._ask_server(job, slot, outcome)
            if job.sidecars and outcome.rejection and outcome.attributes == NO_ATTRIBUTES:
                outcome = self._with_rights(job, slot, outcome)
        except Exception as error:  # noqa: BLE001 - entry point of the thread; the future raises it
            slot.drop()
            job.future.set_exception(self._stopped() if self._closed else error)
            return
        if self._closed and outcome.rejection is not None:
            job.future.set_exception(self._stopped())
        else:
            job.future.set_result(outcome)

    def _ask_server(self, job: _Job, slot: Slot, first: Outcome) -> Outcome:
        def parse(page: Path) -> Outcome:
            asked = replace(job, path=page, parser=TIKA)
            outcome, fit = self._parse(asked, slot.ready())
            if not fit:
                slot.drop()
                slot.warm()
            return outcome

        return ask_server(job.path, first, self._work.tika, parse)

    def _with_rights(self, job: _Job, slot: Slot, refused: Outcome) -> Outcome:
        """Ask once more who may read a document whose parser ended before it could say so."""
        told, fit = self._parse(replace(job, parser=DESCRIBE), slot.ready())
        if not fit:
            slot.drop()
            slot.warm()
        unknown = told.rejection is not None and told.attributes == NO_ATTRIBUTES
        return replace(refused, attributes=NOBODY if unknown else told.attributes)

    def _stopped(self) -> StoppedError:
        return StoppedError("the parse pool is closed")

    def _parse(self, job: _Job, child: Child) -> tuple[Outcome, bool]:
        """Return the outcome and whether the child may go on."""
        started = time.monotonic()
        frame = child.ask(job.path, job.parser, job.sidecars, self._limits)
        seconds = time.monotonic() - started
        if isinstance(frame, Silence):
            outcome = self._refuse(job, *self._explain(frame, child))
            return replace(outcome, seconds=seconds), False
        try:
            reply = decode_reply(frame, seconds=seconds)
        except (ValueError, KeyError, TypeError):
            outcome = self._refuse(job, Reason.CRASHED, "its parser sent a broken reply")
            return replace(outcome, seconds=seconds), False
        return reply.outcome, not reply.spent

    def _explain(self, silence: Silence, child: Child) -> tuple[Reason, str]:
        if silence is Silence.LATE:
            return Reason.TIMEOUT, f"its parser was killed after {self._limits.wall_s:g} s"
        if silence is Silence.FLOOD:
            return Reason.TOO_LARGE, f"more than {self._limits.output_bytes} bytes came out"
        return child.last_words()

    def _refuse(self, job: _Job, reason: Reason, detail: str) -> Outcome:
        return rejected(
            reason, detail, parser=parser_identity(job.parser, self._limits, self._work.parsing)
        )
