"""Bad nights and ordinary ones, through every gate: what stops each of them, and how long it takes.

    python benchmarks/planted_nights.py

A collection of 102 documents is put into production once. Each planted regression happens to a copy
of it, with the stores, parsers and embedder of a run; after that, twenty ordinary nights happen to
one copy in a row.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import our_tests  # noqa: F401 - before anything of tests

from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from tasks.stages.gating.options import EngineName
from tasks.stages.reporting import RunReport
from tests.support.ordinary_nights import ordinary_night
from tests.support.plain_run import run_plainly
from tests.support.planted_nights import (
    REGRESSIONS,
    Place,
    Regression,
    collection,
    copy_of,
    golden_file,
    run_options,
)
from tests.support.small_sources import COLLECTION, trusted

ORDINARY_NIGHTS = 20


def main() -> None:
    """Print two tables and the sums."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = Place(source=folder / "source", storage=trusted("good"), folder=folder)
        collection(good.source)
        run_plainly(run_options(good.source, golden_file(folder)), good.storage)
        print("| planted | blocked by | promoted | seconds |\n|---|---|---|---|")
        promoted = [
            regression.name
            for number, regression in enumerate(REGRESSIONS)
            if plant(regression, copy_of(good, folder / str(number)))
        ]
        print("\n| ordinary night | blocked by | warned by | promoted | seconds |")
        print("|---|---|---|---|---|")
        blocked = ordinary(copy_of(good, folder / "ordinary"))
        print(f"\n{len(REGRESSIONS)} planted regressions, {len(promoted)} promoted {promoted}")
        print(f"{ORDINARY_NIGHTS} ordinary nights, {blocked} blocked")


def plant(regression: Regression, place: Place) -> bool:
    """Let one regression happen; whether it went into production."""
    options = run_options(place.source, golden_file(place.folder))
    options = regression.plant(place, options) or options
    before = production(place)
    started = time.perf_counter()
    great = replace(options.gates, engine=EngineName.AUTO)
    report = run_plainly(replace(options, gates=great), place.storage)
    spent = time.perf_counter() - started
    promoted = report.promoted or production(place) != before
    print(f"| {regression.name} | {named(report, blocking=True)} | {promoted} | {spent:.1f} |")
    return promoted


def ordinary(place: Place) -> int:
    """Let ordinary nights happen one after the other; how many were blocked."""
    golden, blocked = golden_file(place.folder), 0
    for night in range(ORDINARY_NIGHTS):
        what = ordinary_night(place, night)
        started = time.perf_counter()
        report = run_plainly(run_options(place.source, golden), place.storage)
        spent = time.perf_counter() - started
        blocked += bool(report.blocked_by) or not report.promoted
        print(
            f"| {what} | {named(report, blocking=True)} | {named(report, blocking=False)} "
            f"| {report.promoted} | {spent:.1f} |"
        )
    return blocked


def named(report: RunReport, *, blocking: bool) -> str:
    """Return the checks that failed, those that block or the others."""
    failed = [each for each in report.findings if not each.passed and each.blocks == blocking]
    return ", ".join(f"`{each.check}`" for each in failed) or "–"


def production(place: Place) -> str:
    """Return the version in production."""
    return CommitLog(place.storage, COLLECTION).read().channels[PRODUCTION]


if __name__ == "__main__":
    main()
