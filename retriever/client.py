"""Ask a retriever over HTTP from Python: a plain client with typed answers.

    with RetrieverClient("http://127.0.0.1:8080") as client:
        for hit in client.search("Who keeps the observatory?").hits:
            print(hit.uri, hit.page, hit.text)

Invariant: every failure is one of our errors and says what the retriever said.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx
import orjson

from index_store.errors import IndexStoreError, NotFoundError, TransientError, UsageError
from index_store.fields import Fields, parse_object
from retriever.found import ANY, Json, SearchAnswer, SearchWish, parse_answer

DEFAULT_TIMEOUT_S = 30.0
BUSY = frozenset({408, 425, 429})  # beside every 5xx: worth another try
MAX_SHOWN_CHARS = 500


class RetrieverClient:
    """A connection to one retriever; safe from several threads, close it when done.

    Args:
        url: Address of the retriever, such as `http://127.0.0.1:8080`.
        api_key: Key that is sent as a bearer token; empty when the retriever asks for none.
        timeout_s: Seconds that the retriever may be silent.
        headers: Sent with every request, such as the groups of the person who asks.

    Raises:
        UsageError: The address is not one of HTTP.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"retriever address {url!r} must begin with http:// or https://")
        sent = dict(headers or {})
        if api_key:
            sent["Authorization"] = f"Bearer {api_key}"
        self.url = url
        self._http = httpx.Client(base_url=url, headers=sent, timeout=timeout_s)

    def search(self, query: str, wish: SearchWish = ANY) -> SearchAnswer:
        """Return the chunks that answer a question best.

        Raises:
            UsageError: The retriever refuses the request; the message says why.
            NotFoundError: There is no such collection or version.
            TransientError: The retriever is busy, not ready or out of reach.
            CorruptArtifactError: The answer is not one of a retriever.
        """
        path = "/v1/search"
        if wish.version is not None:
            path = f"/v1/versions/{wish.version}/search"
        return parse_answer(self._call("POST", path, wish.body(query)))

    def status(self) -> Json:
        """Return the body of `/status`: what is served, since when, and what went wrong.

        Raises:
            UsageError: The key is missing or has no right to it.
            TransientError: The retriever is out of reach.
            CorruptArtifactError: The answer is not one of a retriever.
        """
        return dict(parse_object(self._call("GET", "/status"), f"status of {self.url}"))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, body: Json | None = None) -> bytes:
        content = None if body is None else orjson.dumps(body)
        try:
            answer = self._http.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
        except httpx.TimeoutException as error:
            raise TransientError(f"retriever {self.url} did not answer in time") from error
        except httpx.HTTPError as error:
            raise TransientError(f"retriever {self.url} cannot be reached: {error}") from error
        if answer.is_success:
            return answer.content
        raise _refusal(answer, self.url)


def _refusal(answer: httpx.Response, url: str) -> IndexStoreError:
    """Return the error that an answer without success stands for."""
    message = f"retriever {url}: {_message(answer)}"
    if answer.status_code == httpx.codes.NOT_FOUND:
        return NotFoundError(message)
    if answer.status_code in BUSY or answer.status_code >= 500:
        return TransientError(message)
    return UsageError(message)


def _message(answer: httpx.Response) -> str:
    """Return what the answer says, or its status when a stranger answered."""
    try:
        body = parse_object(answer.content, "refusal")
    except IndexStoreError:
        return f"status {answer.status_code}"
    said = Fields(body.get("error"), "error", []).text("message")
    return said[:MAX_SHOWN_CHARS] or f"status {answer.status_code}"
