"""The audit log: who asked what collection when, and what was found; a JSON line for each search.

Invariants: a line is written whole, by one append, so that processes may share a file; only its
owner may read a file that is made here; the question is written only when the operator said so; a
search is answered also when its line cannot be written, and the log of the process tells of that.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from index_store.clock import system_clock_ms
from index_store.errors import UsageError
from index_store.records import Hit
from retriever.access import Caller

FORMAT_VERSION = 1
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """What is written down of every search.

    Attributes:
        path: File of JSON lines, made if missing; empty for no audit log.
        questions: Whether the text of a question is written, and the groups of who asked.
    """

    path: str = ""
    questions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One search.

    Attributes:
        caller: Who asked.
        collection: Where.
        version: Version that answered.
        question: The words.
        hits: What was found, best first.
        took_ms: Milliseconds.
    """

    caller: Caller
    collection: str
    version: str
    question: str
    hits: Sequence[Hit]
    took_ms: float


class AuditLog:
    """Appends lines to a file; safe for threads and processes.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(
        self, options: AuditOptions, clock_ms: Callable[[], int] = system_clock_ms
    ) -> None:
        self._options = options
        self._clock_ms = clock_ms
        if not options.path:
            return
        try:
            self._append(b"")
        except OSError as error:
            raise UsageError(
                f"setting 'audit_log': {options.path!r} cannot be written: {error}"
            ) from error

    def write(self, entry: AuditEntry) -> None:
        """Append the line of one search, if an audit log is kept."""
        if not self._options.path:
            return
        line = audit_line(entry, self._clock_ms(), questions=self._options.questions)
        try:
            self._append(line)
        except OSError as error:
            logger.error("audit log: a line could not be written: %s", error)  # noqa: TRY400 - no trace

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(Path(self._options.path), flags, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def audit_line(entry: AuditEntry, now_ms: int, *, questions: bool) -> bytes:
    """Return one line of the log; pure."""
    line: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "at_ms": now_ms,
        "key": entry.caller.name,
        "user": entry.caller.user,
        "collection": entry.collection,
        "version": entry.version,
        "documents": list(dict.fromkeys(hit.uri for hit in entry.hits)),
        "took_ms": round(entry.took_ms, 3),
    }
    if questions:
        groups = entry.caller.groups
        line |= {"question": entry.question, "groups": sorted(groups or ())}
    return orjson.dumps(line) + b"\n"
