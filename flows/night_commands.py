"""The commands about nights: list the runs, and find the page of a version.

Invariant: with `as_json` standard output holds one JSON object and nothing else.
"""

import webbrowser
from pathlib import Path

import click

from flows.console import print_json, print_table, visible
from flows.settings import Settings
from index_store.collections import check_format
from index_store.errors import NotFoundError
from index_store.layout import page_key
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, resolve_version
from index_store.storage.opening import open_storage
from tasks.stages.morning.words import clock, moment
from tasks.stages.reporting import money
from tasks.stages.run_records import RunRecord, UnfinishedRun, read_records, unfinished_runs

SHORT = 12  # characters of a version in tables
REASON_CHARS = 60  # of a reason in tables; --json has all of it
CHANGES = ("added", "changed", "moved", "reembedded", "removed", "rejected")


def show_runs(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Print how the last runs ended, the newest first."""
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    ended = read_records(storage, settings.collection, limit)
    unfinished = unfinished_runs(storage, settings.collection)
    if as_json:
        print_json(
            {
                "collection": settings.collection,
                "runs": [
                    {**record.as_json(), "seconds_in_all": round(record.took_s, 3)}
                    for record in ended
                ],
                "unfinished": [{"run": each.run, "last_ms": each.last_ms} for each in unfinished],
            }
        )
        return
    if not ended and not unfinished:
        click.echo("no run has ended yet")
        return
    head = ("run", "began", "took", "ended", "version", "documents", "changes", "spent", "why")
    print_table(head, [*map(_unfinished_row, unfinished), *map(_row, ended)])


def show_report(
    settings: Settings, version: str | None, *, out: Path | None, open_it: bool, as_json: bool
) -> None:
    """Print where the page of a version is, and open it in a browser if asked to.

    Args:
        settings: Store and collection.
        version: Version, or the beginning of one; None for production.
        out: File to write the page to; needed when the store has no files of its own, else a
            file in the working folder is made.
        open_it: Whether to open it.
        as_json: Whether to print one JSON object.

    Raises:
        NotFoundError: The version has no page.
    """
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    state = CommitLog(storage, settings.collection).read()
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, version=version, channel=channel)
    key = page_key(settings.collection, published.version)
    try:
        page = storage.read(key)
    except NotFoundError:
        raise NotFoundError(
            f"version {published.version[:SHORT]} has no page: only nightpress run writes one"
        ) from None
    path = storage.local_path(key)
    if path is None or out is not None:
        path = out or Path(f"report-{published.version[:SHORT]}.html")
        path.write_bytes(page)
    opened = open_it and webbrowser.open(path.absolute().as_uri())
    if as_json:
        told = {"version": published.version, "path": str(path.absolute()), "opened": opened}
        print_json(told)
        return
    click.echo(visible(str(path.absolute())))
    if open_it and not opened:
        click.echo("no browser could be started here; open the file in one", err=True)


def _row(record: RunRecord) -> tuple[str, ...]:
    changes = [
        f"{int(record.documents[name])} {name}" for name in CHANGES if record.documents.get(name)
    ]
    reason = record.reason
    return (
        record.run,
        moment(record.began_at_ms),
        clock(record.took_s),
        record.end.value + ("" if record.promoted or not record.version else ", a candidate"),
        (record.version or "none")[:SHORT],
        f"{record.held:,}" if record.documents else "",
        ", ".join(changes),
        money(record.cost.get("spent")) if record.cost else "",
        reason if len(reason) <= REASON_CHARS else f"{reason[:REASON_CHARS]}…",
    )


def _unfinished_row(run: UnfinishedRun) -> tuple[str, ...]:
    why = "at work, or killed; the next run goes on from what it finished"
    return (run.run, "", "", f"unfinished, {moment(run.last_ms)}", "", "", "", "", why)
