"""Task: say what the run did, in the store and in the Prefect UI."""

import logging
import re
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from index_store.clock import system_clock_ms
from index_store.log import CommitLog
from index_store.storage.base import Storage
from tasks.policies import policy
from tasks.references import PlanReference, Timeline, Trail
from tasks.resources import workshop
from tasks.stages.checkpoints import read_batch
from tasks.stages.concluding import Work, conclude, store_report
from tasks.stages.costs import cost_history, costs_markdown
from tasks.stages.morning.artifacts import (
    night_markdown,
    nights_markdown,
    quality_markdown,
    rejections_markdown,
    summary_markdown,
)
from tasks.stages.morning.page import Morning
from tasks.stages.morning.telling import morning_of, store_pages
from tasks.stages.reporting import RunReport, plan_markdown
from tasks.stages.run_files import StoredPlan, read_plan, remove_run, remove_stale_runs
from tasks.stages.run_options import RunOptions
from tasks.stages.run_records import record_of, write_record

logger = logging.getLogger("nightpress.report")


@task(**policy("report", run_name="report-{options.collection}"))
def report_unchanged(options: RunOptions, plan: PlanReference, timeline: Timeline) -> RunReport:
    """Report a night on which nothing changed."""
    storage = workshop(options).storage
    stored = read_plan(storage, plan.key)
    report = conclude(
        storage,
        options,
        stored,
        stored.base,
        Work(
            price=workshop(options).price,
            seconds=timeline.seconds(),
            began_at_ms=timeline.began_at_ms,
            timeline=timeline.stretches(),
        ),
    )
    _show(options, _tell(storage, report, stored))
    _clear(options)
    return report


@task(**policy("report", run_name="report-{options.collection}"))
def report_version(
    options: RunOptions, plan: PlanReference, trail: Trail, timeline: Timeline
) -> RunReport:
    """Report a new version, keep the report beside it, and clear the run's checkpoints."""
    storage = workshop(options).storage
    work = Work(
        outcomes=[
            document
            for batch in trail.batches
            for document in read_batch(storage, batch.key).documents
        ],
        embedded=trail.embedded,
        price=workshop(options).price,
        new_chunks=trail.candidate.new_chunks,
        findings=trail.validation.findings,
        seconds=timeline.seconds(),
        began_at_ms=timeline.began_at_ms,
        timeline=timeline.stretches(),
        figures=trail.validation.figures,
    )
    stored = read_plan(storage, plan.key)
    report = conclude(storage, options, stored, trail.published.version, work)
    store_report(storage, report)
    morning = _tell(storage, report, stored)
    store_pages(storage, morning)
    _show(options, morning)
    state = CommitLog(storage, options.collection).read()
    create_markdown_artifact(
        key=artifact_key(options, "costs"),
        markdown=costs_markdown(cost_history(storage, options.collection, state)),
        description="What the last nights cost",
    )
    _clear(options)
    return report


def show_plan(options: RunOptions, plan: PlanReference) -> None:
    """Show in the UI what the run is going to do."""
    stored = read_plan(workshop(options).storage, plan.key)
    create_markdown_artifact(
        key=artifact_key(options, "plan"),
        markdown=plan_markdown(stored.plan, kept=stored.kept),
        description="What this run does, document by document",
    )


def start_progress(options: RunOptions, stage: str) -> UUID:
    """Begin a progress artifact of a stage and return its id."""
    made = create_progress_artifact(
        progress=0.0, key=artifact_key(options, stage), description=f"Progress of {stage}"
    )
    return cast("UUID", made)  # only a caller that is asynchronous gets a coroutine


def show_progress(artifact: UUID, percent: float) -> None:
    """Move a progress artifact."""
    update_progress_artifact(artifact_id=artifact, progress=percent)


def artifact_key(options: RunOptions, name: str) -> str:
    """Return a key that Prefect accepts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{options.collection}-{name}".lower()).strip("-")


def _tell(storage: Storage, report: RunReport, stored: StoredPlan) -> Morning:
    """Keep how the run ended, and gather what a person looks at."""
    record = record_of(report, system_clock_ms())
    write_record(storage, record)
    return morning_of(storage, report, record, stored.plan)


def _show(options: RunOptions, morning: Morning) -> None:
    for name, markdown, description in (
        ("summary", summary_markdown(morning), "What this run did and what it cost"),
        (
            "rejections",
            rejections_markdown(morning.report),
            "Documents that are not indexed, why, and what to do about it",
        ),
        ("quality", quality_markdown(morning.report), "What was measured, and every check"),
        ("night", night_markdown(morning), "Which stage was at work when"),
        ("nights", nights_markdown(morning), "The last nights: documents, cost, time, quality"),
    ):
        create_markdown_artifact(
            key=artifact_key(options, name), markdown=markdown, description=description
        )


def _clear(options: RunOptions) -> None:
    """Remove the checkpoints of this run, and of runs that did not come back."""
    storage = workshop(options).storage
    remove_run(storage, options.collection, options.run)
    remove_stale_runs(storage, options.collection, now_ms=system_clock_ms())
