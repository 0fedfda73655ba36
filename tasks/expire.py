"""Tasks: the two passes of expiry."""

import logging
import re
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import create_markdown_artifact

from index_store.clock import system_clock_ms
from index_store.collector import PassResult, preview, purge_pass, retire_pass
from index_store.log import CommitLog
from index_store.retention import ExpiryPlan, RetentionPolicy
from index_store.storage.opening import open_storage
from tasks.policies import policy
from tasks.stages.expiry_report import passes_markdown, plan_markdown

logger = logging.getLogger("nightpress.expire")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryOptions:
    """What an expiry is told.

    Attributes:
        store: Address of the store.
        collection: Name of the collection.
        retention: How much is kept.
        run: Id of the run, written into the log.
    """

    store: str
    collection: str
    retention: RetentionPolicy
    run: str


@task(**policy("expire-preview", run_name="expire-preview-{options.collection}"))
def preview_expiry(options: ExpiryOptions) -> ExpiryPlan:
    """Find out what expiry would do; nothing is written."""
    storage = open_storage(options.store)
    log = CommitLog(storage, options.collection)
    plan = preview(storage, log, options.retention, clock_ms=system_clock_ms)
    _show(options, plan_markdown(plan))
    return plan


@task(**policy("purge", run_name="purge-{options.collection}"))
def purge_retired(options: ExpiryOptions) -> PassResult:
    """Delete what was retired longer than the grace ago."""
    storage = open_storage(options.store)
    log = CommitLog(storage, options.collection)
    return purge_pass(storage, log, options.retention, run=options.run)


@task(**policy("retire", run_name="retire-{options.collection}"))
def retire_unkept(options: ExpiryOptions) -> PassResult:
    """Retire the versions that are not kept, and what only they or nobody referred to."""
    storage = open_storage(options.store)
    log = CommitLog(storage, options.collection)
    return retire_pass(storage, log, options.retention, run=options.run)


def show_passes(options: ExpiryOptions, purged: PassResult, retired: PassResult) -> None:
    """Show in the UI what both passes did."""
    _show(options, passes_markdown(purged, retired))


def _show(options: ExpiryOptions, markdown: str) -> None:
    key = re.sub(r"[^a-z0-9]+", "-", f"{options.collection}-expire").strip("-")
    create_markdown_artifact(key=key, markdown=markdown, description="What expiry removes")
