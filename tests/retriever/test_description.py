"""The service against its own description: what Schemathesis makes of it never fails the server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retriever.inbox import InboxOptions
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher
from tests.retriever.test_access import key_line

KEY = "tester"


@pytest.fixture
def client(
    publisher: Publisher, serve: Serve, until: Until, tmp_path: Path
) -> Iterator[httpx.Client]:
    publisher.publish("docs", {"a.txt": ["the night train to the observatory"]})
    options = RetrieverOptions(store=publisher.url, poll_s=0.02)
    (tmp_path / "inbox").mkdir()
    options = replace(
        options,
        access=key_line(KEY, "query,upload,forward"),
        inbox=InboxOptions(folder=str(tmp_path / "inbox")),
    )
    with serve(options) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def asked(client: httpx.Client, examples: int) -> dict[str, set[int]]:
    """Ask every operation of the description; the statuses that came back, by operation."""
    import schemathesis  # noqa: PLC0415 - takes seconds to load

    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    modes = list(schemathesis.GenerationMode)
    seen: dict[str, set[int]] = {}
    for operation in (result.ok() for result in schema.get_all_operations()):
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
        name = f"{operation.method.upper()} {operation.path}"
        seen[name] = statuses(client, cases, examples)
    return seen


def statuses(client: httpx.Client, cases: st.SearchStrategy[Any], examples: int) -> set[int]:
    """Ask one operation in many ways; the statuses that came back."""
    seen = set()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case) -> None:  # noqa: ANN001 - its type takes seconds to load
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = case.call(base_url=str(client.base_url), headers=headers)
        seen.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            error = answer.json()["error"]
            assert error["request_id"] == answer.headers["x-request-id"][0]

    ask()
    return seen


def test_nothing_that_the_description_allows_or_forbids_fails_the_server(client: httpx.Client):
    seen = asked(client, examples=5)
    assert len(seen) >= 14
    assert 200 in seen["POST /v1/search"] | seen["GET /status"]


@pytest.mark.soak
def test_a_long_look_fails_the_server_neither(client: httpx.Client):
    assert len(asked(client, examples=300)) >= 14
