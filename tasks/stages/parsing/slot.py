"""One place in the pool: it always has a child that can take the next document.

Invariant: a slot has at most one child, and a child that was dropped is dead.
"""

import contextlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from index_store.errors import TransientError
from tasks.stages.parsing.child import Child
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, ParseOptions
from tasks.stages.parsing.tika import NO_SERVER, TikaOptions

_LOG = logging.getLogger(__name__)
_STARTS = 3  # tries to start a child before a document fails for it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What children do with a parsed document.

    Attributes:
        chunker: Dotted name "module:factory"; `factory(options)` returns a function from
            `ParsedDocument` to a sequence of `Chunk`. It is called once in each child.
        options: Argument of the factory, anything that JSON can say.
        parsing: What parsers are told besides the document.
        tika: The server that is asked when no parser here does.
    """

    chunker: str
    options: Mapping[str, object] = field(default_factory=dict)
    parsing: ParseOptions = DEFAULT_OPTIONS
    tika: TikaOptions = NO_SERVER


class Slot:
    """Starts and replaces children; used by one thread, `close` by any."""

    def __init__(self, limits: Limits, work: WorkerOptions) -> None:
        self._limits = limits
        self._work = work
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._closed = False

    def warm(self) -> None:
        """Start a child when there is none, without waiting for it."""
        with contextlib.suppress(TransientError):  # the next document tries again
            self._living()

    def ready(self) -> Child:
        """Return a child that can take a document now.

        Raises:
            TransientError: No child could be started.
            UsageError: The chunker is not what the options say.
        """
        problem = TransientError("the slot is closed")
        for _ in range(_STARTS):
            try:
                child = self._living()
                child.wait_until_ready()
            except TransientError as error:
                problem = error
                self.drop()
            else:
                return child
        raise problem

    def drop(self) -> None:
        """Kill the child and everything it started."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.kill()
            _LOG.debug("parse child %d ended after %d documents", child.process, child.documents)

    def close(self) -> None:
        """Have the child killed without waiting; no other one is started."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.release()

    def _living(self) -> Child:
        if self._child is not None and not self._child.is_alive:
            self.drop()
        with self._lock:
            if self._closed:
                raise TransientError("the slot is closed")
            if self._child is None:
                self._child = self._start()
            return self._child

    def _start(self) -> Child:
        try:
            work = self._work
            return Child(
                self._limits, chunker=work.chunker, options=work.options, parsing=work.parsing
            )
        except OSError as error:  # no memory or no process left just now
            raise TransientError(f"parse child: {error.strerror}") from error
