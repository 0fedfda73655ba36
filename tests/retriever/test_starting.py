"""What a retriever serves when the newest version, or the whole store, cannot be had."""

from dataclasses import replace
from pathlib import Path

import pytest

from index_store.artifacts import Artifact
from index_store.cache import CacheOptions, LocalCache
from index_store.errors import CorruptArtifactError, NoRoomError
from index_store.log import CommitLog
from index_store.log_records import PublishedVersion
from index_store.publisher import pin, rollback
from index_store.search_options import SearchOptions
from retriever.figures import Figures
from retriever.options import RetrieverOptions
from retriever.query import Query
from retriever.remembered import Remembered, encode_note, parse_note
from retriever.states import Reason
from retriever.store import LiveStore
from tests.retriever.publishing import Publisher

TEXTS = ("the old text of the night", "a new text at dawn", "the newest text by day")
ASKED = Query(text="text", options=SearchOptions(k=5))


def options_for(publisher: Publisher, folder: Path, **changes: object) -> RetrieverOptions:
    cache = CacheOptions(folder=folder / "cache", copy_folders=True)
    options = RetrieverOptions(store=publisher.url, retry_s=0.001, cache=cache)
    return replace(options, **changes)


def looked(options: RetrieverOptions) -> LiveStore:
    store = LiveStore(options)
    store.refresh()
    return store


def text_of(store: LiveStore) -> str:
    with store.find("docs").hold() as live:
        return live.search(ASKED)[0].text


def metrics_of(store: LiveStore) -> str:
    return Figures().page(store.state(), 0).decode()


def lose(path: Path) -> None:
    path.unlink()


def away(publisher: Publisher) -> Path:
    folder = Path(publisher.url)
    return folder.rename(folder.with_name("away"))


def test_a_damaged_newest_version_makes_way_for_the_one_before(
    publisher: Publisher, tmp_path: Path
):
    publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    second = publisher.publish("docs", {"a.txt": [TEXTS[1]]})
    third = publisher.publish_damaged("docs", {"a.txt": [TEXTS[2]]}, lose, "index.faiss")
    store = looked(options_for(publisher, tmp_path))
    state = store.state().collections[0]
    assert (state.version, state.wanted, state.reason) == (second, third, Reason.DAMAGED)
    assert f"version {third} is not served" in (state.error or "")
    assert text_of(store) == TEXTS[1]
    assert store.state().not_ready is None
    told = metrics_of(store)
    assert 'rag_version_refused{collection="docs",reason="damaged"} 1.0' in told
    assert 'rag_swaps_total{collection="docs",outcome="fallback"} 1.0' in told
    assert 'rag_version_behind{collection="docs"} 1.0' in told
    store.close()


def test_several_damaged_versions_are_passed_over(publisher: Publisher, tmp_path: Path):
    first = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    for text in TEXTS[1:]:
        publisher.publish_damaged("docs", {"a.txt": [text]}, lose, "manifest.json")
    store = looked(options_for(publisher, tmp_path))
    assert store.state().collections[0].version == first
    store.close()


def test_a_version_that_was_rolled_back_is_not_taken_for_an_older_one(
    publisher: Publisher, tmp_path: Path
):
    first = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    publisher.publish("docs", {"a.txt": [TEXTS[1]]})
    rollback(CommitLog(publisher.storage, "docs"))
    for path in Path(publisher.url, "docs", "versions", first).iterdir():
        path.unlink()
    store = looked(options_for(publisher, tmp_path))
    state = store.state().collections[0]
    assert (state.version, state.reason) == (None, Reason.DAMAGED)
    assert store.state().not_ready is not None
    store.close()


def test_a_store_that_is_down_at_the_start_is_served_from_local_copies(
    publisher: Publisher, tmp_path: Path
):
    options = options_for(publisher, tmp_path)
    version = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    looked(options).close()
    folder = away(publisher)
    store = looked(options)
    state = store.state().collections[0]
    assert (state.version, state.wanted) == (version, None)
    assert "does not exist" in (state.error or "")
    assert store.state().not_ready is None
    assert text_of(store) == TEXTS[0]
    folder.rename(publisher.url)
    newer = publisher.publish("docs", {"a.txt": [TEXTS[1]]})
    store.refresh()
    state = store.state().collections[0]
    assert (state.version, state.error, state.reason) == (newer, None, None)
    assert text_of(store) == TEXTS[1]
    store.close()


