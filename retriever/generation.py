"""One opened version of a collection, counted in and out so that it closes after its last request.

Invariants: a request is answered from the generation it entered, wholly; a retired generation takes
nobody in and closes when the last request has left, never before.
"""

import threading
import time
from collections.abc import Callable, Sequence

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
NoteStage = Callable[[str, float], None]


def _note_nothing(_stage: str, _seconds: float) -> None:
    """Nobody measures."""


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

    def search(self, query: Query, note: NoteStage = _note_nothing) -> tuple[Hit, ...]:
        """Embed the question, search, and rerank if asked; safe from several threads.

        Args:
            query: What is asked.
            note: Told how many seconds each stage took: embed, find, rerank.
        """
        began = time.perf_counter()
        vector = None
        if query.options.retrieval is not Retrieval.LEXICAL or query.options.needs_cosine:
            vector = self._embedder.embed_question(query.text)
        embedded = time.perf_counter()
        note("embed", embedded - began)
        question = Question(text=query.text, vector=vector)
        rerank = self._rerank
        options = query.options if rerank is None else rerank.widened(query.options)
        hits = self.snapshot.search(question, options)
        found = time.perf_counter()
        note("find", found - embedded)
        if rerank is None:
            return hits
        hits = rerank.rerank(query.text, hits).hits
        note("rerank", time.perf_counter() - found)
        return hits[: _shown(hits, query.options)]

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


def _shown(hits: Sequence[Hit], options: SearchOptions) -> int:
    """Return how many of the reranked hits are shown."""
    if options.adaptive is None:
        return options.k
    return adaptive_k([hit.parts.dense or 0.0 for hit in hits], options.k, options.adaptive)
