"""Opened resources of the runs that this process works on.

Tasks are given plain options and may land on any worker, so each process keeps one workshop per
run from its first task until the run is closed; this registry is the one place that holds process
state.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from index_store.storage.base import Storage
from tasks.references import Span
from tasks.stages.run_options import RunOptions
from tasks.stages.workshop import Workshop

_lock = threading.Lock()
_open: dict[str, Workshop] = {}


def workshop(options: RunOptions) -> Workshop:
    """Return this process's workshop of a run, opened on first use."""
    with _lock:
        if options.run not in _open:
            _open[options.run] = Workshop(options)
        return _open[options.run]


@contextmanager
def resources(options: RunOptions, *, storage: Storage | None = None) -> Iterator[None]:
    """Close the workshop of a run at the end, whatever happened.

    Args:
        options: What the run was told.
        storage: The store when it is open already; None opens the one that `options` names.
    """
    if storage is not None:
        with _lock:
            _open[options.run] = Workshop(options, storage=storage)
    try:
        yield
    finally:
        with _lock:
            opened = _open.pop(options.run, None)
        if opened is not None:
            opened.close()


class Stopwatch:
    """Says when a task began and ended."""

    def __init__(self) -> None:
        self._start_s = time.time()

    def span(self) -> Span:
        """Return the time from the beginning until now."""
        return Span(start_s=self._start_s, end_s=time.time())
