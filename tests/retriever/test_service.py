"""The service as its clients see it: a real server on a port of this machine."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

TRAIN = "The night train to the observatory leaves at eleven."
BREAD = "Bread is baked before dawn in the village."
LEAVE = "Le salarié acquiert deux jours et demi de congés payés par mois."


def options_for(publisher: Publisher, max_body_bytes: int = 1000) -> RetrieverOptions:
    return RetrieverOptions(
        store=publisher.url, poll_s=0.02, retry_s=0.02, max_body_bytes=max_body_bytes
    )


def is_ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 200


def served(client: httpx.Client, collection: str) -> dict[str, object]:
    states = client.get("/status").json()["collections"]
    return next((state for state in states if state["name"] == collection), {})


def test_a_hit_says_where_it_stands(publisher: Publisher, serve: Serve, until: Until):
    version = publisher.publish("docs", {"en/train.txt": [BREAD, TRAIN], "fr/a.txt": [LEAVE]})
    with serve(options_for(publisher)) as client:
        until(lambda: is_ready(client))
        response = client.post("/v1/search", json={"query": TRAIN, "k": 2})
    answer = response.json()
    assert answer["version"] == version
    assert response.headers["x-index-version"] == version
    assert int(response.headers["x-index-age"]) >= 0
    assert (answer["collection"], answer["mode"]) == ("docs", "dense")
    assert answer["took_ms"] >= 0
    first = answer["hits"][0]
    assert first["score"] == pytest.approx(1.0, abs=0.01)
    assert len(first.pop("chunk")) == 64
    scores = first.pop("scores")
    assert scores["dense"] == first["score"]
    assert [scores[part] for part in ("lexical", "fused", "rerank")] == [None] * 3
    assert {**first, "score": 1} == {
        "score": 1,
        "title": None,
        "date": None,
        "language": None,
        "context": None,
        "also_in": [],
        "uri": "en/train.txt",
        "page": 2,
        "slide": None,
        "sheet": None,
        "row_start": None,
        "row_end": None,
        "section": "Part › 1",
        "url": None,
        "text": TRAIN,
        "verbatim": True,
    }


def test_a_path_prefix_leaves_other_documents_out(publisher: Publisher, serve: Serve, until: Until):
    publisher.publish("docs", {"en/train.txt": [TRAIN], "fr/a.txt": [LEAVE]})
    with serve(options_for(publisher)) as client:
        until(lambda: is_ready(client))
        asked = {"query": TRAIN, "filter": {"path_prefix": "fr/"}}
        hits = client.post("/v1/search", json=asked).json()["hits"]
    assert [hit["uri"] for hit in hits] == ["fr/a.txt"]


def test_refusals_have_one_shape(publisher: Publisher, serve: Serve, until: Until):
    publisher.publish("docs", {"a.txt": [TRAIN]})
    with serve(options_for(publisher)) as client:
        until(lambda: is_ready(client))
        ask = partial(client.post, "/v1/search")
        refused = [
            (ask(content=b"{"), 400, "invalid_json"),
            (ask(json={"query": "x", "mode": "magic"}), 400, "unsupported_mode"),
            (ask(json={"query": "x", "mode": "lexical"}), 400, "unsupported_search"),
            (ask(json={"query": "x", "k": 101}), 400, "invalid_value"),
            (ask(json={"query": "y" * 2000}), 413, "body_too_large"),
            (ask(json={"query": "x", "collection": "z"}), 404, "collection_not_found"),
            (client.get("/v1/search"), 405, "http_405"),
            (client.get("/elsewhere"), 404, "http_404"),
        ]
        still = client.post("/v1/search", json={"query": "x"})
    for answer, status, code in refused:
        assert answer.status_code == status
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code", "request_id"}
        assert error["request_id"] == answer.headers["x-request-id"]
        assert answer.json()["error"]["code"] == code
    assert still.status_code == 200


def test_several_collections_must_be_told_apart(publisher: Publisher, serve: Serve, until: Until):
    for name in ("hr", "law"):
        publisher.publish(name, {f"{name}.txt": [TRAIN]})
    with serve(options_for(publisher)) as client:
        until(lambda: all(served(client, name).get("version") for name in ("hr", "law")))
        unnamed = client.post("/v1/search", json={"query": TRAIN})
        named = client.post("/v1/search", json={"query": TRAIN, "collection": "law"})
    assert unnamed.status_code == 400
    assert "hr, law" in unnamed.json()["error"]["message"]
    assert named.json()["hits"][0]["uri"] == "law.txt"


def test_it_is_alive_but_not_ready_before_the_first_version(
    publisher: Publisher, serve: Serve, until: Until
):
    with serve(options_for(publisher)) as client:
        assert client.get("/livez").status_code == 200
        until(lambda: "no collection" in client.get("/readyz").text)
        assert client.get("/readyz").status_code == 503
        assert client.post("/v1/search", json={"query": "x"}).status_code == 503
        publisher.publish("docs", {"a.txt": [TRAIN]})
        until(lambda: is_ready(client))
        assert client.post("/v1/search", json={"query": "x"}).status_code == 200


def test_a_new_version_is_served_without_a_restart_or_a_failed_request(
    publisher: Publisher, serve: Serve, until: Until
):
    first = publisher.publish("docs", {"a.txt": [TRAIN]})
    with serve(options_for(publisher)) as client:
        until(lambda: is_ready(client))
        answers: list[httpx.Response] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(client.post("/v1/search", json={"query": BREAD, "k": 1}))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        second = publisher.publish("docs", {"b.txt": [BREAD]})
        until(lambda: served(client, "docs")["version"] == second)
        stop.set()
        for thread in asking:
            thread.join()
        answers.append(client.post("/v1/search", json={"query": BREAD, "k": 1}))
    assert {answer.status_code for answer in answers} == {200}
    uri_of = {first: "a.txt", second: "b.txt"}
    for answer in answers:
        body = answer.json()
        assert body["hits"][0]["uri"] == uri_of[body["version"]]
    assert answers[-1].json()["version"] == second


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["manifest.json", "index.faiss", "chunks.arrow"])
def test_a_damaged_version_leaves_the_old_one_serving(
    publisher: Publisher,
    serve: Serve,
    until: Until,
    damage: Callable[[Path], None],
    name: str,
):
    first = publisher.publish("docs", {"a.txt": [TRAIN]})
    with serve(options_for(publisher)) as client:
        until(lambda: is_ready(client))
        assert served(client, "docs")["error"] is None
        second = publisher.publish_damaged("docs", {"b.txt": [BREAD]}, damage, name)
        until(lambda: served(client, "docs")["error"] is not None)
        state = served(client, "docs")
        answer = client.post("/v1/search", json={"query": TRAIN}).json()
        ready = is_ready(client)
    assert (state["version"], state["wanted"]) == (first, second)
    assert f"version {second} is not served" in str(state["error"])
    assert name in str(state["error"])
    assert answer["version"] == first
    assert ready
