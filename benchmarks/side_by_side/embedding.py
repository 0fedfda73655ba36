"""The same embedder for every side: hashed words, which cost next to nothing."""

from llama_index.core.embeddings import BaseEmbedding
from pydantic import PrivateAttr
from side_by_side.side import DIMENSION

from index_store.embedders.hashing import HashingEmbedder


class WordsEmbedding(BaseEmbedding):
    """The hashing embedder behind LlamaIndex's interface."""

    _embedder: HashingEmbedder = PrivateAttr(default_factory=lambda: HashingEmbedder(DIMENSION))

    def _get_text_embedding(self, text: str) -> list[float]:
        vector: list[float] = self._embedder.embed([text])[0].tolist()
        return vector

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.embed(texts).tolist()
        return vectors

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)
