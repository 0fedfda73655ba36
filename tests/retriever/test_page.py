"""The page and what it stands on, over a real socket."""

import hashlib

import httpx
import pytest

from retriever.access import AccessOptions, parse_keys
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

FILES = ("/", "/page.css", "/page.js")
KEYED = ("/v1/collections/docs/versions", "/status", "/v1/models")


def keyed(publisher: Publisher) -> RetrieverOptions:
    lines = tuple(
        f"{scope}:{scope}:{hashlib.sha256(scope.encode()).hexdigest()}"
        for scope in ("query", "admin")
    )
    access = AccessOptions(keys=parse_keys(lines))
    return RetrieverOptions(store=publisher.url, poll_s=0.02, retry_s=0.02, access=access)


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def test_the_page_comes_without_a_key_and_what_it_shows_does_not(
    publisher: Publisher, serve: Serve, until: Until
):
    publisher.publish("docs", {"a.txt": ["one"]})
    with serve(keyed(publisher)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        for path in FILES:
            assert client.get(path).status_code == 200
        for path in KEYED:
            told = [client.get(path, headers=bearer(key)).status_code for key in (None, "bad")]
            assert told == [401, 401]
            for key in ("query", "admin"):
                assert client.get(path, headers=bearer(key)).status_code == 200


def test_the_page_runs_no_script_but_its_own_and_other_sites_may_not_read(
    publisher: Publisher, serve: Serve
):
    with serve(RetrieverOptions(store=publisher.url)) as client:
        for path in FILES:
            headers = client.get(path, headers={"Origin": "https://elsewhere.example"}).headers
            policy = headers["content-security-policy"]
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert not any(name.startswith("access-control-") for name in headers)
        assert "innerHTML" not in client.get("/page.js").text
        assert "<script>" not in client.get("/").text


@pytest.mark.parametrize("path", ["/../secret", "/page/%2e%2e/service.py", "/%2e%2e%2fservice.py"])
def test_no_path_leads_to_other_files(publisher: Publisher, serve: Serve, path: str):
    with serve(RetrieverOptions(store=publisher.url)) as client:
        url = client.base_url.copy_with(raw_path=path.encode())
        assert client.send(httpx.Request("GET", url)).status_code == 404


def test_versions_come_newest_first_and_say_which_one_answers(
    publisher: Publisher, serve: Serve, until: Until
):
    old = publisher.publish("docs", {"a.txt": ["one"]})
    new = publisher.publish("docs", {"a.txt": ["one"], "b.txt": ["two"]})
    with serve(RetrieverOptions(store=publisher.url, poll_s=0.02)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        shown = client.get("/v1/collections/docs/versions").json()
        missing = client.get("/v1/collections/other/versions")
    assert shown["served"] == new
    assert shown["age_s"] >= 0
    assert [each["version"] for each in shown["versions"]] == [new, old]
    assert [each["documents"] for each in shown["versions"]] == [2, 1]
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "collection_not_found"
