"""The command `nightpress store check`: try a store and print what it keeps and what not."""

import click

from flows.console import print_json, print_table
from flows.settings import Settings
from index_store.clock import system_clock_ms
from index_store.storage.fitness import FitnessReport, check_store
from index_store.storage.opening import open_storage
from index_store.storage.verdicts import remember


def check(settings: Settings, *, as_json: bool) -> None:
    """Try a store, print every promise and remember the verdict.

    Raises:
        UnfitStoreError: The store breaks a promise; everything was printed before.
        UsageError: The store cannot be used at all.
        TransientError: The store could not be reached.
    """
    storage = open_storage(settings.store)
    report = check_store(storage)
    if as_json:
        print_json({"store": storage.url, **_object(report)})
    else:
        rows = [
            ("holds" if entry.passed else "BROKEN", entry.name, entry.detail)
            for entry in report.checks
        ]
        print_table(("", "promise", "what was seen"), rows)
        verdict = "is fit" if report.fit else "is not fit"
        click.echo(f"{storage.url} {verdict}; tried in {report.seconds:.1f} s")
    remember(storage, report, single_writer=False, checked_at_ms=system_clock_ms())


def _object(report: FitnessReport) -> dict[str, object]:
    return {
        "fit": report.fit,
        "seconds": round(report.seconds, 3),
        "checks": [
            {"promise": entry.name, "holds": entry.passed, "seen": entry.detail or None}
            for entry in report.checks
        ],
    }