def test_without_a_local_copy_a_store_that_is_down_is_said_to_be_so(
    publisher: Publisher, tmp_path: Path
):
    publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    away(publisher)
    store = looked(options_for(publisher, tmp_path))
    assert store.state().collections == ()
    assert "no collection" in (store.state().not_ready or "")
    store.close()


def test_a_damaged_log_does_not_take_the_local_copy_away(publisher: Publisher, tmp_path: Path):
    options = options_for(publisher, tmp_path)
    version = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    looked(options).close()
    for record in Path(publisher.url, "docs", "log").iterdir():
        record.write_bytes(b"{}")
    store = looked(options)
    state = store.state().collections[0]
    assert (state.version, state.reason) == (version, Reason.UNSUPPORTED)
    store.close()


def test_a_version_that_was_retired_is_not_served_from_a_local_copy(
    publisher: Publisher, tmp_path: Path
):
    options = options_for(publisher, tmp_path)
    version = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    noted = CommitLog(publisher.storage, "docs").read().versions[version]
    store = LiveStore(options)
    Remembered(LocalCache(options.cache), publisher.storage.url).note(  # type: ignore[arg-type]
        "docs", replace(noted, version="0" * 64)
    )
    for path in Path(publisher.url, "docs", "versions", version).iterdir():
        path.unlink()
    store.refresh()
    assert store.state().collections[0].version is None
    store.close()


def test_a_version_for_which_there_is_no_memory_is_refused_and_the_old_one_stays(
    publisher: Publisher, tmp_path: Path
):
    first = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    store = looked(options_for(publisher, tmp_path, memory_reserve_mib=1 << 40))
    second = publisher.publish("docs", {"a.txt": [TEXTS[1]]})
    store.refresh()
    state = store.state().collections[0]
    assert (state.version, state.wanted, state.reason) == (first, second, Reason.NO_ROOM)
    assert "lower memory_reserve_mib" in (state.error or "")
    assert 'rag_version_refused{collection="docs",reason="no_room"} 1.0' in metrics_of(store)
    assert text_of(store) == TEXTS[0]
    store.close()


def test_copies_that_do_not_fit_on_the_disk_are_not_begun(tmp_path: Path):
    cache = LocalCache(CacheOptions(folder=tmp_path / "cache"))
    huge = Artifact(key="docs/shards/x/index.faiss", size_bytes=1 << 62, sha256="0" * 64)
    with pytest.raises(NoRoomError, match=r"1 copies in .*: \d+ bytes needed, \d+ free; make room"):
        cache.reserve([huge, huge])
    cache.reserve([])


@pytest.mark.parametrize("name", ["pinned", "version", "candidate"])
def test_a_pin_or_a_version_can_be_followed(publisher: Publisher, tmp_path: Path, name: str):
    first = publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    log = CommitLog(publisher.storage, "docs")
    pin(log, first, "pinned")
    second = publisher.publish("docs", {"a.txt": [TEXTS[1]]})
    follow = {"pinned": "pinned", "version": first[:12], "candidate": "candidate"}[name]
    store = looked(options_for(publisher, tmp_path, follow=follow))
    assert store.state().collections[0].version == (second if name == "candidate" else first)
    store.close()


def test_a_note_that_is_none_is_ignored(publisher: Publisher, tmp_path: Path):
    options = options_for(publisher, tmp_path)
    publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    looked(options).close()
    (note,) = (tmp_path / "cache" / "served").glob("*/docs.json")
    note.write_bytes(b'{"format_version": 2}')
    away(publisher)
    store = looked(options)
    assert store.state().collections[0].version is None
    store.close()


def test_a_note_comes_back_as_it_was():
    noted = PublishedVersion(
        version="1" * 64,
        manifest=Artifact(key="docs/versions/1/manifest.json", size_bytes=7, sha256="2" * 64),
        parent=None,
        published_at_ms=3,
        run="nightly",
        seq=4,
    )
    assert parse_note(encode_note(noted), "docs.json") == noted
    with pytest.raises(CorruptArtifactError, match="format_version"):
        parse_note(encode_note(noted).replace(b'_version": 1', b'_version": 9'), "docs.json")
