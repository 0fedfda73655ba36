"""Reranking: every shape over a real socket, and no hit lost whatever the reranker does."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from index_store.errors import TransientError, UsageError
from index_store.records import Citation, Hit, ScoreParts
from retriever.http_reranking import HttpReranker
from retriever.llama_reranking import open_llama_reranker
from retriever.options import RetrieverOptions
from retriever.reranking import (
    RerankOptions,
    RerankShape,
    RerankStage,
    in_order,
    read_scores,
)
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

Answer = Callable[[dict[str, object]], object]


def hit(text: str, score: float, *, verbatim: bool = False) -> Hit:
    return Hit(
        score=score,
        uri=f"{text}.txt",
        text=text,
        citation=Citation(),
        chunk="0" * 64,
        verbatim=verbatim,
        parts=ScoreParts(fused=score),
    )


HITS = (hit("a", 0.9), hit("bbb", 0.8), hit("cc", 0.7))


@contextmanager
def endpoint(answer: Answer, status: int = 200) -> Iterator[tuple[str, list[dict[str, object]]]]:
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body | {"authorization": self.headers["Authorization"]})
            reply = json.dumps(answer(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rerank", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stage(url: str, shape: RerankShape, deadline_s: float = 60.0, **more: str) -> RerankStage:
    options = RerankOptions(shape=shape, url=url, deadline_s=deadline_s, **more)
    return RerankStage(HttpReranker(options), deadline_s)


def by_length(body: dict[str, object]) -> list[dict[str, object]]:
    """Score texts by their length, best first."""
    texts = body.get("documents") or body["texts"]
    assert isinstance(texts, list)
    scored = [{"index": place, "score": len(text)} for place, text in enumerate(texts)]
    return sorted(scored, key=lambda each: -each["score"])


def as_results(body: dict[str, object]) -> dict[str, object]:
    results = [
        {"index": each["index"], "relevance_score": each["score"]} for each in by_length(body)
    ]
    return {"results": results, "model": body["model"]}


@pytest.mark.parametrize("shape", [RerankShape.COHERE, RerankShape.JINA])
def test_documents_are_sent_and_results_give_the_order(shape: RerankShape):
    with endpoint(as_results) as (url, asked):
        judge = stage(url, shape, model="judge", api_key="k")
        reranked = judge.rerank("why?", HITS)
        judge.close()
    assert [each.text for each in reranked.hits] == ["bbb", "cc", "a"]
    assert reranked.problem is None
    assert next(each.parts for each in reranked.hits) == ScoreParts(fused=0.8, rerank=3.0)
    assert asked == [
        {
            "model": "judge",
            "query": "why?",
            "documents": ["a", "bbb", "cc"],
            "top_n": 3,
            "authorization": "Bearer k",
        }
    ]


def test_texts_are_sent_and_a_bare_list_gives_the_order():
    with endpoint(by_length) as (url, asked):
        judge = stage(url, RerankShape.TEI)
        reranked = judge.rerank("why?", HITS)
        judge.close()
    assert [each.text for each in reranked.hits] == ["bbb", "cc", "a"]
    assert (asked[0]["texts"], asked[0]["authorization"]) == (["a", "bbb", "cc"], None)


def test_after_the_deadline_the_order_without_it_is_served():
    release = threading.Event()

    def late(body: dict[str, object]) -> object:
        release.wait(60)
        return by_length(body)

    with endpoint(late) as (url, _):
        judge = stage(url, RerankShape.TEI, deadline_s=0.05)
        reranked = judge.rerank("why?", HITS)
        release.set()
        judge.close()
    assert reranked.hits == HITS
    assert reranked.problem is not None


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"error": "busy"}, 503),
        ({"results": []}, 200),
        ({}, 200),
        ("text", 200),
        ([{"index": 0, "score": 1}, {"index": 0, "score": 2}, {"index": 1, "score": 0}], 200),
        ([{"index": 7, "score": 1}], 200),
        ([{"index": 0}, {"index": 1}, {"index": 2}], 200),
    ],
)
def test_a_reply_that_is_no_judgement_changes_nothing(reply: object, status: int):
    with endpoint(lambda _: reply, status) as (url, _):
        judge = stage(url, RerankShape.JINA)
        reranked = judge.rerank("why?", HITS)
        judge.close()
    assert reranked.hits == HITS
    assert str(reranked.problem).startswith("reranker: ")


def test_a_reranker_out_of_reach_changes_nothing():
    judge = stage("http://127.0.0.1:1/rerank", RerankShape.TEI)
    assert judge.rerank("why?", HITS).hits == HITS
    judge.close()


def test_quotations_stay_first_and_numbers_must_be_numbers():
    hits = (hit("said", 0.1, verbatim=True), *HITS)
    assert [each.text for each in in_order(hits, [0.0, 1.0, 3.0, 2.0])] == [
        "said",
        "bbb",
        "cc",
        "a",
    ]
    with pytest.raises(ValueError, match="not sent, or not once"):
        read_scores([{"index": 0, "score": float("nan")}], 1)


class Shortest:
    """A postprocessor that keeps the two shortest nodes."""

    def postprocess_nodes(self, nodes: list, query_str: str) -> list:
        assert query_str == "why?"
        kept = sorted(nodes, key=lambda each: len(each.node.get_content()))[:2]
        for place, each in enumerate(kept):
            each.score = 1.0 - place
        return kept


def test_a_llama_index_postprocessor_is_a_reranker():
    reranker = open_llama_reranker(f"{__name__}.Shortest")
    scores = reranker.scores("why?", ["a", "bbb", "cc"])
    assert [each.text for each in in_order(HITS, scores)] == ["a", "cc", "bbb"]
    with pytest.raises(UsageError, match="reranker 'nowhere.Thing' cannot be made"):
        open_llama_reranker("nowhere.Thing")
    with pytest.raises(TransientError, match="reranker: AssertionError"):
        reranker.scores("another", ["a"])


def test_options_out_of_bounds_are_refused():
    with pytest.raises(UsageError, match="deadline above 0"):
        RerankOptions(shape=RerankShape.TEI, url="http://x", deadline_s=0)
    with pytest.raises(UsageError, match="address"):
        RerankOptions(shape=RerankShape.TEI, url="")


def test_the_service_shows_the_best_of_more_candidates(
    publisher: Publisher, serve: Serve, until: Until
):
    publisher.publish("docs", {f"{n}.txt": ["word " * n] for n in (3, 9, 5)})
    with endpoint(by_length) as (url, asked):
        rerank = RerankOptions(shape=RerankShape.TEI, url=url, deadline_s=60)
        with serve(RetrieverOptions(store=publisher.url, poll_s=0.02, rerank=rerank)) as client:
            until(lambda: client.get("/readyz").status_code == 200)
            asking = {"query": "word today", "k": 1}
            hits = client.post("/v1/search", json=asking).json()["hits"]
            grown = {
                good: client.post("/v1/search", json={**asking, "most_k": 3, "good_score": good})
                for good in (-1.0, 1.0)
            }
    assert [len(reply.json()["hits"]) for reply in grown.values()] == [1, 3]
    assert [each["uri"] for each in hits] == ["9.txt"]
    assert hits[0]["scores"]["rerank"] == hits[0]["score"] == len("word " * 9)
    assert len(asked[0]["texts"]) == 3
