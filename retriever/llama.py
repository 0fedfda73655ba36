"""A LlamaIndex retriever over a running service, for programs that are built with LlamaIndex.

    retriever = NightpressRetriever("http://127.0.0.1:8080", wish=SearchWish(k=8))
    nodes = retriever.retrieve("Qui garde l'observatoire ?")

Needs the extra `llama`. Invariant: what a node embeds or shows to a language model is its text
alone; its metadata is there for citations and for filters.
"""

from collections.abc import Mapping

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from retriever.client import DEFAULT_TIMEOUT_S, RetrieverClient
from retriever.found import ANY, FoundChunk, SearchAnswer, SearchWish

_CITED = (
    "uri",
    "url",
    "title",
    "date",
    "language",
    "page",
    "slide",
    "sheet",
    "row_start",
    "row_end",
    "section",
)


class NightpressRetriever(BaseRetriever):
    """Finds chunks in the version that a retriever serves.

    Args:
        url: Address of the retriever.
        wish: How to search.
        api_key: Key of the retriever, empty when it asks for none.
        timeout_s: Seconds that the retriever may be silent.
        headers: Sent with every request, such as the groups of the person who asks.

    Raises:
        UsageError: The address is not one of HTTP.
    """

    def __init__(
        self,
        url: str,
        *,
        wish: SearchWish = ANY,
        api_key: str = "",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = RetrieverClient(url, api_key=api_key, timeout_s=timeout_s, headers=headers)
        self._wish = wish
        super().__init__()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        answer = self._client.search(query_bundle.query_str, self._wish)
        return [_node(hit, answer) for hit in answer.hits]


def _node(hit: FoundChunk, answer: SearchAnswer) -> NodeWithScore:
    cited = {name: getattr(hit, name) for name in _CITED}
    metadata = {name: value for name, value in cited.items() if value is not None}
    metadata |= {"collection": answer.collection, "version": answer.version}
    node = TextNode(
        id_=hit.chunk,
        text=hit.context or hit.text,
        metadata=metadata,
        excluded_embed_metadata_keys=list(metadata),
        excluded_llm_metadata_keys=list(metadata),
    )
    return NodeWithScore(node=node, score=hit.score)
