"""A store and a provider side by side, for tests and benchmarks of embedding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from pydantic import SecretStr

from index_store.embedder import RequestLimits
from index_store.embedders.remote.embedder import RemoteEmbedder
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.embeddings import EmbeddingStore
from index_store.ids import text_hash
from index_store.records import Chunk, Citation
from index_store.storage.base import Storage
from index_store.storage.memory import MemoryStorage
from tasks.stages.checkpoints import DocumentOutcome, ParsedBatch, ParsedBatchWriter
from tasks.stages.embedding import Embedded, embed_batch
from tasks.stages.purse import Purse
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer

PRICE = 1.0  # of a million tokens
SMALL = RequestLimits(texts=8, tokens=200, in_flight=3)
QUICK = PaceOptions(backoff_s=0.001, backoff_cap_s=0.002, retries=12)


class Desk:
    """A store, and an embedder that asks a provider at an address."""

    def __init__(
        self,
        url: str,
        dimension: int,
        *,
        limits: RequestLimits = SMALL,
        pace: PaceOptions = QUICK,
        storage: Storage | None = None,
        timeout_s: float = 30.0,
        count: Callable[[str], int] = lambda text: len(text.split()),
    ) -> None:
        self._count = count
        self.storage = storage or MemoryStorage("desk")
        self.embedder = RemoteEmbedder(
            "mistral",
            f"test@{dimension}",
            RemoteOptions(
                base_url=url,
                key=SecretStr(KEY),
                timeout_s=timeout_s,
                limits=limits,
                pace=pace,
                price_per_million_tokens=PRICE,
            ),
        )

    def vectors(self) -> EmbeddingStore:
        spec = self.embedder.spec
        store = EmbeddingStore(self.storage, spec.id, spec.dimension)
        store.refresh()
        return store

    def batch(
        self, documents: Sequence[Sequence[str]], source: Callable[[int], str] = lambda _: ""
    ) -> ParsedBatch:
        with ParsedBatchWriter() as writer:
            for number, texts in enumerate(documents):
                outcome = DocumentOutcome(
                    uri=f"{source(number)}/{number:04d}.txt".lstrip("/"),
                    size_bytes=1,
                    mtime_ns=1,
                    content_hash="h",
                    work_key="k",
                    row_start=writer.rows,
                    row_end=writer.rows + len(texts),
                )
                chunks = [
                    Chunk(text=text, tokens=self._count(text), citation=Citation())
                    for text in texts
                ]
                writer.add(outcome, chunks)
            return writer.store(self.storage, "docs", "run", 0)

    def embed(self, batch: ParsedBatch, purse: Purse | None = None) -> Embedded:
        return embed_batch(batch, self.storage, self.embedder, self.vectors(), purse)

    def wrong(self, texts: Sequence[str], server: EmbeddingServer) -> tuple[int, int]:
        """Return how many texts have no vector, and how many have one that is not theirs."""
        found, vectors = self.vectors().find([text_hash(text) for text in texts])
        truth = np.vstack([server.true_vector(text) for text in texts])
        near = np.abs(vectors - truth).max(axis=1) < 2e-3  # stored as float16
        return int((~found).sum()), int((found & ~near).sum())


class ServedDesk(Desk):
    """A desk that knows its provider."""

    def __init__(self, server: EmbeddingServer, limits: RequestLimits) -> None:
        super().__init__(server.url, server.behaviour.dimension, limits=limits)
        self.server = server

    def assert_right(self, texts: Sequence[str]) -> None:
        assert self.wrong(texts, self.server) == (0, 0)


@contextmanager
def desk(behaviour: Behaviour, limits: RequestLimits = SMALL) -> Iterator[ServedDesk]:
    """Run a provider, and a desk that asks it."""
    with EmbeddingServer(behaviour).running() as server:
        opened = ServedDesk(server, limits)
        try:
            yield opened
        finally:
            opened.embedder.close()


def words(number: int, count: int = 10) -> str:
    """Return a text of `count` words that no other number has."""
    return " ".join(f"w{number}x{place}" for place in range(count))
