"""Compaction: the same chunks from fewer shards, no text embedded, and a loser when two race."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from index_store.catalog_files import load_catalog
from index_store.collections import collection_status, load_manifest
from index_store.embedders import registry
from index_store.errors import ConflictError, CorruptArtifactError, NotFoundError
from index_store.log import CommitLog
from index_store.log_records import LogState
from index_store.manifest import HnswSettings, Manifest
from index_store.publisher import promote
from index_store.shard_options import RecallOptions
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from tasks.stages.compacting import Cause, CompactOptions, Merge, compaction_due
from tasks.stages.compaction import compact_shards
from tasks.stages.compaction_end import CompactionReport
from tasks.stages.compaction_run import (
    CompactRunOptions,
    compaction_site,
    plan_work,
)
from tasks.stages.run_options import BuildOptions
from tests.support.plain_compaction import compact_plainly
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    COLLECTION,
    again,
    options_for,
    prose,
    searchable,
    write,
)

_stores = count(1)
EAGER = CompactOptions(fan_in=2, max_small=1, dead_share=0.1)


class House:
    """A source, its nights, and the compactions of its store."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.url = f"memory://compaction-{next(_stores)}"
        self.nights = options_for(source, self.url)

    @property
    def storage(self) -> Storage:
        return open_storage(self.url)

    @property
    def state(self) -> LogState:
        return CommitLog(self.storage, COLLECTION).read()

    @property
    def production(self) -> str:
        return self.state.channels["production"]

    @property
    def manifest(self) -> Manifest:
        return load_manifest(self.storage, self.state.versions[self.production])

    def night(self, **documents: str) -> None:
        for name, topic in documents.items():
            path = self.source / f"{name}.txt"
            if topic:
                write(path, prose(topic))
            else:
                path.unlink()
        self.nights = again(self.nights)
        run_plainly(self.nights, self.storage)

    def compact(
        self,
        build: BuildOptions | None = None,
        before_publish: Callable[[], object] = lambda: None,
        **fields: object,
    ) -> CompactionReport:
        return compact_plainly(self.options(build, **fields), before_publish)

    def options(self, build: BuildOptions | None = None, **fields: object) -> CompactRunOptions:
        values: dict[str, object] = {"bounds": EAGER, "build": build or BuildOptions()}
        return CompactRunOptions(
            run=f"compact-{next(_stores)}",
            store=self.url,
            collection=COLLECTION,
            **(values | fields),  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> House:
    made = House(tmp_path_factory.mktemp("pattern"))
    made.night(a="tides", b="wages", c="birds", d="steam")
    made.night(b="rents", e="rails")
    made.night(a="", f="mills")
    (made.source / "c.txt").rename(made.source / "moved.txt")
    made.night()
    return made


@pytest.fixture
def house(pattern: House, tmp_path: Path) -> House:
    """A house of its own with everything that the pattern has."""
    made = House(shutil.copytree(pattern.source, tmp_path / "source"))
    for entry in pattern.storage.list(""):
        made.storage.put(entry.key, pattern.storage.read(entry.key))
    return made


def test_the_same_chunks_are_searchable_from_one_shard(house: House):
    before, manifest = searchable(house.storage), house.manifest
    assert len(manifest.shards) == 3
    assert manifest.relocations is not None
    report = house.compact()
    after = house.manifest
    assert searchable(house.storage) == before
    assert (report.shards_before, report.shards_after, len(after.shards)) == (3, 1, 1)
    assert report.promoted
    assert report.version == house.production
    assert all(finding.passed for finding in report.findings)
    assert after.parent == report.parent
    assert after.shards[0].deletions is None
    assert after.relocations is None
    assert after.counts == replace(manifest.counts, chunks_dead=0)


def test_no_text_is_embedded(house: House, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an embedder was opened")

    monkeypatch.setattr(registry, "open_embedder", refuse)
    stored = [entry.key for entry in house.storage.list("embeddings/")]
    assert house.compact().rows_written
    assert [entry.key for entry in house.storage.list("embeddings/")] == stored


def test_a_compaction_needs_no_stored_embeddings(house: House):
    before = searchable(house.storage)
    for entry in list(house.storage.list("embeddings/")):
        house.storage.delete(entry.key)
    assert house.compact().promoted
    assert searchable(house.storage) == before


def test_nothing_is_due_twice(house: House):
    first = house.compact()
    second = house.compact()
    assert second.merges == ()
    assert second.version == first.version


def test_the_next_night_goes_on_from_the_compacted_version(house: House):
    house.compact()
    version = house.production
    house.night()
    assert house.production == version, "an unchanged source makes no version"
    house.night(d="", g="looms")
    fresh = House(house.source)
    fresh.night()
    assert searchable(house.storage) == searchable(fresh.storage)
    assert house.manifest.counts.chunks_live == fresh.manifest.counts.chunks_live


def test_the_catalog_says_where_the_chunks_are_now(house: House):
    house.compact()
    (entry,) = house.manifest.shards
    records = list(load_catalog(house.storage, house.manifest).records())
    assert {record.shard for record in records} == {entry.id}
    assert all(record.shard_uri == record.uri for record in records)
    assert sum(record.chunks for record in records) == entry.rows


def test_a_repeated_compaction_gives_the_same_shard(house: House):
    parent = house.production
    first = house.compact(promote=False)
    promote(CommitLog(house.storage, COLLECTION), parent)
    second = house.compact(promote=False)
    state = house.state
    shards = [
        load_manifest(house.storage, state.versions[report.version]).shards
        for report in (first, second)
    ]
    assert shards[0] == shards[1]


def test_without_promotion_production_stays(house: House):
    parent = house.production
    report = house.compact(promote=False)
    assert not report.promoted
    assert house.production == parent
    assert house.state.channels["candidate"] == report.version


def test_the_graph_is_rebuilt_with_other_settings(house: House):
    before = searchable(house.storage)
    build = BuildOptions(m=12, ef_construction=50, storage="fp16")
    report = house.compact(build, rebuild_graph=True)
    assert report.shards_after == 3
    for entry in house.manifest.shards:
        assert entry.hnsw == HnswSettings(m=12, ef_construction=50)
        assert entry.storage == "fp16"
    assert searchable(house.storage) == before
    assert house.compact(build, rebuild_graph=True).merges == ()


def test_vectors_that_a_shard_rounded_off_come_from_what_was_paid_for(house: House):
    before = searchable(house.storage)
    house.compact(BuildOptions(storage="sq8"), rebuild_graph=True)
    assert {entry.storage for entry in house.manifest.shards} == {"sq8"}
    house.compact(BuildOptions(storage="flat"))
    (entry,) = house.manifest.shards
    assert entry.storage == "flat"
    assert searchable(house.storage) == before
    direct = House(house.source)
    direct.night()
    assert entry.rows == direct.manifest.shards[0].rows


def test_a_night_that_publishes_first_wins(house: House):
    with pytest.raises(ConflictError, match="candidate"):
        house.compact(before_publish=lambda: house.night(g="looms"))
    winner = house.production
    assert house.state.versions[winner].run == house.nights.run
    report = house.compact()
    assert report.parent == winner
    assert report.promoted


def test_a_compaction_that_publishes_first_wins(house: House):
    manifest = house.manifest
    with pytest.raises(ConflictError, match="candidate"):
        house.compact(before_publish=house.compact)
    assert house.manifest.counts == replace(manifest.counts, chunks_dead=0)
    assert len(house.manifest.shards) == 1


def test_a_promotion_meanwhile_is_not_undone(house: House):
    first = house.manifest.parent
    assert first is not None
    log = CommitLog(house.storage, COLLECTION)
    with pytest.raises(ConflictError, match="production"):
        house.compact(before_publish=lambda: promote(log, first))
    assert house.production == first


def test_a_shard_of_dead_rows_alone_goes(house: House):
    work = plan_work(house.storage, house.options())
    merge = Merge(shards=(), rows=0, parts=0, causes=(Cause.DEAD,))
    site = compaction_site(house.storage, house.options(), house.manifest)
    catalog = load_catalog(house.storage, house.manifest)
    assert compact_shards(site, house.manifest, catalog, merge, avoid=work.avoid) == []


def test_a_new_shard_avoids_retired_ids(house: House):
    (merge,) = plan_work(house.storage, house.options()).plan.merges
    site = compaction_site(house.storage, house.options(), house.manifest)
    catalog = load_catalog(house.storage, house.manifest)
    (usual,) = compact_shards(site, house.manifest, catalog, merge, avoid=frozenset())
    retired = frozenset({usual.entry.id})
    (other,) = compact_shards(site, house.manifest, catalog, merge, avoid=retired)
    assert other.entry.id != usual.entry.id
    assert {place.shard for place in other.placements} == {other.entry.id}


def test_a_new_shard_is_never_taken_for_one_whose_rows_go_by_another_name(tmp_path: Path):
    made = House(tmp_path)
    made.night(a="tides")
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    made.night()
    made.night(a="tides", c="wages")
    made.night(c="")
    before = searchable(made.storage)
    report = made.compact(bounds=CompactOptions(fan_in=64, dead_share=0.1))
    assert report.promoted
    assert report.shards_after == 2
    assert searchable(made.storage) == before


def test_many_rows_become_several_shards_and_no_document_is_torn(house: House):
    before = searchable(house.storage)
    (merge,) = plan_work(house.storage, house.options()).plan.merges
    site = compaction_site(house.storage, house.options(), house.manifest)
    catalog = load_catalog(house.storage, house.manifest)
    built = compact_shards(
        site, house.manifest, catalog, replace(merge, parts=3), avoid=frozenset()
    )
    assert len(built) == 3
    placed = [place.uri for shard in built for place in shard.placements]
    assert len(placed) == len(set(placed)) == len({uri for uri, _, _ in before})


def test_a_catalog_that_disagrees_with_the_shards_is_told(house: House):
    (merge,) = plan_work(house.storage, house.options()).plan.merges
    site = compaction_site(house.storage, house.options(), house.manifest)
    catalog = load_catalog(house.storage, house.manifest)
    wrong = replace(merge, rows=merge.rows + 1)
    with pytest.raises(CorruptArtifactError, match="lay claim to"):
        compact_shards(site, house.manifest, catalog, wrong, avoid=frozenset())


def test_large_versions_say_how_their_shards_are_searched(house: House):
    build = BuildOptions(exact_rows=0, recall=RecallOptions(questions=20))
    report = house.compact(build)
    (entry,) = house.manifest.shards
    told = {finding.check: finding.message for finding in report.findings}
    assert told[f"recall {entry.id[:12]}"] == "1.0 at efSearch 64, used"
    assert entry.search is not None
    assert entry.search.built_recall == entry.search.recall == 1.0
    assert not entry.searched_exactly


def test_a_person_is_told_when_compaction_is_due(house: House):
    told = compaction_due(house.manifest.shards, EAGER)
    assert len(told) == 1
    assert told[0].startswith("compaction is due: 3 shards, ")
    house.compact()
    assert compaction_due(house.manifest.shards, EAGER) == ()


def test_a_collection_that_does_not_exist_is_told(house: House):
    options = replace(house.options(), collection="other")
    with pytest.raises(NotFoundError, match="'other' does not exist"):
        compact_plainly(options)


def test_checkpoints_are_cleared(house: House):
    house.compact()
    assert not list(house.storage.list(f"{COLLECTION}/runs/compact-"))
    assert collection_status(house.storage, COLLECTION, now_ms=0).shards == 1
