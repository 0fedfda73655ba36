"""The merge policy: why shards are rewritten, and the bounds that hold whatever happens."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_store.artifacts import Artifact
from index_store.errors import UsageError
from index_store.lexical.analysis import ANALYSIS, FIRST_ANALYSIS
from index_store.manifest import HnswSettings, LexicalFiles, SearchMode, ShardEntry, ShardSearch
from tasks.stages.compacting import (
    Cause,
    CompactOptions,
    Merge,
    plan_compaction,
    plan_rebuild,
)

OPTIONS = CompactOptions(max_rows=10_000, fan_in=4, max_small=8, dead_share=0.3)
FILE = Artifact(key="docs/x", size_bytes=1, sha256="0" * 64)


def shard(
    name: str, rows: int, dead: int = 0, recall: float | None = None, built: float | None = 0.99
) -> ShardEntry:
    search = None
    if recall is not None:
        mode = SearchMode.HNSW if recall >= 0.95 else SearchMode.EXACT
        search = ShardSearch(mode=mode, ef_search=64, recall=recall, built_recall=built, dead=dead)
    return ShardEntry(
        id=name,
        rows=rows,
        dead=dead,
        dimension=8,
        hnsw=HnswSettings(),
        index=FILE,
        chunks=FILE,
        deletions=FILE if dead else None,
        search=search,
        documents=FILE,
        lexical=LexicalFiles(analysis=ANALYSIS, languages=("en",), files=(FILE,)),
    )


def merges(*shards: ShardEntry) -> list[tuple[tuple[str, ...], tuple[Cause, ...]]]:
    plan = plan_compaction(shards, OPTIONS)
    return [(merge.shards, merge.causes) for merge in plan.merges]


def test_a_large_shard_and_a_few_small_ones_stay():
    shards = [shard("base", 9000), shard("a", 500), shard("b", 90), shard("c", 91)]
    plan = plan_compaction(shards, OPTIONS)
    assert plan.is_empty
    assert plan.kept == ("base", "a", "b", "c")
    assert plan.shards_after == 4


def test_shards_of_one_size_become_one():
    sizes = {"a": 100, "b": 90, "c": 110, "d": 95}
    assert merges(*(shard(name, rows) for name, rows in sizes.items())) == [
        (("a", "b", "c", "d"), (Cause.TIER,))
    ]


def test_what_is_merged_may_be_merged_further():
    small = [shard(f"s{n}", 100) for n in range(4)]
    larger = [shard(f"l{n}", 400) for n in range(3)]
    (merge,) = plan_compaction([*larger, *small], OPTIONS).merges
    assert merge.rows == 1600
    assert len(merge.shards) == 7


def test_a_full_shard_is_never_merged():
    assert merges(*(shard(f"f{n}", 5000) for n in range(20))) == []


def test_a_share_of_dead_rows_rewrites_a_shard_by_itself():
    assert merges(shard("base", 9000, dead=2699), shard("a", 100)) == []
    assert merges(shard("base", 9000, dead=2700), shard("a", 100)) == [(("base",), (Cause.DEAD,))]


def test_recall_that_deletions_ruined_rewrites_a_shard():
    ruined = shard("base", 9000, dead=180, recall=0.8)
    assert merges(ruined) == [(("base",), (Cause.RECALL,))]
    assert merges(shard("base", 9000, dead=180, recall=0.96)) == []


def test_recall_that_a_rebuild_would_not_mend_rewrites_nothing():
    assert merges(shard("base", 9000, dead=180, recall=0.8, built=0.9)) == []


def test_recall_rewrites_nothing_that_hardly_any_deletion_pays_for():
    assert merges(shard("base", 9000, dead=80, recall=0.8)) == []


def test_too_many_small_shards_are_merged_from_the_smallest():
    spread = [shard(f"s{n}", 3 * 4**n) for n in range(6)]  # all of different tiers
    doubled = [*spread, *(shard(f"t{n}", 3 * 4**n) for n in range(6))]
    plan = plan_compaction(doubled, OPTIONS)
    assert plan.shards_after <= OPTIONS.max_small
    (merge,) = plan.merges
    assert merge.causes == (Cause.NUMBER,)
    assert set(merge.shards) == {"s0", "t0", "s1", "t1", "s2"}


def test_more_rows_than_a_shard_holds_are_parted():
    plan = plan_compaction([shard(f"s{n}", 4900) for n in range(4)], OPTIONS)
    (merge,) = plan.merges
    assert (merge.rows, merge.parts) == (19_600, 2)


def test_a_shard_without_live_rows_goes():
    (merge,) = plan_compaction([shard("gone", 100, dead=100)], OPTIONS).merges
    assert merge == Merge(shards=("gone",), rows=0, parts=0, causes=(Cause.DEAD,))


def test_a_rebuild_rewrites_what_has_other_settings_and_nothing_else():
    other = HnswSettings(m=16)
    shards = [shard("a", 100, dead=90), shard("b", 200)]
    plan = plan_rebuild(shards, other, "flat", OPTIONS)
    assert [merge.shards for merge in plan.merges] == [("a",), ("b",)]
    assert {merge.causes for merge in plan.merges} == {(Cause.REBUILD,)}
    assert plan_rebuild(shards, HnswSettings(), "flat", OPTIONS).is_empty
    assert len(plan_rebuild(shards, HnswSettings(), "fp16", OPTIONS).merges) == 2


def test_a_rebuild_gives_old_shards_the_files_that_they_lack():
    whole = shard("whole", 100)
    assert whole.lexical
    older = replace(whole.lexical, analysis=FIRST_ANALYSIS)
    shards = [
        whole,
        replace(whole, id="a", lexical=None),
        replace(whole, id="b", documents=None),
        replace(whole, id="c", lexical=older),
    ]
    plan = plan_rebuild(shards, HnswSettings(), "flat", OPTIONS)
    assert [merge.shards for merge in plan.merges] == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize(
    "options", [{"fan_in": 1}, {"max_small": 0}, {"dead_share": 0.0}, {"max_rows": 0}]
)
def test_options_out_of_bounds_are_refused(options: dict[str, float]):
    with pytest.raises(UsageError, match=r"must be in \["):
        CompactOptions(**options)


shards_strategy = st.lists(
    st.tuples(st.integers(1, 12_000), st.floats(0, 1), st.sampled_from((None, 0.5, 0.99))),
    max_size=40,
)


def drawn(sizes: Sequence[tuple[int, float, float | None]]) -> list[ShardEntry]:
    return [
        shard(f"s{number}", rows, dead=int(rows * share), recall=recall)
        for number, (rows, share, recall) in enumerate(sizes)
    ]


@settings(max_examples=200)
@given(shards_strategy)
def test_every_shard_is_kept_or_merged_once_and_the_bounds_hold(
    sizes: list[tuple[int, float, float | None]],
):
    shards = drawn(sizes)
    plan = plan_compaction(shards, OPTIONS)
    merged = [name for merge in plan.merges for name in merge.shards]
    assert sorted([*plan.kept, *merged]) == sorted(entry.id for entry in shards)
    live = {entry.id: entry.live for entry in shards}
    after = [live[name] for name in plan.kept] + [
        merge.rows / merge.parts for merge in plan.merges for _ in range(merge.parts)
    ]
    small = [rows for rows in after if 2 * rows < OPTIONS.max_rows]
    assert len(small) <= OPTIONS.max_small
    assert len(after) - len(small) <= 2 * sum(live.values()) / OPTIONS.max_rows
    kept = [entry for entry in shards if entry.id in plan.kept]
    assert all(entry.dead < OPTIONS.dead_share * entry.rows for entry in kept)
    assert all(merge.causes for merge in plan.merges)


@settings(max_examples=60)
@given(shards_strategy)
def test_nothing_is_due_after_a_compaction(sizes: list[tuple[int, float, float | None]]):
    shards = drawn(sizes)
    plan = plan_compaction(shards, OPTIONS)
    kept = [entry for entry in shards if entry.id in plan.kept]
    new = [
        shard(f"n{number}-{part}", ceil(merge.rows / merge.parts), recall=0.99)
        for number, merge in enumerate(plan.merges)
        for part in range(merge.parts)
    ]
    again = plan_compaction([*kept, *new], OPTIONS)
    assert {cause for merge in again.merges for cause in merge.causes} <= {Cause.TIER}


@pytest.mark.parametrize("delta", [1, 7, 50, 200])
def test_rows_written_stay_proportional_to_the_change(delta: int):
    nights, live, written = 400, {}, 0
    for night in range(nights):
        live[f"d{night}"] = delta
        written += delta
        plan = plan_compaction([shard(name, rows) for name, rows in live.items()], OPTIONS)
        for number, merge in enumerate(plan.merges):
            for name in merge.shards:
                del live[name]
            live[f"m{night}-{number}"] = merge.rows
            written += merge.rows
        assert len(live) <= OPTIONS.max_small + 2 * sum(live.values()) / OPTIONS.max_rows
    tiers = ceil(log(OPTIONS.max_rows / delta, OPTIONS.fan_in))
    assert written <= nights * delta * (1 + tiers)
