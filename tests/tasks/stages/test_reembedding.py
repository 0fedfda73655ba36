"""Another embedder for stored text: no document is read, and nothing but vectors differs."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index_store.catalog_files import load_catalog
from index_store.collections import load_manifest
from index_store.embedders.registry import open_embedder
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.errors import CorruptArtifactError, UsageError
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from index_store.manifest import Manifest
from index_store.records import DocumentRecord, Reason
from index_store.search_options import Question, Retrieval, SearchOptions
from index_store.snapshot import Snapshot
from index_store.storage.memory import MemoryStorage
from tasks.parse import parse_documents
from tasks.plan import plan_run
from tasks.resources import resources
from tasks.scan import scan_sources
from tasks.stages.concluding import NO_SOURCE
from tasks.stages.planning import chunker_of
from tasks.stages.reporting import RunReport
from tasks.stages.run_options import RunOptions
from tests.support.embedding_server import Behaviour, EmbeddingServer
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    BROKEN_PDF,
    COLLECTION,
    again,
    options_for,
    pdf,
    prose,
    trusted,
    write,
)

HASHING, OFFLINE = "hashing:64", "offline"  # each counts tokens by a tokenizer of its own


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name in ("tides", "wages", "people/dupont"):
        write(folder / f"{name}.txt", prose(name.rpartition("/")[2]))
    write(folder / "broken.pdf", BROKEN_PDF)
    return folder


def told(source: Path, embedder: str = HASHING, **change: object) -> RunOptions:
    options = options_for(source, **change)
    return replace(options, embed=replace(options.embed, spec=embedder, dimension=None))


def spoil(path: Path) -> None:
    """Put other text into a file that looks as it did, so that who reads it gives itself away."""
    before = path.stat()
    path.write_bytes(b"never read " * (before.st_size // 11) + b"." * (before.st_size % 11))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def production(storage: MemoryStorage) -> Manifest:
    state = CommitLog(storage, COLLECTION).read()
    return load_manifest(storage, state.versions[state.channels[PRODUCTION]])


def lines(storage: MemoryStorage) -> dict[str, DocumentRecord]:
    """The catalog of production by uri, without where chunks are."""
    return {
        record.uri: replace(record, shard=None, row_start=0, row_end=record.chunks, shard_uri="")
        for record in load_catalog(storage, production(storage)).records()
    }


def chunks(storage: MemoryStorage) -> set[tuple[str, str, str]]:
    """Every chunk that can be found: its id, document and text."""
    with Snapshot.open(storage, COLLECTION) as snapshot:
        probe = np.zeros(snapshot.manifest.embedder.dimension, np.float32)
        probe[0] = 1.0
        return {(hit.chunk, hit.uri, hit.text) for hit in snapshot.nearest(probe, snapshot.rows)}


def first_hit(storage: MemoryStorage, question: str) -> str:
    embedder = open_embedder(OFFLINE)
    with Snapshot.open(storage, COLLECTION) as snapshot:
        return snapshot.nearest(embedder.embed_question(question), 1)[0].uri


def found_by(storage: MemoryStorage, group: str) -> set[str]:
    """Documents that somebody of a group can find."""
    vector = open_embedder(OFFLINE).embed_question("Sentence 2 of rules")
    options = SearchOptions(
        k=30, retrieval=Retrieval.DENSE, groups=frozenset({group}), near_duplicates=True
    )
    with Snapshot.open(storage, COLLECTION) as snapshot:
        return {hit.uri for hit in snapshot.search(Question(vector=vector), options)}


def cut_off_after_parsing(options: RunOptions, storage: MemoryStorage) -> None:
    with resources(options, storage=storage):
        plan = plan_run.fn(options, scan_sources.fn(options))
        for number in range(plan.batches):
            parse_documents.fn(options, number)


def worked(report: RunReport) -> dict[str, int]:
    return {name: count for name, count in report.documents.items() if count}


def test_text_of_the_last_version_gets_other_vectors_and_no_document_is_read(source: Path):
    storage = trusted("upgrade")
    run_plainly(told(source), storage)
    before, known = chunks(storage), lines(storage)
    for path in source.rglob("*.txt"):
        spoil(path)
    report = run_plainly(told(source, OFFLINE), storage)
    assert report.promoted
    assert worked(report) == {"reembedded": 3, "rejected": 1}
    assert report.embedding["texts"] == len({text for *_, text in before})
    assert production(storage).embedder == open_embedder(OFFLINE).spec
    assert chunks(storage) == before
    assert lines(storage) == known
    assert first_hit(storage, "Sentence 2 of wages") == "wages.txt"


def test_the_nights_after_go_on_where_chunks_were_cut(source: Path):
    storage = trusted("after")
    run_plainly(told(source), storage)
    run_plainly(told(source, OFFLINE), storage)
    quiet = run_plainly(told(source, OFFLINE), storage)
    assert quiet.unchanged
    write(source / "tides.txt", prose("tides") + "\n\nAnd the moon has a hand in it, they say.")
    report = run_plainly(told(source, OFFLINE), storage)
    assert worked(report) == {"changed": 1, "kept": 2, "rejected": 1}
    alone = trusted("alone")
    run_plainly(told(source), alone)
    assert chunks(storage) == chunks(alone)


def test_a_full_rebuild_cuts_by_the_tokenizer_of_the_embedder(source: Path):
    storage, fresh = trusted("full"), trusted("fresh")
    run_plainly(told(source), storage)
    run_plainly(told(source, OFFLINE), storage)
    run_plainly(told(source, OFFLINE, full=True), storage)
    run_plainly(told(source, OFFLINE), fresh)
    assert chunks(storage) == chunks(fresh)
    assert production(storage).chunker == production(fresh).chunker


def test_a_night_that_lacks_the_tokenizer_stops_and_does_not_cut_everything_anew(source: Path):
    storage = trusted("tokenizer")
    run_plainly(told(source), storage)
    standing = production(storage)
    cut_elsewhere = replace(standing, chunker=standing.chunker.replace("pieces-", "gone-"))
    own = standing.embedder
    with pytest.raises(UsageError, match="counted by the tokenizer gone-"):
        chunker_of(told(source), cut_elsewhere, own)
    assert chunker_of(told(source, full=True), cut_elsewhere, own) == standing.chunker
    # Every vector is new that night, so chunks may be too.
    earlier = replace(cut_elsewhere, embedder=replace(own, model="another"))
    assert chunker_of(told(source), earlier, own) == standing.chunker


def test_another_chunk_size_on_the_same_night_cuts_anew(source: Path):
    storage, fresh = trusted("size"), trusted("fresh-size")
    run_plainly(told(source), storage)
    other = told(source, OFFLINE)
    other = replace(other, chunk=replace(other.chunk, max_tokens=48))
    report = run_plainly(other, storage)
    assert worked(report) == {"changed": 3, "rejected": 1}
    run_plainly(again(other), fresh)
    assert chunks(storage) == chunks(fresh)


def test_what_changed_moved_or_vanished_on_that_night_is_done_too(source: Path):
    storage, fresh = trusted("busy"), trusted("fresh-busy")
    run_plainly(told(source), storage)
    write(source / "wages.txt", prose("other wages"))
    write(source / "new.txt", prose("new"))
    (source / "people" / "dupont.txt").rename(source / "dupont.txt")
    (source / "tides.txt").unlink()
    report = run_plainly(told(source, OFFLINE), storage)
    expected = {"added": 1, "changed": 1, "reembedded": 1, "removed": 1, "rejected": 1}
    assert worked(report) == expected
    run_plainly(told(source), fresh)
    assert chunks(storage) == chunks(fresh)


def test_last_good_text_stays_with_the_reason_why_it_is_no_newer(source: Path):
    storage = trusted("last-good")
    write(source / "rules.pdf", pdf(prose("rules")))
    run_plainly(told(source), storage)
    write(source / "rules.pdf", BROKEN_PDF)
    failed = run_plainly(told(source), storage)
    assert worked(failed) == {"kept": 3, "rejected": 2}
    before, known = chunks(storage), lines(storage)
    report = run_plainly(told(source, OFFLINE), storage)
    assert worked(report) == {"reembedded": 3, "rejected": 2}
    assert chunks(storage) == before
    assert lines(storage) == known
    assert {uri for _, uri, _ in before} > {"rules.pdf"}


def test_a_document_that_fails_on_that_very_night_keeps_its_last_good_text(source: Path):
    storage = trusted("fails-now")
    write(source / "rules.pdf", pdf(prose("rules")))
    run_plainly(told(source), storage)
    before, known = chunks(storage), lines(storage)
    write(source / "rules.pdf", BROKEN_PDF)
    report = run_plainly(told(source, OFFLINE), storage)
    assert worked(report) == {"reembedded": 3, "rejected": 2}
    assert chunks(storage) == before
    line, was = lines(storage)["rules.pdf"], known["rules.pdf"]
    assert line.rejection is not None
    assert line.rejection.reason is Reason.CORRUPT
    assert (line.indexed_hash, line.tokens) == (was.content_hash, was.tokens)
    assert (line.attributes, line.quality) == (was.attributes, was.quality)
    assert run_plainly(told(source, OFFLINE), storage).unchanged


def test_last_good_text_outlives_a_retry_on_that_night(source: Path):
    storage = trusted("retried")
    write(source / "rules.pdf", pdf(prose("rules")))
    run_plainly(told(source), storage)
    write(source / "rules.pdf", BROKEN_PDF)
    run_plainly(told(source), storage)
    before = chunks(storage)
    run_plainly(told(source, OFFLINE, retry_rejected=True), storage)
    assert chunks(storage) == before


def test_last_good_text_goes_when_it_is_not_wanted(source: Path):
    storage = trusted("not-wanted")
    write(source / "rules.pdf", pdf(prose("rules")))
    run_plainly(told(source), storage)
    write(source / "rules.pdf", BROKEN_PDF)
    run_plainly(told(source, OFFLINE, keep_last_good=False), storage)
    assert "rules.pdf" not in {uri for _, uri, _ in chunks(storage)}


def test_last_good_text_is_read_by_those_alone_who_may_now(source: Path):
    storage = trusted("rights")
    write(source / "rules.pdf", pdf(prose("rules")))
    run_plainly(told(source), storage)
    write(source / "rules.pdf", BROKEN_PDF)
    write(source / "rules.pdf.json", '{"groups": ["law"]}')
    run_plainly(told(source, OFFLINE), storage)
    assert lines(storage)["rules.pdf"].attributes.groups == ("law",)
    assert "rules.pdf" in found_by(storage, "law")
    assert "rules.pdf" not in found_by(storage, "other")


def test_a_full_rebuild_after_a_killed_one_parses_and_judges_every_document(source: Path):
    storage = trusted("killed")
    run_plainly(told(source), storage)
    known = lines(storage)
    cut_off_after_parsing(told(source, OFFLINE), storage)
    run_plainly(told(source, full=True), storage)
    assert {uri: line.quality for uri, line in lines(storage).items()} == {
        uri: line.quality for uri, line in known.items()
    }


def test_stored_text_needs_no_source_at_all(source: Path):
    storage = trusted("no-source")
    run_plainly(told(source), storage)
    before, known = chunks(storage), lines(storage)
    shutil.rmtree(source)
    there = replace(told(source, OFFLINE, stored_text=True), sources=())
    report = run_plainly(there, storage)
    assert report.promoted
    assert worked(report) == {"reembedded": 3, "rejected": 1}
    assert chunks(storage) == before
    assert lines(storage) == known
    assert NO_SOURCE in report.warnings
    idle = run_plainly(again(there), storage)
    assert idle.unchanged
    assert NO_SOURCE in idle.warnings


def test_a_document_that_an_embedder_refused_is_tried_again_by_another_one_alone(source: Path):
    storage = trusted("refused")
    behaviour = Behaviour(key=None, poison="wages")
    with EmbeddingServer(behaviour).running() as server:

        def night(model: str, **change: object) -> RunReport:
            remote = RemoteOptions(base_url=server.url, pace=PaceOptions(retries=0, give_up_s=1))
            options = told(source, f"openai:{model}@16", **change)
            return run_plainly(
                replace(options, embed=replace(options.embed, remote=remote)), storage
            )

        assert worked(night("old")) == {"added": 2, "rejected": 2}
        assert night("old").unchanged
        assert worked(night("new")) == {"reembedded": 2, "rejected": 2}
        assert night("new").unchanged
        behaviour.poison = None
        assert night("new").unchanged
        assert worked(night("newest")) == {"changed": 1, "reembedded": 2, "rejected": 1}
        behaviour.poison = "wages"
        assert worked(night("last", stored_text=True)) == {"reembedded": 2, "rejected": 2}
        assert night("last").unchanged


def test_stored_text_of_nothing_says_so(source: Path):
    with pytest.raises(UsageError, match="nothing is published yet"):
        run_plainly(told(source, stored_text=True), trusted("nothing"))


def test_going_back_embeds_nothing_and_finds_the_same(source: Path):
    storage = trusted("back")
    run_plainly(told(source), storage)
    before = chunks(storage)
    run_plainly(told(source, OFFLINE), storage)
    report = run_plainly(told(source), storage)
    assert report.embedding["texts"] == 0
    assert chunks(storage) == before


def test_a_damaged_shard_stops_the_run_and_leaves_production(source: Path):
    storage = trusted("damaged")
    run_plainly(told(source), storage)
    standing = production(storage)
    key = standing.shards[0].chunks.key
    data = bytearray(storage.read(key))
    data[len(data) // 2] ^= 0xFF
    storage.put(key, bytes(data))
    with pytest.raises(CorruptArtifactError, match="chunks"):
        run_plainly(told(source, OFFLINE), storage)
    assert production(storage) == standing
    healed = run_plainly(told(source, OFFLINE, full=True), storage)
    assert healed.promoted
