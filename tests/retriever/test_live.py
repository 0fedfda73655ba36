"""How versions take each other's place, without a server and step by step."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from index_store.cache import CacheOptions
from index_store.embedder import EmbedderSpec, Tokenizer, Vectors
from index_store.embedders.registry import open_embedder
from index_store.embedders.remote.options import OtherEmbedder, RemoteOptions
from index_store.errors import NotFoundError, TransientError, UsageError
from index_store.search_options import SearchOptions
from index_store.storage.folder import FolderStorage
from retriever.options import RetrieverOptions
from retriever.query import Query
from retriever.store import LiveStore
from tasks.stages.erasing import erase
from tasks.stages.erasure_report import purge_and_certify
from tests.retriever.publishing import EMBEDDER, Publisher
from tests.support.embedding_server import Behaviour, EmbeddingServer
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, options_for, prose, write

OLD, NEW, NEWEST = "the old text of the night", "a new text at dawn", "the newest text by day"
ASKED = Query(text="text", options=SearchOptions(k=5))


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


class RelabelledEmbedder:
    """The hashing embedder under another identity."""

    limits = EMBEDDER.limits

    def __init__(self, **changes: str) -> None:
        self.spec: EmbedderSpec = replace(EMBEDDER.spec, **changes)

    @property
    def tokenizer(self) -> Tokenizer:
        return EMBEDDER.tokenizer

    def embed(self, texts: Sequence[str]) -> Vectors:
        return EMBEDDER.embed(texts)

    def close(self) -> None:
        """Do nothing."""


def copies_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()}


def open_store(publisher: Publisher, clock: Clock | None = None) -> LiveStore:
    options = RetrieverOptions(store=publisher.url, retry_s=30)
    return LiveStore(options, clock_ms=clock or Clock())


def version_of(store: LiveStore) -> str | None:
    return store.state().collections[0].version


def error_of(store: LiveStore) -> str:
    return store.state().collections[0].error or ""


def test_a_request_is_answered_from_the_version_it_began_with(publisher: Publisher):
    publisher.publish("docs", {"a.txt": [OLD]})
    store = open_store(publisher)
    store.refresh()
    with store.find(None).hold() as old:
        second = publisher.publish("docs", {"a.txt": [NEW]})
        store.refresh()
        assert version_of(store) == second
        assert [hit.text for hit in old.search(ASKED)] == [OLD]
        assert not old.closed
    assert old.closed
    with store.find(None).hold() as live:
        assert [hit.text for hit in live.search(ASKED)] == [NEW]


def test_at_most_two_versions_are_open(publisher: Publisher):
    publisher.publish("docs", {"a.txt": [OLD]})
    store = open_store(publisher)
    store.refresh()
    with store.find(None).hold():
        second = publisher.publish("docs", {"a.txt": [NEW]})
        store.refresh()
        third = publisher.publish("docs", {"a.txt": [NEWEST]})
        store.refresh()
        assert version_of(store) == second
    store.refresh()
    assert version_of(store) == third


def test_a_refused_version_is_tried_again_after_a_while(publisher: Publisher):
    first = publisher.publish("docs", {"a.txt": [OLD]})
    clock = Clock()
    store = open_store(publisher, clock)
    store.refresh()
    kept: dict[Path, bytes] = {}

    def lose(path: Path) -> None:
        kept[path] = path.read_bytes()
        path.unlink()

    second = publisher.publish_damaged("docs", {"a.txt": [NEW]}, lose, "index.faiss")
    store.refresh()
    for path, data in kept.items():
        path.write_bytes(data)
    store.refresh()
    assert version_of(store) == first
    assert "index.faiss" in error_of(store)
    clock.now_ms += 30_000
    store.refresh()
    assert version_of(store) == second
    assert error_of(store) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revision": "another one"}, r"revision another one.*this installation has"),
        ({"provider": "elsewhere"}, "embedder 'elsewhere' is unknown"),
    ],
)
def test_vectors_of_another_embedder_are_never_searched(
    publisher: Publisher, changes: dict[str, str], reason: str
):
    publisher.publish("docs", {"a.txt": [OLD]}, embedder=RelabelledEmbedder(**changes))
    store = open_store(publisher)
    store.refresh()
    assert version_of(store) is None
    with pytest.raises(TransientError, match=reason), store.find("docs").hold():
        pass


def test_a_provider_takes_the_place_of_another_and_each_is_asked_with_its_own_key(
    publisher: Publisher,
):
    with (
        EmbeddingServer(Behaviour(key="old key")).running() as old,
        EmbeddingServer(Behaviour(key="new key", dimension=24)).running() as new,
    ):
        other = OtherEmbedder(name="openai", base_url=new.url, key=SecretStr("new key"))
        remote = RemoteOptions(base_url=old.url, key=SecretStr("old key"), other=other)
        store = LiveStore(RetrieverOptions(store=publisher.url, remote=remote))
        for spec, text in (("mistral:old@16", OLD), ("openai:new@24", NEW)):
            with closing(open_embedder(spec, remote=remote)) as embedder:
                publisher.publish("docs", {"a.txt": [text]}, embedder=embedder)
            store.refresh()
            with store.find("docs").hold() as live:
                assert [hit.text for hit in live.search(ASKED)] == [text]
        assert old.seen.keys == {"Bearer old key"}
        assert new.seen.keys == {"Bearer new key"}
        assert [ASKED.text] in old.seen.requests
        assert [ASKED.text] in new.seen.requests
        store.close()


def test_a_store_that_went_away_is_served_from_what_is_open(publisher: Publisher):
    version = publisher.publish("docs", {"a.txt": [OLD]})
    store = open_store(publisher)
    store.refresh()
    folder = Path(publisher.url)
    folder.rename(folder.with_name("away"))
    store.refresh()
    assert version_of(store) == version
    assert "does not exist" in error_of(store)
    with store.find(None).hold() as live:
        assert [hit.text for hit in live.search(ASKED)] == [OLD]
    folder.with_name("away").rename(folder)
    store.refresh()
    assert error_of(store) == ""


def test_one_damaged_collection_does_not_keep_another_from_serving(publisher: Publisher):
    publisher.publish("bad", {"a.txt": [OLD]})
    for record in Path(publisher.url, "bad", "log").iterdir():
        record.write_bytes(b"{}")
    publisher.publish("good", {"a.txt": [NEW]})
    store = open_store(publisher)
    store.refresh()
    bad, good = store.state().collections
    assert (bad.version, good.error) == (None, None)
    assert bad.error
    assert store.state().not_ready is None


def test_a_published_version_waits_for_its_promotion(publisher: Publisher):
    seen: list[str | None] = []
    store = open_store(publisher)

    def look(*_: object) -> None:
        store.refresh()
        seen.append(store.state().not_ready)

    publisher.publish("docs", {"a.txt": [OLD]}, before_promotion=look)
    assert seen == ["collection 'docs': channel 'production' is empty"]
    store.refresh()
    assert store.state().not_ready is None


def test_closing_lets_a_request_finish_and_takes_no_new_one(publisher: Publisher):
    publisher.publish("docs", {"a.txt": [OLD]})
    store = open_store(publisher)
    store.refresh()
    collection = store.find(None)
    with collection.hold() as live:
        collection.close()
        assert [hit.text for hit in live.search(ASKED)] == [OLD]
    assert live.closed
    with pytest.raises(TransientError, match="stopping"), collection.hold():
        pass


def test_a_collection_is_found_by_name_or_by_being_the_only_one(publisher: Publisher):
    store = open_store(publisher)
    with pytest.raises(TransientError, match="was not read yet"):
        store.find(None)
    store.refresh()
    with pytest.raises(TransientError, match="no collection yet"):
        store.find(None)
    publisher.publish("hr", {"a.txt": [OLD]})
    store.refresh()
    assert store.find(None).name == "hr"
    publisher.publish("law", {"a.txt": [OLD]})
    store.refresh()
    with pytest.raises(UsageError, match="one of: hr, law"):
        store.find(None)
    with pytest.raises(NotFoundError, match="'hr2' does not exist, there are: hr, law"):
        store.find("hr2")


def test_an_unknown_kind_of_store_is_refused_at_once():
    with pytest.raises(UsageError, match="gopher"):
        LiveStore(RetrieverOptions(store="gopher://somewhere"))


def test_a_cache_is_filled_once_and_serves_the_next_process(publisher: Publisher, tmp_path: Path):
    publisher.publish("docs", {"a.txt": ["the trial period lasts three months"]})
    cache = CacheOptions(folder=tmp_path / "cache", copy_folders=True)
    for _ in range(2):
        store = LiveStore(RetrieverOptions(store=publisher.url, cache=cache))
        store.refresh()
        copies = copies_in(cache.folder)
        assert len(copies) == 3
        with store.find("docs").hold() as generation:
            assert generation.search(Query(text="trial", options=SearchOptions(k=1)))
        store.close()
        assert copies_in(cache.folder) == copies


def test_a_purge_below_a_running_retriever_costs_no_request(tmp_path: Path):
    for topic in ("bees", "moss"):
        write(tmp_path / "source" / f"{topic}.txt", prose(topic))
    options = options_for(tmp_path / "source")
    storage = FolderStorage(tmp_path / "store")
    run_plainly(options, storage)
    store = LiveStore(RetrieverOptions(store=storage.url))
    store.refresh()
    erase(storage, COLLECTION, ["bees.txt"], run="eraser", created_at_ms=1)
    purge_and_certify(storage, COLLECTION, ("bees.txt",), run="eraser", created_at_ms=1)
    asked = Query(text="bees rule", options=SearchOptions(k=50))
    with store.find(COLLECTION).hold() as old:
        assert {hit.uri for hit in old.search(asked)} == {"bees.txt", "moss.txt"}
        store.refresh()
        assert {hit.uri for hit in old.search(asked)} == {"bees.txt", "moss.txt"}
    with store.find(COLLECTION).hold() as new:
        assert {hit.uri for hit in new.search(asked)} == {"moss.txt"}
    store.close()
