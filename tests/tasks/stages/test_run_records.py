"""Records of runs: what they say, that they stay few, and that a damaged one costs nothing."""

from dataclasses import replace

import orjson
import pytest

from index_store.embedders.prices import Price
from index_store.errors import CorruptArtifactError
from index_store.layout import history_key, run_key
from index_store.storage.memory import MemoryStorage
from tasks.stages.reporting import Finding, RunReport
from tasks.stages.run_records import (
    MOST_RECORDS,
    SLACK_RECORDS,
    RunEnd,
    RunRecord,
    parse_record,
    read_records,
    record_of,
    unfinished_runs,
    write_record,
)
from tasks.stages.spending import RunCost, Spend

REPORT = RunReport(
    run="20260301t033000z-aa",
    began_at_ms=1_000,
    collection="docs",
    version="f" * 64,
    parent=None,
    documents={"added": 3, "changed": 0, "moved": 1, "removed": 2, "kept": 40, "rejected": 5},
    chunks={"total": 9, "new": 4, "dead": 1},
    embedding={"texts": 4, "tokens": 90, "requests": 1, "reused": 0},
    cost=RunCost(
        price=Price(per_million_tokens=5000.0, origin="as was set"),
        sources={".": Spend(tokens=100)},
    ),
    seconds={"scan": 1.25},
    figures={"golden_recall": 0.75},
    promoted=True,
)
FAILED = Finding(check="folders/kept", passed=False, message="law/ is gone")


def record(number: int) -> RunRecord:
    return replace(record_of(REPORT, 61_000), run=f"run-{number:06d}")


@pytest.mark.parametrize(
    ("report", "end", "reason"),
    [
        (REPORT, RunEnd.PUBLISHED, ""),
        (replace(REPORT, unchanged=True), RunEnd.UNCHANGED, ""),
        (replace(REPORT, findings=(FAILED,), promoted=False), RunEnd.BLOCKED, "folders/kept"),
        (replace(REPORT, findings=(replace(FAILED, severity="warn"),)), RunEnd.PUBLISHED, ""),
    ],
)
def test_a_record_says_how_a_run_ended(report: RunReport, end: RunEnd, reason: str):
    made = record_of(report, 61_000)
    assert made.cost["spent"] == 0.5
    assert (made.end, made.reason, made.took_s, made.held) == (end, reason, 60.0, 44)


def test_a_record_comes_back_as_it_was_written():
    storage = MemoryStorage("store")
    write_record(storage, record(1))
    assert read_records(storage, "docs", 10) == (record(1),)


def test_a_record_is_written_once():
    storage = MemoryStorage("store")
    write_record(storage, record(1))
    write_record(storage, replace(record(1), end=RunEnd.FAILED))
    assert read_records(storage, "docs", 10)[0].end is RunEnd.PUBLISHED


def test_the_oldest_records_go_and_the_newest_come_first():
    storage = MemoryStorage("store")
    body = orjson.dumps(record(0).as_json())
    for number in range(MOST_RECORDS + SLACK_RECORDS):
        storage.put(history_key("docs", f"run-{number:06d}"), body)
    last = MOST_RECORDS + SLACK_RECORDS
    write_record(storage, record(last))
    kept = [entry.key for entry in storage.list("docs/history/")]
    assert len(kept) == MOST_RECORDS
    assert kept[-1] == history_key("docs", f"run-{last:06d}")
    assert [each.run for each in read_records(storage, "docs", 1)] == [f"run-{last:06d}"]


def test_a_damaged_record_is_passed_over_and_says_all_that_is_wrong():
    storage = MemoryStorage("store")
    write_record(storage, record(1))
    storage.put(history_key("docs", "run-000002"), b"{}")
    storage.put(history_key("docs", "run-000003"), b"not json")
    assert read_records(storage, "docs", 10) == (record(1),)
    with pytest.raises(CorruptArtifactError, match="format_version.*end.*run.*began_at_ms"):
        parse_record(b'{"format_version": 2, "end": "well"}', "record")


def test_runs_with_checkpoints_and_no_record_are_unfinished():
    storage = MemoryStorage("store")
    write_record(storage, record(1))
    for run in ("run-000001", "run-000002", "run-000003"):
        storage.put(run_key("docs", run, "plan.json"), b"{}")
    assert [each.run for each in unfinished_runs(storage, "docs")] == ["run-000003", "run-000002"]
