"""Real LlamaIndex embeddings that count letters, and some that misbehave."""

from llama_index.core.base.embeddings.base import BaseEmbedding


class LetterEmbedding(BaseEmbedding):
    model_name: str = "letters-1"
    size: int = 64

    def _get_text_embedding(self, text: str) -> list[float]:
        counts = [1.0] + [0.0] * (self.size - 1)
        for position, letter in enumerate(text[:200]):
            counts[(ord(letter) * 7 + position) % self.size] += 1.0
        return counts

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class TiltedEmbedding(LetterEmbedding):
    """The same name, another model."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return super()._get_text_embedding(text)[::-1]


class AskingEmbedding(LetterEmbedding):
    """Embeds questions otherwise than texts."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(f"question: {query}")


class StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__("the text of the request must not leak")
        self.status_code = status_code


class RefusingEmbedding(LetterEmbedding):
    """Answers every request with an error of the given status, or of a lost connection."""

    status: int = 0

    def _get_text_embedding(self, text: str) -> list[float]:
        raise StatusError(self.status) if self.status else ConnectionError(len(text))
