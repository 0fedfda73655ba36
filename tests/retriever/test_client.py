"""The client against the real service."""

import pytest

from index_store.errors import CorruptArtifactError, NotFoundError, TransientError, UsageError
from retriever.client import RetrieverClient
from retriever.found import SearchWish, parse_answer
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

TRAIN = "The night train to the observatory leaves at eleven."
BREAD = "Bread is baked before dawn in the village."


@pytest.fixture
def options(publisher: Publisher) -> RetrieverOptions:
    return RetrieverOptions(store=publisher.url, poll_s=0.02)


def test_an_answer_is_typed(
    publisher: Publisher, options: RetrieverOptions, serve: Serve, until: Until
):
    version = publisher.publish("docs", {"en/train.txt": [BREAD, TRAIN], "fr/a.txt": [TRAIN]})
    with serve(options) as http, RetrieverClient(str(http.base_url)) as client:
        until(lambda: http.get("/readyz").is_success)
        wish = SearchWish(k=3, filter={"path_prefix": "en/"}, neighbours=1)
        answer = client.search(TRAIN, wish)
        assert client.status()["ready"] is True
    assert (answer.collection, answer.version) == ("docs", version)
    first, second = answer.hits
    assert (first.text, first.uri, first.page, first.section) == (
        TRAIN,
        "en/train.txt",
        2,
        "Part › 1",
    )
    assert first.context is not None
    assert BREAD in first.context
    assert first.score > second.score
    assert first.scores["dense"] == pytest.approx(1.0, abs=0.01)
    assert "lexical" not in first.scores


def test_the_number_of_hits_grows_while_few_are_good(
    publisher: Publisher, options: RetrieverOptions, serve: Serve, until: Until
):
    documents = {f"{number}.txt": [f"{TRAIN} It is train {number}."] for number in range(6)}
    publisher.publish("docs", documents | {"a.txt": [BREAD], "b.txt": [BREAD]})
    with serve(options) as http, RetrieverClient(str(http.base_url)) as client:
        until(lambda: http.get("/readyz").is_success)

        def count(wish: SearchWish, query: str = TRAIN) -> int:
            return len(client.search(query, wish).hits)

        assert count(SearchWish(k=2)) == 2
        assert count(SearchWish(k=2, most_k=6, good_score=1.0)) == 6
        assert count(SearchWish(k=2, most_k=6, good_score=-1.0)) == 2
        assert count(SearchWish(k=2, recency=0.5, half_life_days=30.0, per_document=1)) == 2
        assert count(SearchWish(k=8), BREAD) == 7  # bread once
        assert count(SearchWish(k=8, near_duplicates=True), BREAD) == 8


@pytest.mark.parametrize(
    ("wish", "error", "message"),
    [
        (SearchWish(k=1000), UsageError, "k must be between 1 and 100, found 1000"),
        (SearchWish(k=0), UsageError, "k must be between 1 and 100, found 0"),
        (SearchWish(filter={"autor": "me"}), UsageError, "unknown field: filter.autor"),
        (SearchWish(collection="nowhere"), NotFoundError, "'nowhere' does not exist"),
    ],
)
def test_a_refusal_is_an_error_that_says_why(
    wish: SearchWish,
    error: type[Exception],
    message: str,
    publisher: Publisher,
    options: RetrieverOptions,
    serve: Serve,
    until: Until,
):
    publisher.publish("docs", {"a.txt": [TRAIN]})
    with serve(options) as http, RetrieverClient(str(http.base_url)) as client:
        until(lambda: http.get("/readyz").is_success)
        with pytest.raises(error, match=message):
            client.search(TRAIN, wish)


def test_a_retriever_without_a_version_is_worth_another_try(
    options: RetrieverOptions, serve: Serve
):
    with (
        serve(options) as http,
        RetrieverClient(str(http.base_url)) as client,
        pytest.raises(TransientError, match="retriever http"),
    ):
        client.search(TRAIN)


def test_nobody_there_is_worth_another_try():
    with (
        RetrieverClient("http://127.0.0.1:1", timeout_s=5) as client,
        pytest.raises(TransientError, match="retriever http://127.0.0.1:1 cannot be reached"),
    ):
        client.search(TRAIN)


def test_an_address_of_another_kind_is_a_mistake():
    with pytest.raises(UsageError, match="must begin with http"):
        RetrieverClient("ftp://example.org")


def test_an_answer_of_a_stranger_is_refused_with_every_problem():
    with pytest.raises(CorruptArtifactError, match=r"collection: .*version: .*hits\[0\]\.text: "):
        parse_answer(b'{"mode": "dense", "hits": [{"score": 1, "uri": "a", "chunk": "b"}]}')
    with pytest.raises(CorruptArtifactError, match="expected JSON"):
        parse_answer(b"<html>")
