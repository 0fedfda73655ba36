"""One opened version of a collection, counted in and out so that it closes after its last request.

Invariants: a request is answered from the generation it entered, wholly; a retired generation takes
nobody in and closes when the last request has left, never before.
"""

import threading
from collections.abc import Sequence

import numpy as np

from index_store.embedder import Embedder, Vectors
from index_store.errors import CorruptArtifactError
from index_store.records import Hit
from index_store.search_options import Question, Retrieval, SearchOptions
from index_store.selection import adaptive_k
from index_store.snapshot import Snapshot
from retriever.query import Query
from retriever.reranking import RerankStage

WARM_QUESTION = "warm"


class Generation:
    """A snapshot together with the embedder that its questions need.

    Args:
        snapshot: The opened version; owned from here on.
        embedder: Makes vectors like the snapshot's; shared, so it stays open.
        opened_at_ms: When it was opened, milliseconds since the epoch.
        rerank: Puts hits into a better order; shared. None leaves them in that of the search.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        embedder: Embedder,
        opened_at_ms: int,
        *,
        rerank: RerankStage | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.opened_at_ms = opened_at_ms
        self._embedder = embedder
        self._rerank = rerank
        self._lock = threading.Lock()
        self._requests = 0
        self._retired = False
        self._closed = False

    @property
    def version(self) -> str:
        """The version it answers from."""
        return self.snapshot.version

    @property
    def closed(self) -> bool:
        """Whether it was retired and its last request has left."""
        return self._closed

    def warm(self) -> None:
        """Ask one question, so that weights are loaded and pages touched before people ask.

        Raises:
            CorruptArtifactError: The index does not answer.
        """
        vector = self._embedder.embed_question(WARM_QUESTION)
        options = SearchOptions(k=1, all_groups=True)
        hits = self.snapshot.search(Question(text=WARM_QUESTION, vector=vector), options)
        if not hits and self.snapshot.rows > 0:
            raise CorruptArtifactError(
                f"{self.snapshot.rows} live chunks expected, but a probe found none"
            )

    def search(self, query: Query) -> tuple[Hit, ...]:
        """Embed the question, search, and rerank if asked; safe from several threads."""
        vector = None
        if query.options.retrieval is not Retrieval.LEXICAL or query.options.needs_cosine:
            vector = self._embedder.embed_question(query.text)
        question = Question(text=query.text, vector=vector)
        if self._rerank is None:
            return self.snapshot.search(question, query.options)
        hits = self.snapshot.search(question, self._rerank.widened(query.options))
        reranked = self._rerank.rerank(query.text, hits).hits
        rule = query.options.adaptive
        if rule is None:
            return reranked[: query.options.k]
        cosines = [hit.parts.dense or 0.0 for hit in reranked]
        return reranked[: adaptive_k(cosines, query.options.k, rule)]

    def embed_question(self, question: str) -> Vectors:
        """Embed a question, not blank: float32, shape (dimension,), L2-normalised."""
        return self._embedder.embed_question(question)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts as those of the version were.

        Args:
            texts: At least one, none of them blank.

        Returns:
            float32, shape (len(texts), dimension), rows L2-normalised.
        """
        most = self._embedder.limits.texts
        parts = [
            self._embedder.embed(texts[start : start + most])
            for start in range(0, len(texts), most)
        ]
        return np.concatenate(parts)

    def enter(self) -> bool:
        """Count a request in; False when it was retired, then ask for the live one again."""
        with self._lock:
            if self._retired:
                return False
            self._requests += 1
            return True

    def leave(self) -> None:
        """Count a request out; the last one out of a retired generation closes it."""
        with self._lock:
            self._requests -= 1
            last = self._retired and self._requests == 0
        if last:
            self._close()

    def retire(self) -> None:
        """Take nobody in any more; close now or when the last request leaves."""
        with self._lock:
            if self._retired:
                return
            self._retired = True
            idle = self._requests == 0
        if idle:
            self._close()

    def _close(self) -> None:
        self.snapshot.close()
        self._closed = True
