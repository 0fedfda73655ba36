"""Versions beside the live one, opened on demand."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from index_store.errors import NotFoundError, UsageError
from index_store.log import CommitLog
from index_store.log_records import PublishedVersion
from index_store.search_options import SearchOptions
from index_store.snapshot import Snapshot
from retriever.generation import Generation
from retriever.options import RetrieverOptions
from retriever.past import PastVersions
from retriever.query import Query
from retriever.store import LiveStore
from tests.retriever.publishing import EMBEDDER, Publisher

TEXTS = ("The observatory opens at dusk.", "The observatory opens at noon.", "It stays closed.")


@pytest.fixture
def live(publisher: Publisher) -> Iterator[LiveStore]:
    store = LiveStore(RetrieverOptions(store=publisher.url, past_versions=1))
    yield store
    store.close()


def first_text(live: LiveStore, version: str) -> str:
    query = Query(text="observatory", options=SearchOptions(k=1))
    with live.find("docs").hold_version(version) as generation:
        return generation.search(query)[0].text


def test_every_version_answers_with_what_it_held(publisher: Publisher, live: LiveStore):
    versions = [publisher.publish("docs", {"a.txt": [text]}) for text in TEXTS]
    live.refresh()
    assert [first_text(live, version[:8]) for version in versions] == list(TEXTS)
    assert first_text(live, versions[0]) == TEXTS[0]
    with live.find("docs").hold() as generation:
        assert generation.version == versions[-1]


def test_a_version_that_is_not_there_is_named(publisher: Publisher, live: LiveStore):
    publisher.publish("docs", {"a.txt": [TEXTS[0]]})
    live.refresh()
    with pytest.raises(NotFoundError, match="version 0123456789 does not exist"):
        first_text(live, "0123456789")
    with pytest.raises(UsageError, match="at least 6 hexadecimal"):
        first_text(live, "../..")


def test_versions_are_listed_newest_first_with_what_names_them(
    publisher: Publisher, live: LiveStore
):
    first, second = (publisher.publish("docs", {"a.txt": [text]}) for text in TEXTS[:2])
    live.refresh()
    newest, oldest = live.find("docs").versions(10)
    assert (newest.version, newest.parent, newest.channels) == (
        second,
        first,
        ("candidate", "production"),
    )
    assert (oldest.version, oldest.channels, oldest.changes) == (first, (), {})
    assert newest.counts.chunks_live == 1
    assert [each.version for each in live.find("docs").versions(1)] == [second]


class Opener:
    """Opens versions of a publisher's store and keeps count."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.opened: list[Generation] = []

    def __call__(self, published: PublishedVersion) -> Generation:
        snapshot = Snapshot.open_published(self._publisher.storage, published)
        self.opened.append(Generation(snapshot, EMBEDDER, 0))
        return self.opened[-1]


def published(publisher: Publisher, texts: tuple[str, ...]) -> list[PublishedVersion]:
    names = [publisher.publish("docs", {"a.txt": [text]}) for text in texts]
    state = CommitLog(publisher.storage, "docs").read()
    return [state.versions[name] for name in names]


def test_the_one_asked_for_longest_ago_closes_after_its_last_request(publisher: Publisher):
    first, second, third = published(publisher, TEXTS)
    opener = Opener(publisher)
    past = PastVersions(opener, 2)
    with past.hold(first) as held:
        with past.hold(second), past.hold(third):
            assert not held.closed
        assert not held.closed
    assert held.closed
    assert [each.closed for each in opener.opened] == [True, False, False]
    past.close()
    assert all(each.closed for each in opener.opened)


def test_many_who_ask_at_once_open_it_once(publisher: Publisher):
    (version,) = published(publisher, TEXTS[:1])
    opener = Opener(publisher)
    past = PastVersions(opener, 1)
    together = threading.Barrier(8)

    def ask() -> str:
        together.wait()
        with past.hold(version) as generation:
            return generation.version

    with ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(ask) for _ in range(8)]]
    assert answers == [version.version] * 8
    assert len(opener.opened) == 1
    past.close()


def test_nothing_stays_open_after_the_end(publisher: Publisher):
    (version,) = published(publisher, TEXTS[:1])
    opener = Opener(publisher)
    past = PastVersions(opener, 1)
    past.close()
    with past.hold(version) as generation:
        assert not generation.closed
    assert generation.closed
