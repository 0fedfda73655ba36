"""What a person sees from night to night, through the console script."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from index_store.embedders.registry import open_embedder
from index_store.records import Hit
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot
from index_store.storage.folder import FolderStorage
from tests.support.command_line import CommandLine
from tests.support.small_sources import BROKEN_PDF, pdf, prose, touch, write

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "documents"
NOTHING_EMBEDDED = {"texts": 0, "tokens": 0, "requests": 0}


def run(nightpress: CommandLine, *words: str, **more: str) -> dict[str, Any]:
    return nightpress("run", "--json", *words, **more).json


def documents(report: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in report["documents"].items() if count}


def hits(store: Path, question: str, count: int) -> tuple[Hit, ...]:
    opened = open_embedder("hashing")
    with Snapshot.open(FolderStorage(store), "documents") as snapshot:
        asked = Question(text=question, vector=opened.embed([question])[0])
        return snapshot.search(asked, SearchOptions(k=count, near_duplicates=True))


def uris(store: Path, topic: str, count: int = 1) -> list[str]:
    return [hit.uri for hit in hits(store, f"Sentence 2 of {topic} says what", count)]


def first_text(store: Path, topic: str) -> str:
    return hits(store, f"Sentence 2 of {topic} says what the {topic}", 1)[0].text


def embedded(report: dict[str, Any]) -> dict[str, int]:
    return {name: report["embedding"][name] for name in NOTHING_EMBEDDED}


def shard_hashes(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.glob("documents/shards/*/*"))
    }


@pytest.mark.slow
def test_only_what_changed_is_done(nightpress: CommandLine, source: Path, store: Path):
    for topic in ("wages", "tides", "birds", "steam", "bread"):
        write(source / f"{topic}.txt", prose(topic))
    assert documents(run(nightpress)) == {"added": 5}

    touch(source / "wages.txt")
    touched = run(nightpress)
    assert touched["unchanged"] is True
    assert documents(touched) == {"kept": 5}

    write(source / "new.txt", prose("comets"))
    (source / "tides.txt").write_text(prose("moons"))
    os.utime(source / "tides.txt", ns=(1_000_000_000, 1_000_000_000))  # older than before
    (source / "deep").mkdir()
    (source / "birds.txt").rename(source / "deep" / "owls.txt")
    (source / "steam.txt").unlink()
    changed = run(nightpress)
    assert documents(changed) == {"added": 1, "changed": 1, "moved": 1, "removed": 1, "kept": 2}
    assert uris(store, "birds") == ["deep/owls.txt"]
    assert "moons" in first_text(store, "moons")
    for gone in ("tides", "steam"):
        assert gone not in first_text(store, gone)

    (source / "deep" / "owls.txt").rename(source / "owls.txt")
    moved = run(nightpress)
    assert documents(moved) == {"moved": 1, "kept": 4}
    assert moved["chunks"]["new"] == 0
    assert embedded(moved) == NOTHING_EMBEDDED
    assert uris(store, "birds") == ["owls.txt"]


@pytest.mark.slow
def test_a_document_that_fails_keeps_its_last_good_chunks_unless_told_otherwise(
    nightpress: CommandLine, source: Path, store: Path
):
    write(source / "wages.txt", prose("wages"))
    write(source / "report.pdf", pdf(prose("report")))
    run(nightpress)
    write(source / "report.pdf", BROKEN_PDF)
    failed = run(nightpress)
    assert documents(failed) == {"rejected": 1, "kept": 1}
    assert "last good chunks serve" in failed["rejections"][0]["detail"]
    assert uris(store, "report") == ["report.pdf"]
    dropped = run(nightpress, "--retry-rejected", "--set", "keep_last_good=false")
    assert dropped["rejections"][0]["attempts"] == 2
    assert "report.pdf" not in uris(store, "report", 5)

    write(source / "report.pdf", pdf(prose("report")))
    repaired = run(nightpress)
    assert documents(repaired) == {"changed": 1, "kept": 1}
    assert embedded(repaired) == NOTHING_EMBEDDED
    assert uris(store, "report") == ["report.pdf"]


@pytest.mark.slow
def test_a_full_build_embeds_nothing_and_gives_the_bytes_of_a_fresh_store(
    nightpress: CommandLine, source: Path, store: Path, tmp_path: Path
):
    shutil.copytree(EXAMPLES / "en", source, dirs_exist_ok=True)
    first = run(nightpress, "--set", "parse_workers=1")
    shards = shard_hashes(store)
    full = run(nightpress, "--full", "--set", "parse_workers=3")
    assert embedded(full) == NOTHING_EMBEDDED
    assert full["version"] != first["version"]
    assert full["chunks"]["total"] == first["chunks"]["total"]
    assert full["chunks"]["dead"] == 0
    assert shard_hashes(store) == shards
    other = tmp_path / "other"
    moved = tmp_path / "elsewhere"
    shutil.copytree(source, moved)
    run(nightpress.as_script(), "--source", str(moved), "--store", str(other))
    assert shard_hashes(other) == shards


@pytest.mark.slow
def test_another_embedder_rebuilds_and_going_back_embeds_nothing(
    nightpress: CommandLine, source: Path, store: Path
):
    write(source / "wages.txt", prose("wages"))
    write(source / "bad.pdf", BROKEN_PDF)
    first = run(nightpress)
    other = ("--embedder", "hashing:64")
    planned = nightpress("plan", *other, "--json").json
    assert planned["rebuild"].startswith("embedder differs, it was hashing/")
    assert [each["uri"] for each in planned["reembedded"]] == ["wages.txt"]
    assert planned["estimate"]["chunks"] == first["chunks"]["total"]
    assert planned["estimate"]["tokens"] == first["embedding"]["tokens"]
    switched = run(nightpress, *other)
    assert documents(switched) == {"reembedded": 1, "rejected": 1}
    assert switched["embedding"]["texts"] == first["embedding"]["texts"]
    assert switched["chunks"]["total"] == first["chunks"]["total"]
    found = nightpress("search", "Sentence 2 of wages says what", "-k", "1", "--json").json
    assert found["hits"][0]["uri"] == "wages.txt"
    back = run(nightpress)
    assert embedded(back) == NOTHING_EMBEDDED
    assert back["unchanged"] is False
    assert uris(store, "wages") == ["wages.txt"]


def own_lines(store: Path) -> dict[str, str]:
    """The longest line of the first chunk of every document."""
    lines: dict[str, str] = {}
    for path in store.glob("documents/shards/*/chunks.arrow"):
        with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
            table = reader.read_all()
        for uri, text in zip(
            *(table.column(name).to_pylist() for name in ("uri", "text")), strict=True
        ):
            lines.setdefault(uri, max(text.splitlines(), key=len)[:400])
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["hashing", "offline"])
def test_a_sentence_of_a_document_finds_it_first(
    nightpress: CommandLine, source: Path, store: Path, embedder: str
):
    shutil.copytree(EXAMPLES, source, dirs_exist_ok=True)
    report = run(nightpress, "--embedder", embedder)
    assert report["documents"]["rejected"] == 1, "the one that is broken on purpose"
    lines = own_lines(store)
    assert len(lines) == report["documents"]["added"]
    opened = open_embedder(embedder)
    vectors = opened.embed(list(lines.values()))
    missed = {}
    with Snapshot.open(FolderStorage(store), "documents") as snapshot:
        for (uri, line), vector in zip(lines.items(), vectors, strict=True):
            asked = Question(text=line, vector=vector)
            (hit,) = snapshot.search(asked, SearchOptions(k=1, near_duplicates=True))
            if hit.uri != uri:
                missed[uri] = line
    assert not missed


@pytest.mark.slow
def test_names_of_the_system_taken_over_still_work(
    nightpress: CommandLine, source: Path, tmp_path: Path
):
    write(source / "wages.txt", prose("wages"))
    for name in ("NIGHTPRESS_SOURCE", "NIGHTPRESS_STORE"):
        del nightpress.environment[name]
    old = {"DOCS_DIR": str(source), "VECTOR_INDEX_DIR": str(tmp_path / "old"), "HNSW_M": "16"}
    ended = nightpress("run", "--json", FORCE_INITIAL="true", MAX_LOADERS="1", **old)
    assert ended.json["documents"]["added"] == 1
    for name in (*old, "FORCE_INITIAL", "MAX_LOADERS"):
        assert ended.err.count(f"{name} is accepted") == 1
    refused = nightpress("run", code=2, EMBED_DIM="1024", **old)
    assert "EMBED_DIM" in refused.err
