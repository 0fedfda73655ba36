"""Sources that do not hold still: what vanishes, changes or comes back while a run is under way."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.storage.memory import MemoryStorage
from tasks.plan import plan_run
from tasks.resources import resources
from tasks.scan import scan_sources
from tasks.stages.run_options import RunOptions
from tasks.validate import validate_candidate
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    again,
    options_for,
    prose,
    searchable,
    texts_of,
    trusted,
    write,
)

TOPICS = [f"topic{number}" for number in range(6)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for topic in TOPICS:
        write(root / f"{topic}.md", prose(topic))
    return root


@pytest.fixture
def options(source: Path) -> RunOptions:
    return options_for(source, tripwire_share=0.2)


def full(options: RunOptions) -> RunOptions:
    return again(replace(options, change=replace(options.change, full=True)))


def says(storage: MemoryStorage, topic: str) -> bool:
    return any(topic in text for text in texts_of(searchable(storage)))


def test_a_source_that_vanishes_during_a_rebuild_leaves_production_as_it_was(
    source: Path, options: RunOptions
):
    storage = trusted("store")
    run_plainly(options, storage)
    before = searchable(storage)
    away = source.with_name("away")
    report = run_plainly(full(options), storage, meanwhile=lambda: source.rename(away) and None)
    failed = [finding for finding in report.findings if not finding.passed]
    assert [finding.check for finding in failed] == ["text", "losses"]
    assert failed[1].message.startswith("6 of 6 documents have no text any more")
    assert not report.promoted
    assert searchable(storage) == before
    away.rename(source)
    assert run_plainly(again(options), storage).unchanged
    assert run_plainly(full(options), storage).promoted
    assert searchable(storage) == before


def test_a_file_that_was_away_while_it_was_read_is_read_in_the_next_run(
    source: Path, options: RunOptions
):
    storage = trusted("store")
    path, away = source / "topic3.md", source.parent / "away.md"
    report = run_plainly(options, storage, meanwhile=lambda: path.rename(away) and None)
    assert [(entry.uri, entry.reason) for entry in report.rejections] == [("topic3.md", "changed")]
    away.rename(path)
    healed = run_plainly(again(options), storage)
    assert healed.rejections == ()
    assert says(storage, "topic3")


def test_a_file_that_was_another_one_while_it_was_read_is_read_again(
    source: Path, options: RunOptions
):
    storage = trusted("store")
    path = source / "topic3.md"
    right, times = path.read_bytes(), path.stat()

    def replace_it() -> None:
        path.write_bytes(right.replace(b"topic3", b"wrong3"))
        os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))

    run_plainly(options, storage, meanwhile=replace_it)
    assert says(storage, "wrong3")
    path.write_bytes(right)
    os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))
    run_plainly(again(options), storage)
    assert says(storage, "topic3")
    assert not says(storage, "wrong3")


def test_an_emptied_file_is_silent_at_once(source: Path, options: RunOptions):
    storage = trusted("store")
    run_plainly(options, storage)
    write(source / "topic3.md", "")
    report = run_plainly(again(options), storage)
    assert [(entry.uri, entry.reason) for entry in report.rejections] == [("topic3.md", "empty")]
    assert not says(storage, "topic3")
    assert says(storage, "topic2")


def test_a_collection_is_emptied_when_that_is_allowed(source: Path, options: RunOptions):
    storage = trusted("store")
    run_plainly(options, storage)
    for path in source.iterdir():
        path.unlink()
    allowed = replace(options, change=replace(options.change, allow_removal=True))
    report = run_plainly(again(allowed), storage)
    assert report.promoted
    assert searchable(storage) == set()


def test_a_renamed_folder_is_no_loss_in_a_rebuild(source: Path, options: RunOptions):
    storage = trusted("store")
    run_plainly(options, storage)
    (source / "new").mkdir()
    for topic in TOPICS:
        (source / f"{topic}.md").rename(source / "new" / f"{topic}.md")
    assert run_plainly(full(options), storage).promoted
    assert {uri for uri, _, _ in searchable(storage)} == {f"new/{topic}.md" for topic in TOPICS}


def test_what_was_never_promoted_is_tried_whole_before_it_is(options: RunOptions):
    storage = trusted("store")
    run_plainly(replace(options, promote=False), storage)
    told = again(options)
    with resources(told, storage=storage):
        plan = plan_run.fn(told, scan_sources.fn(told))
        assert plan.waiting is not None
        checks = [entry.check for entry in validate_candidate.fn(told, plan, plan.waiting).findings]
    assert any(check.startswith("self-search") for check in checks)
