"""Opened resources of the runs that this process works on.

Tasks are given plain options and may land on any worker, so each process keeps one workshop per
run from its first task until the run is closed; this registry is the one place that holds process
state.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from index_store.storage.base import Storage
from tasks.references import Span
from tasks.stages.parsing.isolation import ParsePool
from tasks.stages.run_options import RunOptions
from tasks.stages.workshop import StartParsers, Workshop

_lock = threading.Lock()
_open: dict[str, Workshop] = {}


def workshop(options: RunOptions) -> Workshop:
    """Return this process's workshop of a run, opened on first use."""
    with _lock:
        if options.run not in _open:
            _open[options.run] = Workshop(on_this_machine(options, len(os.sched_getaffinity(0))))
        return _open[options.run]


def close_workshop(run: str) -> None:
    """Close this process's workshop of a run, if it has one."""
    with _lock:
        opened = _open.pop(run, None)
    if opened is not None:
        opened.close()


def on_this_machine(options: RunOptions, cores: int) -> RunOptions:
    """Return options in which what was left to the machine is settled: as much as it has cores.

    Args:
        options: What the run was told; a number of workers or threads may be 0.
        cores: Cores that this process may use.
    """
    return replace(
        options,
        parse_workers=options.parse_workers or cores,
        embed=replace(options.embed, threads=options.embed.threads or cores),
        build=replace(options.build, threads=options.build.threads or cores),
    )


@contextmanager
def resources(
    options: RunOptions,
    *,
    storage: Storage | None = None,
    start_parsers: StartParsers = ParsePool,
) -> Iterator[None]:
    """Close the workshop of a run at the end, whatever happened.

    Args:
        options: What the run was told.
        storage: The store when it is open already; None opens the one that `options` names.
        start_parsers: Starts the parser processes of this process, when `storage` is given.
    """
    if storage is not None:
        with _lock:
            settled = on_this_machine(options, len(os.sched_getaffinity(0)))
            _open[options.run] = Workshop(settled, storage=storage, start_parsers=start_parsers)
    try:
        yield
    finally:
        close_workshop(options.run)


class Stopwatch:
    """Says when a task began and ended."""

    def __init__(self) -> None:
        self._start_s = time.time()

    def span(self) -> Span:
        """Return the time from the beginning until now."""
        return Span(start_s=self._start_s, end_s=time.time())
