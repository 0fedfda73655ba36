"""A person lists, compares, promotes, rolls back, pins, verifies and expires versions."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import version_commands as commands
from flows.console import ExitCode, exit_code
from flows.looking import show_status
from flows.settings import Settings
from index_store.errors import CorruptArtifactError, NotFoundError, StoppedError
from index_store.log import CommitLog
from index_store.publisher import FAILED_CHECKS, promote, publish
from index_store.storage.folder import FolderStorage
from tests.index_store.store_builders import (
    COLLECTION,
    build_manifest,
    commit_log,
    publish_documents,
)

Shown = Callable[[], str]


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """Three versions: production went from the first to the second, the third failed its checks."""
    made = FolderStorage(tmp_path / "store")
    for number in (1, 2):
        documents = {"a.txt": [f"text {number}"], "b.txt": ["kept"], f"new-{number}.txt": ["moved"]}
        done = publish_documents(made, documents, tmp_path, run=f"run-{number}")
        promote(commit_log(made), done.version)
    log = commit_log(made)
    manifest = build_manifest(made, {"b.txt": ["kept"]}, tmp_path, run="run-3")
    publish(made, log, manifest, log.read(), reason=FAILED_CHECKS)
    return made


@pytest.fixture
def settings(storage: FolderStorage) -> Settings:
    return Settings(store=storage.url, collection=COLLECTION)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    return lambda: capsys.readouterr().out


def versions(storage: FolderStorage) -> list[str]:
    return list(CommitLog(storage, COLLECTION).read().versions)


def production(storage: FolderStorage) -> str:
    return CommitLog(storage, COLLECTION).read().channels["production"]


def test_versions_are_listed_newest_first(storage: FolderStorage, settings: Settings, shown: Shown):
    first, second, third = versions(storage)
    commands.pin_version(settings, first, "audit", as_json=False)
    assert shown() == f"pin audit holds {first}\n"
    commands.show_versions(settings, as_json=False)
    lines = shown().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [each[:12] for each in (third, second, first)]
    assert lines[1].endswith("candidate")
    assert lines[2].endswith("production")
    assert lines[3].endswith("pin audit")
    commands.show_versions(settings, as_json=True)
    rows = json.loads(shown())["versions"]
    assert [row["version"] for row in rows] == [third, second, first]
    assert [row["run"] for row in rows] == ["run-3", "run-2", "run-1"]
    assert rows[2]["pins"] == ["audit"]
    assert rows[2]["rollback_target"]
    assert rows[1]["channels"] == ["production"]
    assert rows[1]["parent"] == first
    assert (rows[1]["documents"], rows[1]["chunks"]) == (3, 3)
    assert rows[0]["size_bytes"] > 1000


def test_a_missing_collection_is_named(tmp_path: Path):
    with pytest.raises(NotFoundError, match="collection 'documents' does not exist"):
        commands.show_versions(Settings(store=str(tmp_path / "none")), as_json=False)


def test_two_versions_are_compared(storage: FolderStorage, settings: Settings, shown: Shown):
    first, second, third = versions(storage)
    commands.diff_versions(settings, first[:8], second[:8], as_json=True)
    found = json.loads(shown())
    assert found["documents"]["changed"] == ["a.txt"]
    assert found["documents"]["moved"] == [["new-1.txt", "new-2.txt"]]
    assert found["documents"]["same"] == 1
    assert found["chunks"] == {"before": 3, "after": 3}
    assert found["facts"] == []
    commands.diff_versions(settings, second, third, as_json=False)
    text = shown()
    assert "0 added, 0 changed, 0 moved, 2 removed, 1 same" in text
    assert "  removed  a.txt" in text
    assert "chunks: 3 before, 1 after" in text


def test_what_a_gate_blocked_is_promoted_only_with_an_override(
    storage: FolderStorage, settings: Settings, shown: Shown
):
    _, second, third = versions(storage)
    with pytest.raises(
        StoppedError, match="was blocked .checks failed.; say why.*--override"
    ) as caught:
        commands.promote_version(settings, third[:8], reason="we know", override=" ", as_json=False)
    assert exit_code(caught.value) is ExitCode.STOPPED
    commands.promote_version(settings, third[:8], override="we know", as_json=False)
    assert shown() == f"production is {third}; it was {second}\n"
    log = CommitLog(storage, COLLECTION)
    assert log.record(log.read().seq).change.reason == "override: we know (checks failed)"
    show_status(settings, only=True, as_json=False)
    assert shown().splitlines()[-1].endswith("UTC: override: we know (checks failed)")
    show_status(settings, only=True, as_json=True)
    (told,) = json.loads(shown())["collections"]
    assert told["production_reason"] == "override: we know (checks failed)"
    assert told["production_since_ms"] == log.record(log.read().seq).at_ms
    commands.promote_version(settings, third[:8], override="we know", as_json=False)
    assert shown() == f"production is {third} already\n"
    commands.promote_version(settings, second[:8], reason="", as_json=True)
    assert json.loads(shown()) == {"channel": "production", "version": second, "previous": third}


def test_rollback_goes_back(storage: FolderStorage, settings: Settings, shown: Shown):
    first, second, _ = versions(storage)
    commands.rollback(settings, reason="", as_json=False)
    assert shown() == f"production is {first}; it was {second}\n"
    with pytest.raises(NotFoundError, match="no version to go back to") as caught:
        commands.rollback(settings, reason="", as_json=False)
    assert exit_code(caught.value) is ExitCode.MISTAKE


def test_pins_are_taken_away(storage: FolderStorage, settings: Settings, shown: Shown):
    first, *_ = versions(storage)
    commands.pin_version(settings, first[:8], "audit", as_json=True)
    assert json.loads(shown()) == {"pin": "audit", "version": first}
    commands.unpin_version(settings, "audit", as_json=False)
    assert shown() == f"pin audit is free; it held {first}\n"
    commands.pin_version(settings, first[:8], "audit", as_json=True)
    shown()
    commands.unpin_version(settings, "audit", as_json=True)
    assert json.loads(shown()) == {"pin": "audit", "version": None, "held": first}


def test_verify_says_that_all_is_well_or_lists_every_problem(
    storage: FolderStorage, settings: Settings, shown: Shown
):
    commands.verify(settings, None, deep=True, as_json=False)
    assert shown().endswith("(every byte): 0 problems\n")
    victims = [entry.key for entry in storage.list(f"{COLLECTION}/catalog/")]
    for victim in victims:
        storage.delete(victim)
    with pytest.raises(CorruptArtifactError, match="docs: 3 problems found") as caught:
        commands.verify(settings, None, deep=False, as_json=False)
    assert exit_code(caught.value) is ExitCode.DAMAGED
    text = shown()
    assert "sizes; --deep reads every byte): 3 problems" in text
    assert all(victim in text for victim in victims)
    storage.delete(f"{COLLECTION}/log/000000000001.json")
    with pytest.raises(CorruptArtifactError, match="docs: 1 problems found"):
        commands.verify(settings, None, deep=False, as_json=True)
    assert json.loads(shown())["problems"][0]["version"] is None


def test_expiry_is_a_dry_run_first_and_then_takes_two_passes(
    storage: FolderStorage, settings: Settings, shown: Shown
):
    first, second, third = versions(storage)
    commands.promote_version(settings, third[:8], override="we know", as_json=True)
    shown()
    before = [entry.key for entry in storage.list("")]

    def expire(*, dry_run: bool, as_json: bool) -> str:
        commands.expire(settings, dry_run=dry_run, keep_last=1, grace_hours=0, as_json=as_json)
        return shown()

    text = expire(dry_run=True, as_json=False)
    assert f"{first[:12]}  retire  not kept by any rule" in text
    assert f"{second[:12]}  keep    channel production before" in text
    assert "nothing was done, --yes does it" in text
    plan = json.loads(expire(dry_run=True, as_json=True))
    assert (plan["dry_run"], plan["versions"], plan["delete"]) == (True, [first], [])
    assert [entry.key for entry in storage.list("")] == before

    assert f"retired version {first}\n" in expire(dry_run=False, as_json=False)
    assert versions(storage) == [second, third]
    done = json.loads(expire(dry_run=False, as_json=True))
    assert (done["dry_run"], done["versions"], done["retired"]) == (False, [], [])
    assert {entry["key"] for entry in done["deleted"]} == {e["key"] for e in plan["retire"]}
    commands.verify(settings, None, deep=True, as_json=False)
    assert "2 versions" in shown()
    commands.rollback(settings, reason="", as_json=False)
    assert production(storage) == second


def test_an_empty_collection_has_no_versions(tmp_path: Path, shown: Shown):
    storage = FolderStorage(tmp_path / "store")
    storage.create("docs/format.json", b'{"format": "nightpress", "format_version": 1}')
    commands.show_versions(Settings(store=storage.url, collection="docs"), as_json=False)
    assert shown() == "no version is published yet\n"


def test_long_differences_are_cut(storage: FolderStorage, settings: Settings, shown: Shown):
    folder = Path(storage.url).parent
    many = {f"{number:03d}.txt": [f"text {number}"] for number in range(60)}
    last = publish_documents(storage, many, folder, run="run-4").version
    commands.diff_versions(settings, versions(storage)[0], last, as_json=False)
    assert "… and 12 more; --json lists all" in shown()
