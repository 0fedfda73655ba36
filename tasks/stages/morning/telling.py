"""Gather what the morning view shows, and keep its pages beside the version."""

from index_store.layout import figures_page_key, page_key
from index_store.storage.base import Storage
from tasks.stages.diffing import Action, Plan
from tasks.stages.morning.nights_picture import SHOWN_NIGHTS
from tasks.stages.morning.page import Change, Morning, page
from tasks.stages.reporting import RunReport
from tasks.stages.run_records import RunRecord, read_records


def morning_of(storage: Storage, report: RunReport, record: RunRecord, plan: Plan) -> Morning:
    """Return what a person looks at after a run.

    Raises:
        TransientError: The store is out of reach.
    """
    before = read_records(storage, report.collection, SHOWN_NIGHTS + 1)
    return Morning(
        report=report,
        record=record,
        changes=tuple(
            Change(uri=item.uri, action=item.action.value, reason=item.reason)
            for item in plan.items
            if item.action is not Action.KEPT
        ),
        before=tuple(each for each in before if each.run != record.run),
    )


def store_pages(storage: Storage, morning: Morning) -> None:
    """Keep the page of a version beside it, with names of documents and without."""
    report = morning.report
    if report.version is None:
        return
    for key, names in ((page_key, True), (figures_page_key, False)):
        told = page(morning, names=names).encode("utf-8", "replace")
        storage.put(key(report.collection, report.version), told)
