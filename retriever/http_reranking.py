"""A reranker behind an address."""

from collections.abc import Sequence

import httpx

from index_store.errors import TransientError
from retriever.reranking import RerankOptions, RerankShape, read_scores


class HttpReranker:
    """A reranker behind an address, in the shapes of Cohere, Jina and TEI."""

    def __init__(self, options: RerankOptions) -> None:
        self._options = options
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        self._client = httpx.Client(headers=headers, timeout=options.deadline_s)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Ask the endpoint."""
        try:
            answer = self._client.post(self._options.url, json=self._body(question, texts))
            answer.raise_for_status()
            return read_scores(answer.json(), len(texts))
        except httpx.HTTPStatusError as error:
            raise TransientError(f"reranker: status {error.response.status_code}") from error
        except httpx.HTTPError as error:
            raise TransientError(f"reranker: {type(error).__name__}") from error
        except ValueError as error:
            raise TransientError(f"reranker: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _body(self, question: str, texts: Sequence[str]) -> dict[str, object]:
        if self._options.shape is RerankShape.TEI:
            return {"query": question, "texts": list(texts), "raw_scores": False, "truncate": True}
        return {
            "model": self._options.model,
            "query": question,
            "documents": list(texts),
            "top_n": len(texts),
        }
