"""The command about nights: list the runs.

Invariant: with `as_json` standard output holds one JSON object and nothing else.
"""

from datetime import UTC, datetime

import click

from flows.console import print_json, print_table
from flows.settings import Settings
from index_store.collections import check_format
from index_store.storage.opening import open_storage
from tasks.stages.reporting import money
from tasks.stages.run_records import RunRecord, UnfinishedRun, read_records, unfinished_runs

SHORT = 12  # characters of a version in tables
REASON_CHARS = 60  # of a reason in tables; --json has all of it
CHANGES = ("added", "changed", "moved", "removed", "rejected")


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


def _row(record: RunRecord) -> tuple[str, ...]:
    changes = [
        f"{int(record.documents[name])} {name}" for name in CHANGES if record.documents.get(name)
    ]
    reason = record.reason
    return (
        record.run,
        _time(record.began_at_ms),
        duration(record.took_s),
        record.end.value + ("" if record.promoted or not record.version else ", a candidate"),
        (record.version or "none")[:SHORT],
        f"{record.held:,}" if record.documents else "",
        ", ".join(changes),
        money(record.cost.get("spent")) if record.cost else "",
        reason if len(reason) <= REASON_CHARS else f"{reason[:REASON_CHARS]}…",
    )


def _unfinished_row(run: UnfinishedRun) -> tuple[str, ...]:
    why = "at work, or killed; the next run goes on from what it finished"
    return (run.run, "", "", f"unfinished, {_time(run.last_ms)}", "", "", "", "", why)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """Return a time in words for people: `4.2 s`, `12 min 5 s`, `3 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
