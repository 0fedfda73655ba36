"""Nights with expiry in between: what comes back after its files were retired is indexed again."""

from pathlib import Path

import pytest

from index_store.collector import purge_pass, retire_pass
from index_store.log import CommitLog
from index_store.publisher import rollback
from index_store.retention import RetentionPolicy
from index_store.storage.memory import MemoryStorage
from index_store.verification import verify_collection
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    COLLECTION,
    options_for,
    prose,
    searchable,
    texts_of,
    trusted,
    write,
)

HASTY = RetentionPolicy(keep_last=1, grace_ms=0)
ANCHORS = ("anchor.txt", "buoy.txt", "cable.txt", "dock.txt")
# Which of the documents that come and go are there, night by night.
NIGHTS = ("xy", "x", "", "y", "xy", "", "xy", "x", "xy", "y", "xy")


def log(storage: MemoryStorage) -> CommitLog:
    return CommitLog(storage, COLLECTION)


def night(source: Path, storage: MemoryStorage, present: str) -> set[str]:
    """Put the documents there, index them, and return the texts that are found."""
    for name in "xy":
        path = source / f"{name}.txt"
        if name in present:
            write(path, prose(name))
        else:
            path.unlink(missing_ok=True)
    options = options_for(source, allow_removal=True)
    run_plainly(options, storage)
    return texts_of(searchable(storage))


@pytest.mark.parametrize("waits", [1, 2])
def test_documents_come_back_after_their_files_were_expired(tmp_path: Path, waits: int):
    source = tmp_path / "source"
    for name in ANCHORS:
        write(source / name, prose(name))
    storage = trusted("nights")
    first_seen: dict[str, set[str]] = {}
    embedded_before = 0
    for number, present in enumerate(NIGHTS):
        found = night(source, storage, present)
        assert found == first_seen.setdefault(present, found)
        if number % waits == 0:
            purge_pass(storage, log(storage), HASTY)
            retire_pass(storage, log(storage), HASTY)
        assert verify_collection(storage, COLLECTION, deep=True).problems == ()
        embeddings = list(storage.list("embeddings/"))
        assert number < 4 or len(embeddings) == embedded_before, "a text was paid for twice"
        embedded_before = len(embeddings)
    state = log(storage).audit().state
    assert len(state.purged) > 20
    assert len(state.versions) <= 1 + waits
    before = state.channels["production"]
    assert rollback(log(storage)).version != before
    assert texts_of(searchable(storage)) == first_seen[NIGHTS[-2]]
