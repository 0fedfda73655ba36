"""A reader sees a rollback with its next look at the log; expiry disturbs nothing it serves."""

from pathlib import Path

from index_store.collector import purge_pass, retire_pass
from index_store.log import CommitLog
from index_store.publisher import rollback
from index_store.retention import RetentionPolicy
from index_store.search_options import SearchOptions
from retriever.options import RetrieverOptions
from retriever.query import Query
from retriever.store import LiveStore
from tests.retriever.publishing import Publisher

HASTY = RetentionPolicy(keep_last=1, grace_ms=0)


def texts(store: LiveStore) -> list[str]:
    with store.find(None).hold() as live:
        return [hit.text for hit in live.search(Query(text="text", options=SearchOptions(k=5)))]


def test_a_rollback_is_served_after_one_look(tmp_path: Path):
    publisher = Publisher(tmp_path)
    first = publisher.publish("docs", {"a.txt": ["the text before"]})
    publisher.publish("docs", {"a.txt": ["the text after"]})
    store = LiveStore(RetrieverOptions(store=publisher.url))
    store.refresh()
    assert texts(store) == ["the text after"]
    files = {entry.key for entry in publisher.storage.list("") if "/log/" not in entry.key}
    assert rollback(CommitLog(publisher.storage, "docs")).version == first
    store.refresh()
    assert texts(store) == ["the text before"]
    assert {e.key for e in publisher.storage.list("") if "/log/" not in e.key} == files


def test_what_a_reader_holds_survives_being_expired(tmp_path: Path):
    publisher = Publisher(tmp_path)
    publisher.publish("docs", {"a.txt": ["the first text"]})
    store = LiveStore(RetrieverOptions(store=publisher.url))
    store.refresh()
    for number in range(3):
        publisher.publish("docs", {"a.txt": [f"text {number}"]})
    log = CommitLog(publisher.storage, "docs")
    with store.find(None).hold() as held:
        assert len(retire_pass(publisher.storage, log, HASTY).versions) == 2
        assert purge_pass(publisher.storage, log, HASTY).deleted
        assert [hit.text for hit in held.search(Query(text="x", options=SearchOptions(k=5)))] == [
            "the first text"
        ]
        store.refresh()
        assert texts(store) == ["text 2"]
        assert [hit.text for hit in held.search(Query(text="x", options=SearchOptions(k=5)))] == [
            "the first text"
        ]
