"""The real command, killed or interrupted at every stage, then typed again."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from index_store.embedders.hashing import HashingEmbedder
from index_store.embeddings import EmbeddingStore
from index_store.snapshot import Snapshot
from index_store.storage.folder import FolderStorage
from tests.support.command_line import CommandLine
from tests.support.small_sources import prose, write

# What standard error says when a run is about to do, or has just done, something.
POINTS = (
    "plan ",
    "parse     8/30",
    "embed     2/4",
    "build",
    "publish",
)
COLLECTION = "documents"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for number in range(30):
        write(folder / f"{number:02d}.txt", prose(f"topic {number}", 12))
    return folder


def words(source: Path, store: Path) -> list[str]:
    return ["run", "--source", str(source), "--store", str(store), "--embedder", "hashing"]


def chunks(store: Path) -> list[tuple[str, str]]:
    embedder = HashingEmbedder()
    with Snapshot.open(FolderStorage(store), COLLECTION) as snapshot:
        hits = snapshot.nearest(embedder.embed(["anything"])[0], snapshot.rows)
        return sorted((hit.uri, hit.text) for hit in hits)


def stored_texts(store: Path) -> int:
    spec = HashingEmbedder().spec
    vectors = EmbeddingStore(FolderStorage(store), spec.id, spec.dimension)
    vectors.refresh()
    return vectors.texts


def parse_seconds(store: Path) -> dict[str, set[float]]:
    """How long each document took, by every checkpoint that tells of it."""
    seconds: dict[str, set[float]] = {}
    for path in store.glob(f"{COLLECTION}/runs/*/parsed/*.json"):
        for document in orjson.loads(path.read_bytes())["documents"]:
            seconds.setdefault(document["uri"], set()).add(document["seconds"])
    return seconds


@pytest.mark.slow
def test_a_run_killed_at_every_stage_does_nothing_twice(
    nightpress: CommandLine, source: Path, tmp_path: Path
):
    undisturbed, store = tmp_path / "undisturbed", tmp_path / "store"
    nightpress(*words(source, undisturbed))
    for point in POINTS:
        run = nightpress.start(*words(source, store))
        run.wait_for(point)
        run.kill()
    seconds = parse_seconds(store)
    assert len(seconds) == 30
    finished_twice = [uri for uri, times in seconds.items() if len(times) > 1]
    assert not finished_twice, "a finished document was parsed again"
    last = nightpress(*words(source, store), "--json").json
    assert last["promoted"]
    assert last["embedding"]["texts"] == 0
    assert chunks(store) == chunks(undisturbed)
    assert stored_texts(store) == stored_texts(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["start", "parse"])
def test_ctrl_c_ends_at_once_with_one_line_and_the_next_run_goes_on(
    nightpress: CommandLine, source: Path, tmp_path: Path, point: str
):
    store = tmp_path / "store"
    run = nightpress.start(*words(source, store))
    run.wait_for(point)
    ended = run.interrupt()
    assert ended.code == 1
    told = ended.err.splitlines()[len(run.lines) :]
    assert told[-1] == "nightpress: interrupted; the same command goes on from here"
    assert "Error" not in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    before = stored_texts(store)
    report = nightpress(*words(source, store), "--json").json
    assert report["promoted"]
    assert stored_texts(store) == before + report["embedding"]["texts"]


@pytest.mark.slow
def test_without_a_server_a_kill_leaves_nothing_behind_and_ctrl_c_is_clean(
    nightpress: CommandLine, source: Path, tmp_path: Path
):
    with_server = replace(nightpress, environment=dict(nightpress.environment))
    del nightpress.environment["PREFECT_API_URL"]
    killed = nightpress.as_script().start(*words(source, tmp_path / "store"))
    killed.wait_for("parse")
    killed.kill()
    stopped = nightpress.start(*words(source, tmp_path / "store"))
    stopped.wait_for("build")
    ended = stopped.interrupt()
    assert ended.code == 1
    assert "interrupted" in ended.err
    assert "Error" not in ended.err
    done = with_server(*words(source, tmp_path / "store"), "--json").json
    assert done["promoted"]
    assert done["embedding"]["texts"] == 0
