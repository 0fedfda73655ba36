"""A night with everything that a page can show."""

from dataclasses import replace

from index_store.embedders.prices import Price
from tasks.stages.morning.page import Change, Morning
from tasks.stages.reporting import Finding, RejectedDocument, RunReport
from tasks.stages.run_records import RunEnd, RunRecord, record_of
from tasks.stages.spending import RunCost, Spend
from tasks.stages.stretches import Stretch

DAY_MS = 86_400_000
NASTY = "a|b\"<script>alert('x')</script>&\x1b[31m.pdf"
RESTRICTED = "people/dismissals.docx"
FAILED = Finding(
    check="folders/kept",
    passed=False,
    message=f"1 of 9 outside: {RESTRICTED}",
    protects="No department loses its whole folder.",
)
PASSED = Finding(check="vectors/norm", passed=True, message="1 to 1 over 9", protects="Cosines.")
REPORT = RunReport(
    run="run-000031",
    began_at_ms=31 * DAY_MS,
    collection="docs",
    version="f" * 64,
    parent="e" * 64,
    documents={"added": 3, "changed": 1, "moved": 0, "removed": 2, "kept": 1234, "rejected": 2},
    chunks={"total": 9000, "new": 4, "dead": 1},
    embedding={"texts": 4, "tokens": 90, "requests": 1, "reused": 0},
    cost=RunCost(
        price=Price(per_million_tokens=5000.0, origin="as was set"),
        sources={".": Spend(tokens=100)},
    ),
    seconds={"scan": 1.25, "parse": 8.0},
    promoted=True,
    rejections=(
        RejectedDocument(uri=NASTY, reason="no-text", detail="2 pages of pictures"),
        RejectedDocument(uri=RESTRICTED, reason="timeout", detail="killed after 60 s", attempts=3),
    ),
    quality={"good": 9, "poor": 1},
    poor=(RESTRICTED,),
    without_chunks=(RESTRICTED,),
    skipped=((RESTRICTED, "a socket"),),
    warnings=(f"{RESTRICTED}: page 2 is empty",),
    findings=(PASSED,),
    timeline=(
        Stretch(stage="scan", start_s=0.0, end_s=1.25),
        Stretch(stage="parse", start_s=1.5, end_s=4.0),
        Stretch(stage="parse", start_s=6.0, end_s=9.5),
    ),
    figures={"golden_ndcg": 0.875},
)


def night(number: int, **change: object) -> RunRecord:
    """The record of an earlier night."""
    told = record_of(REPORT, 0)
    began = number * DAY_MS
    values = {"run": f"run-{number:06d}", "began_at_ms": began, "ended_at_ms": began + 60_000}
    return replace(told, **(values | change))  # type: ignore[arg-type]


def morning(report: RunReport = REPORT, **change: object) -> Morning:
    """What is looked at after that night, with three nights before it."""
    made = Morning(
        report=report,
        record=record_of(report, report.began_at_ms + 90_000),
        changes=(
            Change(uri=NASTY, action="added", reason="not in the last catalog"),
            Change(uri="new.txt", action="moved", reason=f"same content as {RESTRICTED}"),
        ),
        before=(
            night(30),
            night(29, end=RunEnd.FAILED, documents={}, chunks={}, cost={}, figures={}),
            night(28, documents={"added": 1, "kept": 999}),
        ),
    )
    return replace(made, **change)  # type: ignore[arg-type]
