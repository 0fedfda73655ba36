"""The command that compacts: what it says is due, what it did, and that the engine runs it."""

from pathlib import Path

import orjson
import pytest

from flows.compacting import run_compact
from flows.settings import Settings
from index_store.collections import collection_status
from index_store.storage.folder import FolderStorage
from tasks.stages.run_records import RunEnd, read_records
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, again, options_for, prose, searchable, write

NIGHTS = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of as many small shards as become one."""
    folder = tmp_path_factory.mktemp("compacting")
    options = options_for(folder / "source", str(folder / "store"))
    for number in range(NIGHTS):
        write(folder / "source" / f"{number}.txt", prose(f"topic{number}"))
        options = again(options)
        run_plainly(options)
    return folder / "store"


def settings(store: Path) -> Settings:
    return Settings(store=str(store), collection=COLLECTION)


def shards(store: Path) -> int:
    return collection_status(FolderStorage(store), COLLECTION, now_ms=0).shards


def test_a_dry_run_says_what_is_due(store: Path, capsys: pytest.CaptureFixture[str]):
    run_compact(settings(store), dry_run=True, as_json=False)
    due, change = capsys.readouterr().out.splitlines()
    rows = collection_status(FolderStorage(store), COLLECTION, now_ms=0).counts.chunks_live
    assert due == f"rewrite 4 shards, {rows} live rows: shards of one size"
    assert change == f"4 shards become 1, {rows} rows would be written"
    assert shards(store) == NIGHTS


def test_a_dry_run_says_it_to_machines(store: Path, capsys: pytest.CaptureFixture[str]):
    run_compact(settings(store), dry_run=True, as_json=True)
    told = orjson.loads(capsys.readouterr().out)
    assert told["dry_run"]
    assert (told["shards_before"], told["shards_after"]) == (4, 1)
    assert told["version"] == told["parent"]


def test_a_dry_run_tells_shards_with_other_settings(
    store: Path, capsys: pytest.CaptureFixture[str]
):
    other = Settings(store=str(store), collection=COLLECTION, hnsw_m=16)
    run_compact(other, dry_run=True, rebuild_graph=True, as_json=False)
    assert "4 shards become 4" in capsys.readouterr().out
    run_compact(settings(store), dry_run=True, rebuild_graph=True, as_json=False)
    assert "nothing is due" in capsys.readouterr().out


@pytest.mark.slow
def test_the_flow_compacts(store: Path, capsys: pytest.CaptureFixture[str]):
    before = searchable(FolderStorage(store))
    run_compact(settings(store), dry_run=False, as_json=True)
    told = orjson.loads(capsys.readouterr().out)
    assert told["promoted"]
    assert shards(store) == 1
    assert searchable(FolderStorage(store)) == before
    (record,) = read_records(FolderStorage(store), COLLECTION, 9)
    assert (record.flow, record.end, record.promoted) == ("compact", RunEnd.PUBLISHED, True)
    assert record.version == told["version"]
    run_compact(settings(store), dry_run=False, as_json=False)
    assert "nothing is due" in capsys.readouterr().out
