"""Answers questions of one opened version outside the service, for evaluations.

It goes the way of the chat door: the same search, the same prompt or the same best passages. It is
synchronous; each question runs an event loop of its own to its end.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index_store.embedder import Embedder
from index_store.search_options import AdaptiveK, Question, SearchOptions
from index_store.snapshot import Snapshot
from retriever.chat.answering import PartKind, answer
from retriever.chat.backend import ChatBackend
from retriever.chat.conversation import Asked
from retriever.chat.options import ChatOptions, ModelOptions
from retriever.chat.sources import Source, number_sources
from retriever.links import LinkOptions

HITS_PER_DOCUMENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer.

    Attributes:
        text: Its words.
        sources: Documents that it rests on, the best first.
    """

    text: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One version with what answers from it.

    Attributes:
        snapshot: The version, opened.
        embedder: The embedder of that version.
        chat: How questions are answered.
        links: Where documents are found.
    """

    snapshot: Snapshot
    embedder: Embedder
    chat: ChatOptions
    links: LinkOptions

    def answer(self, question: str, groups: frozenset[str] | None) -> Answered:
        """Answer a question.

        Args:
            question: What is asked.
            groups: Groups of the reader; None leaves rights aside.

        Raises:
            TransientError: The embedder or the language model is out of reach.
        """
        vector = self.embedder.embed_question(question)
        options = SearchOptions(
            k=self.chat.k,
            groups=groups,
            all_groups=groups is None,
            adaptive=AdaptiveK(
                good_score=self.chat.good_score,
                enough=self.chat.k,
                step=self.chat.k,
                most=self.chat.most_k,
            ),
            per_document=HITS_PER_DOCUMENT,
            neighbours=1,
        )
        hits = self.snapshot.search(Question(text=question, vector=vector), options)
        return asyncio.run(self._answer(question, number_sources(hits, self.links)))

    async def _answer(self, question: str, sources: tuple[Source, ...]) -> Answered:
        model = self.chat.model
        backend = ChatBackend(model, time.monotonic) if model.base_url and model.models else None
        asked = Asked(question=question, search_text=question)
        said = ""
        try:
            async for part in answer(
                asked, sources, backend, self.chat.prompt, limits={}, with_list=False
            ):
                said += part.text if part.kind is PartKind.TEXT else ""
        finally:
            if backend is not None:
                await backend.close()
        return Answered(text=said.strip(), sources=tuple(source.uri for source in sources))


def ask_model(options: ModelOptions, messages: Sequence[Mapping[str, str]]) -> str:
    """Ask a language model once and return all that it said.

    Raises:
        TransientError: No model answers.
    """

    async def asked() -> str:
        backend = ChatBackend(options, time.monotonic)
        try:
            return "".join([piece.text async for piece in backend.stream(messages, {})])
        finally:
            await backend.close()

    return asyncio.run(asked())
