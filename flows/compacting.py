"""The command `nightpress compact`: say what is due, or start Prefect and do it."""

import time
from collections.abc import Callable
from functools import partial

import click

from flows.compact_settings import compact_options
from flows.console import print_json
from flows.prefect_session import call_flow
from flows.run_settings import new_run_id
from flows.settings import Settings
from index_store.storage.opening import open_storage
from tasks.stages.compaction_end import CompactionReport, planned_report
from tasks.stages.compaction_run import plan_work


def run_compact(
    settings: Settings, *, dry_run: bool, rebuild_graph: bool = False, as_json: bool
) -> None:
    """Compact a collection and print what was done.

    Args:
        settings: What the person set.
        dry_run: Whether only to print what is due.
        rebuild_graph: Whether to rewrite every shard that was built with other settings, and
            nothing else.
        as_json: Whether to print one JSON object.

    Raises:
        StoppedError: A check of the new version did not pass; production is as it was.
        ConflictError: Another version was published first.
        IndexStoreError: Whatever else stopped it.
    """
    options = compact_options(settings, new_run_id(), rebuild_graph=rebuild_graph)
    storage = open_storage(options.store)
    report = planned_report(storage, options, plan_work(storage, options))
    started = time.time()
    if not dry_run and report.merges:
        report = call_flow(lambda: _load(rebuild_graph=rebuild_graph), settings)
    if as_json:
        spent = round(time.time() - started, 3)
        print_json({**report.as_json(), "dry_run": dry_run, "seconds": spent})
    else:
        _print(report, dry_run=dry_run)


def _load(*, rebuild_graph: bool) -> Callable[[Settings], CompactionReport]:
    from flows.compact import compact  # noqa: PLC0415 - reads the environment of Prefect

    return partial(compact, rebuild_graph=rebuild_graph)


def _print(report: CompactionReport, *, dry_run: bool) -> None:
    if not report.merges:
        click.echo(f"nothing is due; version {report.version[:12]} stays")
        return
    for merge in report.merges:
        click.echo(f"rewrite {merge}")
    told = f"{report.shards_before} shards become {report.shards_after}"
    if dry_run:
        click.echo(f"{told}, {report.rows_written} rows would be written")
        return
    state = "is in production" if report.promoted else "is a candidate"
    click.echo(f"version {report.version[:12]} {state}")
    click.echo(f"{told}, {report.rows_written} rows and {report.bytes_written} bytes written")
