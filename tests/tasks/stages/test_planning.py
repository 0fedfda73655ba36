import os
from pathlib import Path

from index_store.embedders.registry import open_embedder
from index_store.storage.memory import MemoryStorage
from tasks.stages.listing import ScanOptions, Source
from tasks.stages.parsing.limits import Limits
from tasks.stages.planning import Planned, choose_base, list_sources, make_plan
from tasks.stages.run_options import EmbedOptions, RunOptions


def options(root: Path, limits: Limits) -> RunOptions:
    return RunOptions(
        run="r1",
        store="memory://planning",
        collection="documents",
        sources=(Source(root=root),),
        scan=ScanOptions(extensions=frozenset({".txt"})),
        embed=EmbedOptions(spec="hashing"),
        limits=limits,
    )


def plan(root: Path, limits: Limits) -> Planned:
    told = options(root, limits)
    base = choose_base(MemoryStorage("planning"), "documents")
    return make_plan(told, base, list_sources(told), open_embedder("hashing").spec)


def test_a_giant_is_known_by_size_and_time_and_not_read(tmp_path: Path):
    small, giant = tmp_path / "small.txt", tmp_path / "giant.txt"
    small.write_text("text")
    giant.touch()
    os.truncate(giant, 1 << 40)  # sparse: to read it would take the better part of an hour
    planned = plan(tmp_path, Limits(file_bytes=1000)).plan
    hashes = {item.uri: item.content_hash for item in planned.items}
    assert len(hashes["giant.txt"]) == len(hashes["small.txt"]) == 64
    os.utime(giant, ns=(1, 1))
    again = {
        item.uri: item.content_hash for item in plan(tmp_path, Limits(file_bytes=1000)).plan.items
    }
    assert again["small.txt"] == hashes["small.txt"]
    assert again["giant.txt"] != hashes["giant.txt"]


def test_raising_a_limit_changes_only_the_key_of_attempts(tmp_path: Path):
    (tmp_path / "a.txt").write_text("text")
    before = plan(tmp_path, Limits(wall_s=10)).keys["a.txt"]
    after = plan(tmp_path, Limits(wall_s=20)).keys["a.txt"]
    assert before.indexing == after.indexing
    assert before.attempt != after.attempt
