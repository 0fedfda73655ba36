"""Keep how a run ended when it did not come to its own end."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.artifacts import create_markdown_artifact

from index_store.clock import system_clock_ms
from index_store.collections import check_format
from index_store.errors import IndexStoreError, StoppedError
from index_store.storage.opening import open_storage
from tasks.references import Timeline
from tasks.stages.compaction_run import CompactRunOptions
from tasks.stages.morning.artifacts import stopped_markdown
from tasks.stages.run_options import RunOptions
from tasks.stages.run_records import RunEnd, RunRecord, write_record

REASON_CHARS = 300

logger = logging.getLogger("nightpress.report")


@contextmanager
def recorded(
    flow: str, options: RunOptions | CompactRunOptions, timeline: Timeline
) -> Iterator[None]:
    """Write a record of the run when the block raises; an error goes on as it is.

    A run that reported has its record already. A collection that does not exist yet gets none, so
    that a mistyped address leaves nothing behind.
    """
    try:
        yield
    except BaseException as error:
        record = RunRecord(
            run=options.run,
            flow=flow,
            collection=options.collection,
            began_at_ms=timeline.began_at_ms,
            ended_at_ms=system_clock_ms(),
            end=_end_of(error),
            reason=_told(error),
            seconds=timeline.seconds(),
        )
        try:
            storage = open_storage(options.store)
            check_format(storage, options.collection)
            write_record(storage, record)
        except IndexStoreError as failure:
            logger.warning("the record of run %s could not be written: %s", options.run, failure)
        if record.end is not RunEnd.INTERRUPTED:
            _show(record)
        raise


def _show(record: RunRecord) -> None:
    """Say in the UI what stopped the run; a server that is out of reach changes nothing."""
    name = "".join(mark if mark.isalnum() else "-" for mark in record.collection)
    try:
        create_markdown_artifact(
            key=f"{name}-summary",
            markdown=stopped_markdown(record),
            description="What stopped this run",
        )
    except Exception as failure:  # noqa: BLE001 - what stopped the run is what must be told
        logger.warning("what stopped run %s is not shown: %s", record.run, failure)


def _end_of(error: BaseException) -> RunEnd:
    if isinstance(error, StoppedError):
        return RunEnd.STOPPED
    # Ctrl-C, and what Prefect raises in a flow run that is cancelled or told to end.
    return RunEnd.FAILED if isinstance(error, Exception) else RunEnd.INTERRUPTED


def _told(error: BaseException) -> str:
    if not isinstance(error, Exception):
        by = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        return f"told to end ({by})"
    told = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, IndexStoreError)
    return (told if known else f"{type(error).__name__}: {told}")[:REASON_CHARS]
