"""Erasing takes a document out of what is served at once; a purge takes it out of every object."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index_store.catalog_files import load_catalog
from index_store.certificate import certify
from index_store.embedders.hashing import HashingEmbedder
from index_store.embeddings import EmbeddingStore
from index_store.errors import ConflictError, IndexStoreError, NotFoundError, UsageError
from index_store.ids import text_hash
from index_store.layout import evaluation_key, figures_page_key, history_key, page_key
from index_store.log import CommitLog
from index_store.publisher import pin, promote
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.traces import find_traces
from tasks.stages.erasing import (
    check_known,
    erase,
    holders,
    served_version,
    still_in_source,
)
from tasks.stages.erasure_report import ErasureReport, PurgeReport, purge_and_certify
from tasks.stages.listing import Source
from tasks.stages.purging import purge
from tests.support.plain_run import Trace, run_plainly
from tests.support.small_sources import (
    COLLECTION,
    DIMENSION,
    Searchable,
    again,
    options_for,
    prose,
    searchable,
    trusted,
    write,
)
from tests.support.sweeps import places, sampled

NOW_MS = 1_800_000_000_000
COMMON = "This paragraph of boilerplate stands in two documents word for word, as they often do."


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for topic in ("moss", "rain", "tin", "wool"):
        write(folder / f"{topic}.txt", prose(topic))
    return folder


def years(source: Path, storage: Storage) -> None:
    """Three nights in which one document comes, changes and moves among others."""
    options = options_for(source)
    write(source / "bees.txt", prose("bees"))
    run_plainly(options, storage)
    write(source / "bees.txt", prose("bees", 6) + "\n\n" + COMMON)
    write(source / "common.txt", COMMON)
    run_plainly(again(options), storage)
    (source / "bees.txt").rename(source / "hive.txt")
    write(source / "tin.txt", prose("copper"))
    run_plainly(again(options), storage)


def what_is_left(storage: Storage, names: tuple[str, ...] = ("hive.txt", "bees.txt")) -> list[str]:
    """Objects with a sentence about bees or a name, found without any code of the product."""
    needles = [b"of bees says", b"the bees rule", *(name.encode() for name in names)]
    found = []
    for entry in storage.list(""):
        data = storage.read(entry.key)
        if entry.key.endswith(".parquet"):
            data += repr(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
        if any(needle in data for needle in needles):
            found.append(entry.key)
    return found


def vectors_of(storage: Storage, texts: set[str]) -> int:
    store = EmbeddingStore(storage, HashingEmbedder(DIMENSION).spec.id, DIMENSION)
    store.refresh()
    found, _ = store.find([text_hash(text) for text in texts])
    return int(found.sum())


def without(found: Searchable, uri: str) -> Searchable:
    return {item for item in found if item[0] != uri}


def erased(storage: Storage, *uris: str) -> str:
    return erase(storage, COLLECTION, uris, run="eraser", created_at_ms=NOW_MS).version


def purged(storage: Storage, *uris: str) -> PurgeReport:
    return purge_and_certify(storage, COLLECTION, uris, run="eraser", created_at_ms=NOW_MS)


def test_an_erased_document_is_not_served_and_all_others_are(source: Path):
    storage = trusted("erased")
    years(source, storage)
    before = searchable(storage)
    done = erase(storage, COLLECTION, ["hive.txt"], run="eraser", created_at_ms=NOW_MS)
    assert searchable(storage) == without(before, "hive.txt") != before
    assert (done.documents, done.promoted) == (1, True)
    assert done.chunks == len(before) - len(searchable(storage))
    state = CommitLog(storage, COLLECTION).read()
    assert set(state.channels.values()) == {done.version}
    assert state.versions[done.version].parent == done.parent
    version, manifest = served_version(storage, state)
    assert version == done.version
    assert manifest.run == "eraser"
    assert load_catalog(storage, manifest).get("hive.txt") is None
    for entry in storage.list(f"{COLLECTION}/log/"):
        assert b"hive" not in storage.read(entry.key)


def test_erasing_several_or_all_documents_works(source: Path):
    storage = trusted("several")
    run_plainly(options_for(source), storage)
    erased(storage, "moss.txt", "rain.txt")
    assert {uri for uri, _, _ in searchable(storage)} == {"tin.txt", "wool.txt"}
    erased(storage, "tin.txt", "wool.txt")
    assert searchable(storage) == set()


def test_erasing_what_is_not_served_changes_nothing(source: Path):
    storage = trusted("nothing")
    run_plainly(options_for(source), storage)
    with pytest.raises(NotFoundError, match=r"has no document 'ash.txt', 'oak.txt'"):
        check_known(storage, COLLECTION, ["ash.txt", "moss.txt", "oak.txt"])
    check_known(storage, COLLECTION, ["moss.txt"])
    before = CommitLog(storage, COLLECTION).read()
    done = erase(storage, COLLECTION, ["ash.txt"], run="eraser", created_at_ms=NOW_MS)
    assert (done.documents, done.version, done.version) == (0, done.parent, done.version)
    assert CommitLog(storage, COLLECTION).read() == before


def test_a_document_that_is_still_in_the_source_comes_back(source: Path):
    storage = trusted("back")
    options = options_for(source)
    run_plainly(options, storage)
    before = searchable(storage)
    erased(storage, "moss.txt")
    sources = (Source(root=source), Source(root=source, label="wet"))
    assert still_in_source(sources, ["moss.txt", "wet/rain.txt", "ash.txt"]) == {
        "moss.txt": "moss.txt",
        "wet/rain.txt": "rain.txt",
    }
    left_out = replace(again(options), scan=replace(options.scan, exclude=("moss.txt",)))
    run_plainly(left_out, storage)
    assert searchable(storage) == without(before, "moss.txt")
    run_plainly(again(options), storage)
    assert searchable(storage) == before


def test_a_purge_leaves_no_byte_of_a_document(source: Path):
    storage = trusted("purged")
    years(source, storage)
    before = searchable(storage)
    texts = {text for uri, _, text in before if uri == "hive.txt"}
    shared = {text for _, _, text in without(before, "hive.txt")} & texts
    assert len(what_is_left(storage)) > 5
    erased(storage, "hive.txt")
    report = purged(storage, "hive.txt")
    assert report.certificate.clean
    assert what_is_left(storage) == []
    assert searchable(storage) == without(before, "hive.txt")
    assert vectors_of(storage, texts - shared) == 0
    assert report.purged.traces.names == {"hive.txt", "bees.txt"}
    assert report.purged.vectors > 0
    assert len(report.purged.versions) == 4
    state = CommitLog(storage, COLLECTION).read()
    assert list(state.versions) == [report.purged.version]
    assert set(state.channels.values()) == {report.purged.version}
    assert report.certificate.objects == len(list(storage.list("")))


def test_texts_that_living_documents_share_stay_with_their_vectors(source: Path):
    storage = trusted("shared")
    write(source / "one.txt", COMMON)
    write(source / "two.txt", COMMON)
    run_plainly(options_for(source), storage)
    erased(storage, "one.txt")
    report = purged(storage, "one.txt")
    assert report.certificate.clean
    assert len(report.purged.traces.shared) == 1
    assert report.purged.vectors == 0
    assert vectors_of(storage, {COMMON}) == 1
    assert ("two.txt", COMMON) in {(uri, text) for uri, _, text in searchable(storage)}


def test_another_collection_keeps_what_it_paid_for(source: Path):
    storage = trusted("two")
    options = options_for(source)
    run_plainly(options, storage)
    run_plainly(replace(again(options), collection="other"), storage)
    erased(storage, "moss.txt")
    report = purged(storage, "moss.txt")
    assert report.certificate.clean
    assert report.purged.vectors == 0
    assert report.purged.traces.collections == ("other",)
    assert all(key.startswith("other/") for key in report.certificate.elsewhere)
    assert report.certificate.elsewhere


def test_a_night_after_a_purge_embeds_nothing_anew(source: Path):
    storage = trusted("night")
    years(source, storage)
    before = searchable(storage)
    erased(storage, "hive.txt")
    purged(storage, "hive.txt")
    (source / "hive.txt").unlink()
    trace = Trace()
    run_plainly(again(options_for(source, full=True)), storage, trace)
    assert trace.texts == 0
    assert searchable(storage) == without(before, "hive.txt")


def test_every_former_name_goes_unless_a_living_document_has_it(source: Path):
    storage = trusted("names")
    options = options_for(source)
    run_plainly(options, storage)
    for old, new in (("moss", "fern"), ("fern", "lichen"), ("tin", "zinc")):
        (source / f"{old}.txt").rename(source / f"{new}.txt")
        run_plainly(again(options), storage)
    write(source / "fern.txt", prose("ferns"))
    run_plainly(again(options), storage)
    before = searchable(storage)
    erased(storage, "lichen.txt")
    report = purged(storage, "lichen.txt")
    assert report.certificate.clean
    assert report.purged.traces.names == {"lichen.txt", "fern.txt", "moss.txt"}
    assert report.certificate.names_in_use == ("fern.txt",)
    assert searchable(storage) == without(before, "lichen.txt")
    for entry in storage.list(f"{COLLECTION}/"):
        assert b"moss" not in storage.read(entry.key)


def test_a_purge_can_be_repeated(source: Path):
    storage = trusted("again")
    years(source, storage)
    erased(storage, "hive.txt")
    first = purged(storage, "hive.txt")
    second = purged(storage, "hive.txt")
    assert second.certificate.clean
    assert second.purged.version == first.purged.version
    assert (second.purged.keys, second.purged.versions, second.purged.vectors) == ((), (), 0)


@pytest.mark.parametrize(
    "hold",
    [
        lambda log, version: pin(log, version, "audit"),
        lambda log, version: promote(log, version, channel="legacy"),
    ],
)
def test_a_purge_does_not_begin_while_somebody_holds_the_text(
    source: Path, hold: Callable[[CommitLog, str], object]
):
    storage = trusted("held")
    run_plainly(options_for(source), storage)
    log = CommitLog(storage, COLLECTION)
    hold(log, log.read().channels["production"])
    erased(storage, "moss.txt")
    assert len(holders(storage, COLLECTION, ["moss.txt"])) == 1
    assert holders(storage, COLLECTION, ["oak.txt"]) == ()
    before = [entry.key for entry in storage.list("")]
    with pytest.raises(UsageError, match=r"held by (pin audit|channel legacy); unpin or move"):
        purged(storage, "moss.txt")
    assert [entry.key for entry in storage.list("")] == before


def test_checkpoints_of_runs_go_with_their_run_and_others_stay(source: Path):
    storage = trusted("runs")
    run_plainly(options_for(source), storage)
    write(source / "bees.txt", prose("bees"))
    with pytest.raises(SystemExit):
        run_plainly(options_for(source), FaultyStorage(storage, fail_at=60, mode=FaultMode.CRASH))
    storage.put(f"{COLLECTION}/runs/other/plan.json", b'["about.txt"]')
    assert [key for key in what_is_left(storage) if "/runs/" in key]
    report = purged(storage, "bees.txt")
    assert report.certificate.clean
    assert what_is_left(storage) == []
    assert storage.read(f"{COLLECTION}/runs/other/plan.json")


def test_pages_records_and_evaluations_that_name_a_document_go_with_it(source: Path):
    storage = trusted("told")
    years(source, storage)
    version = CommitLog(storage, COLLECTION).read().channels["production"]
    named = {
        page_key(COLLECTION, version): b"<td>hive.txt</td>",
        figures_page_key(COLLECTION, version): b"<p>see hive.txt, it hums</p>",
        evaluation_key(COLLECTION, version, "r"): b'{"sources": ["hive.txt"]}',
        history_key(COLLECTION, "run-1"): b'{"reason": "source has no hive.txt any more"}',
    }
    others = {history_key(COLLECTION, "run-2"): b'{"reason": "moss.txt"}'}
    for key, data in {**named, **others}.items():
        storage.put(key, data)
    erased(storage, "hive.txt")
    assert purged(storage, "hive.txt").certificate.clean
    left = {entry.key for entry in storage.list("")}
    assert not left & named.keys()
    assert left >= others.keys()


@sampled(29)
@pytest.mark.parametrize("mode", list(FaultMode))
def test_an_erasure_that_breaks_off_anywhere_is_finished_by_the_same_command(
    source: Path, mode: FaultMode, every: int
):
    prepared = trusted("prepared")
    years(source, prepared)
    expected = without(searchable(prepared), "hive.txt")

    def command(storage: Storage) -> PurgeReport:
        erased(storage, "hive.txt")
        return purged(storage, "hive.txt")

    def copied(name: str) -> Storage:
        storage = trusted(name)
        for entry in prepared.list(""):
            storage.put(entry.key, prepared.read(entry.key))
        return storage

    counted = FaultyStorage(copied("counted"))
    command(counted)
    for number in places(counted.operations, every, mode):
        storage = copied(f"broken-{number}")
        faulty = FaultyStorage(storage, fail_at=number, mode=mode)
        try:
            command(faulty)
        except (IndexStoreError, SystemExit):
            assert {item[0] for item in searchable(storage)} >= {item[0] for item in expected}
        assert command(storage).certificate.clean
        assert searchable(storage) == expected
        assert what_is_left(storage) == []


class RacingStorage(FaultyStorage):
    """Lets somebody else publish just before each record of the log is created."""

    def __init__(self, inner: Storage, rival: Callable[[], None], times: int) -> None:
        super().__init__(inner)
        self._rival, self._times = rival, times

    def create(self, key: str, data: bytes) -> None:
        if "/log/" in key and self._times:
            self._times -= 1
            self._rival()
        super().create(key, data)


def test_an_erasure_that_loses_a_race_plans_again(source: Path):
    inner = trusted("race")
    options = options_for(source)
    run_plainly(options, inner)

    def night() -> None:
        write(source / "late.txt", prose("late"))
        run_plainly(again(options), inner)

    storage = RacingStorage(inner, night, times=1)
    erased(storage, "moss.txt")
    assert {uri for uri, _, _ in searchable(inner)} == {
        "late.txt",
        "rain.txt",
        "tin.txt",
        "wool.txt",
    }


def test_an_erasure_gives_up_after_losing_again_and_again(source: Path):
    inner = trusted("lost")
    options = options_for(source)
    run_plainly(options, inner)
    nights = iter(range(1000))

    def night() -> None:
        write(source / "late.txt", prose(f"late {next(nights)}"))
        run_plainly(again(options), inner)

    with pytest.raises(ConflictError, match="runs kept publishing first"):
        erased(RacingStorage(inner, night, times=1000), "moss.txt")


def test_the_certificate_finds_what_a_purge_forgot(source: Path):
    storage = trusted("forgotten")
    years(source, storage)
    erased(storage, "hive.txt")
    copies = {entry.key: storage.read(entry.key) for entry in storage.list("")}
    report = purged(storage, "hive.txt")
    traces = report.purged.traces
    clean = certify(storage, COLLECTION, traces, frozenset())
    assert clean.clean
    forgotten = [key for key in copies if key in report.purged.keys]
    forgotten = [key for key in forgotten if "/versions/" not in key]
    assert {key.split("/")[1] for key in forgotten} == {"shards", "catalog", "relocations"}
    report_key = f"{COLLECTION}/versions/old/report.json"
    copies[report_key] = b'{"warnings":["hive.txt: it hums"]}'
    forgotten.append(report_key)
    for key in [*forgotten, *(key for key in copies if key.startswith("embeddings/"))]:
        fresh = key not in {entry.key for entry in storage.list(key)}
        storage.put(key, copies[key])
        found = certify(storage, COLLECTION, traces, frozenset()).found
        assert [each.key for each in found] == ([key] if fresh else [])
        if fresh:
            storage.delete(key)
    storage.put("docs/notes.txt", b"\0" + next(iter(traces.hashes)) + b"\0")
    assert certify(storage, COLLECTION, traces, frozenset()).found[0].what == "the hash of a text"


def test_traces_of_nobody_are_nothing(source: Path):
    storage = trusted("nobody")
    run_plainly(options_for(source), storage)
    _, manifest = served_version(storage, CommitLog(storage, COLLECTION).read())
    traces = find_traces(storage, COLLECTION, manifest, ("nobody.txt",), frozenset())
    assert (traces.hashes, traces.keys, traces.samples) == (frozenset(), frozenset(), ())
    assert traces.names == {"nobody.txt"}


def test_the_report_is_plain_json(source: Path):
    storage = trusted("report")
    run_plainly(options_for(source), storage)
    done = erase(storage, COLLECTION, ["moss.txt"], run="eraser", created_at_ms=NOW_MS)
    report = ErasureReport(
        store="memory://report",
        collection=COLLECTION,
        uris=("moss.txt",),
        at_ms=NOW_MS,
        erased=done,
    )
    assert report.as_json()["purge"] is None
    assert report.version == done.version
    after = replace(report, purge=purged(storage, "moss.txt"))
    told = after.as_json()["purge"]
    assert isinstance(told, dict)
    assert told["clean"] is True
    assert told["left"] == []
    assert told["checked"]["names"] == ["moss.txt"]
    assert after.version == CommitLog(storage, COLLECTION).read().channels["production"]
    assert purge(storage, COLLECTION, ("moss.txt",), run="eraser", created_at_ms=NOW_MS).keys == ()
