"""The page of a version over a real socket: who sees names, and what the page may do."""

from index_store.layout import figures_page_key, page_key
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher
from tests.retriever.test_page import bearer, keyed


def published(publisher: Publisher) -> str:
    version = publisher.publish("docs", {"a.txt": ["one"]})
    publisher.storage.put(page_key("docs", version), b"<p>a.txt</p>")
    publisher.storage.put(figures_page_key("docs", version), b"<p>1 document</p>")
    return version


def test_names_are_for_administrators_and_everybody_sees_figures(
    publisher: Publisher, serve: Serve, until: Until
):
    version = published(publisher)
    path = f"/v1/collections/docs/versions/{version[:12]}/report"
    with serve(keyed(publisher)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get(path).status_code == 401
        told = {key: client.get(path, headers=bearer(key)) for key in ("query", "admin")}
    assert told["query"].text == "<p>1 document</p>"
    assert told["admin"].text == "<p>a.txt</p>"
    for answer in told.values():
        assert answer.headers["content-type"].startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert policy.endswith("sandbox")


def test_without_keys_nobody_sees_names_and_what_is_not_there_is_told(
    publisher: Publisher, serve: Serve, until: Until
):
    version = published(publisher)
    bare = publisher.publish("docs", {"a.txt": ["one"], "b.txt": ["two"]})
    with serve(RetrieverOptions(store=publisher.url, poll_s=0.02)) as client:
        until(lambda: client.get("/readyz").status_code == 200)

        def told(of: str, collection: str = "docs") -> tuple[int, str]:
            answer = client.get(f"/v1/collections/{collection}/versions/{of}/report")
            return answer.status_code, answer.text

        assert told(version) == (200, "<p>1 document</p>")
        assert told(bare)[0] == told("f" * 64)[0] == told(version, "other")[0] == 404
        assert told("..%2F..")[0] == 404
