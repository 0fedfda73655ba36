"""Embed the chunks of one batch: what the store has is taken from it, the rest is embedded once.

Invariants: a vector is stored the moment it arrives, before another answer of the same thread is
waited for; a text is never sent twice, neither within a batch nor in a later run; a text that the
embedder refuses alone costs its document and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from index_store.chunk_table import StoredChunk
from index_store.embedder import (
    CountedVectors,
    Embedder,
    MeteredEmbedder,
    Vectors,
    text_tokens,
)
from index_store.embedders.checked import embed_counted
from index_store.embedders.packing import pack
from index_store.embeddings import EmbeddingStore
from index_store.errors import RefusedInputError, UsageError
from index_store.records import Chunk
from index_store.storage.base import Storage
from tasks.stages.checkpoints import ParsedBatch, open_table
from tasks.stages.purse import Purse
from tasks.stages.spending import Spend, merged, shared_out, source_of

MAX_HALVINGS = 6  # of a text that is too long: 64 parts at most
REPACK_SHARE = 0.1  # a limit of tokens that changed by less is left to the next batch
HOPELESS_REFUSALS = 8  # texts refused one by one, with none accepted, after which all are


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCounts:
    """What embedding a batch came to.

    Attributes:
        texts: Distinct texts that were embedded.
        tokens: Tokens in them, as we count them.
        requests: Requests that were made, refused ones included.
        reused: Chunks whose vector was there already, or was made for another chunk of the batch.
        refused: Texts that the embedder refused.
        pooled: Texts that were embedded in parts.
        spends: What was paid for, by source.
    """

    texts: int = 0
    tokens: int = 0
    requests: int = 0
    reused: int = 0
    refused: int = 0
    pooled: int = 0
    spends: Mapping[str, Spend] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A batch whose chunks have vectors, but for those that were refused.

    Attributes:
        counts: What it came to.
        refused: Why, by row of the batch's table; every row of a refused text.
    """

    counts: EmbeddingCounts
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A text that has no vector yet.

    Attributes:
        text: The text.
        tokens: Tokens in it, as we count them.
        hash: Its hash.
        source: Where it comes from, and what it is charged to.
    """

    text: str
    tokens: int
    hash: bytes
    source: str


def wanted_texts(
    embedder: Embedder, rows: Sequence[StoredChunk], *, counted_by: str = ""
) -> list[Wanted]:
    """Return texts to embed, with their tokens by the provider's own tokenizer if it is at hand.

    Args:
        embedder: Makes their vectors.
        rows: Chunks of a batch.
        counted_by: Identity of the tokenizer that counted their tokens; empty for the embedder's.
    """
    tokens = _tokens(embedder, [stored.chunk for stored in rows], counted_by)
    return [
        Wanted(
            text=stored.chunk.text,
            tokens=size,
            hash=stored.text_hash,
            source=source_of(stored.uri),
        )
        for stored, size in zip(rows, tokens, strict=True)
    ]


def _tokens(embedder: Embedder, chunks: Sequence[Chunk], counted_by: str) -> Sequence[int]:
    if isinstance(embedder, MeteredEmbedder):
        counted = embedder.count([chunk.text for chunk in chunks])
        if counted is not None:
            return counted
    if counted_by in ("", embedder.spec.tokenizer):
        return [chunk.tokens for chunk in chunks]
    return [text_tokens(embedder.tokenizer, chunk.text) for chunk in chunks]


def tokens_by_source(request: Sequence[Wanted]) -> dict[str, int]:
    """Return the tokens of a request, as we count them, by the source of its texts."""
    tokens: dict[str, int] = {}
    for each in request:
        tokens[each.source] = tokens.get(each.source, 0) + each.tokens
    return tokens


def embed_batch(
    batch: ParsedBatch,
    storage: Storage,
    embedder: Embedder,
    store: EmbeddingStore,
    purse: Purse | None = None,
    ready: Callable[[], None] = lambda: None,
) -> Embedded:
    """Make sure that every chunk of a batch has a stored vector, or a refusal.

    Args:
        batch: A finished batch.
        storage: Where its chunk table is.
        embedder: Makes vectors.
        store: Keeps them.
        purse: Pays for requests; None when nobody counts.
        ready: Called before the first request, and only then.

    Raises:
        TransientError: The embedder or the store is out of reach; what was embedded is kept.
        StoppedError: The embedder refuses the key, or the budget is spent; what was embedded is
            kept.
        UsageError: The embedder refuses the model, or every text.
    """
    with open_table(storage, batch) as table:
        if table is None:
            return Embedded(counts=EmbeddingCounts())
        hashes = table.text_hashes(0, table.rows)
        known, _ = store.find(hashes)
        first_row = {
            text_hash: row for row, text_hash in reversed(list(enumerate(hashes))) if not known[row]
        }
        rows = table.take(sorted(first_row.values()))
        wanted = wanted_texts(embedder, rows, counted_by=batch.tokenizer)
    if wanted:
        ready()
    work = _Work(embedder, store, purse or Purse(None, None), wanted)
    work.do()
    refused = {
        row: work.refused[text_hash]
        for row, text_hash in enumerate(hashes)
        if text_hash in work.refused
    }
    counts = replace(work.counts, reused=len(hashes) - len(wanted))
    return Embedded(counts=counts, refused=refused)


def total(counts: Sequence[EmbeddingCounts]) -> EmbeddingCounts:
    """Add up the counts of several batches."""
    return EmbeddingCounts(
        texts=sum(each.texts for each in counts),
        tokens=sum(each.tokens for each in counts),
        requests=sum(each.requests for each in counts),
        reused=sum(each.reused for each in counts),
        refused=sum(each.refused for each in counts),
        pooled=sum(each.pooled for each in counts),
        spends=merged(each.spends for each in counts),
    )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request under way: places of its texts, and what was set aside for it."""

    places: list[int]
    aside: float


class _Work:
    """Sends the texts of one batch; answers are stored by the thread that waits for them."""

    def __init__(
        self, embedder: Embedder, store: EmbeddingStore, purse: Purse, wanted: Sequence[Wanted]
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._purse = purse
        self._wanted = wanted
        self._limits = embedder.limits
        self.counts = EmbeddingCounts()
        self.refused: dict[bytes, str] = {}

    def do(self) -> None:
        """Embed and store; a request that is refused comes back in halves."""
        waiting = self._packed(range(len(self._wanted)))
        with _threads(self._limits.in_flight) as pool:
            out: dict[Future[CountedVectors], _Sent] = {}
            try:
                while waiting or out:
                    waiting = self._repacked(waiting)
                    while waiting and len(out) < self._limits.in_flight:
                        places, waiting = self._next(waiting)
                        aside = self._purse.pay(self._tokens(places))
                        if isinstance(self._embedder, MeteredEmbedder):
                            self._embedder.announce(self._tokens(places))
                        texts = [self._wanted[place].text for place in places]
                        send = partial(embed_counted, self._embedder, texts, most=len(texts))
                        # What is logged there belongs to the run that this thread works for.
                        out[pool.submit(copy_context().run, send)] = _Sent(places, aside)
                    done, _ = wait(out, return_when=FIRST_COMPLETED)
                    for future in done:
                        waiting += self._take(future, out.pop(future))
            except BaseException:
                self._keep_the_rest(out)
                raise

    def _next(self, waiting: list[list[int]]) -> tuple[list[int], list[list[int]]]:
        """Take the next request: a whole one, or as much of it as fills the minute's limit.

        Returns:
            The request, and what waits then; what was left out of it is packed anew.
        """
        *rest, whole = waiting
        if not isinstance(self._embedder, MeteredEmbedder):
            return whole, rest
        room = self._embedder.room(self._tokens(whole))
        if self._tokens(whole) <= room:
            return whole, rest
        taken: list[int] = []
        for place in sorted(whole, key=lambda each: -self._wanted[each].tokens):
            if self._wanted[place].tokens <= room:
                taken.append(place)
                room -= self._wanted[place].tokens
        if not taken:
            return whole, rest
        left = set(whole).difference(taken)
        return sorted(taken), self._packed([*left, *(each for some in rest for each in some)])

    def _packed(self, places: Sequence[int]) -> list[list[int]]:
        """Pack texts into requests; the last is sent first."""
        packed = pack([self._wanted[place].tokens for place in places], self._limits)
        packed.reverse()
        return [[places[each] for each in request] for request in packed]

    def _tokens(self, places: Sequence[int]) -> int:
        return sum(self._wanted[place].tokens for place in places)

    def _take(self, future: "Future[CountedVectors]", sent: _Sent) -> list[list[int]]:
        """Store an answer, or return what must be sent again."""
        self._count(EmbeddingCounts(requests=1))
        try:
            answer = future.result()
        except RefusedInputError as error:
            self._purse.refund(sent.aside)
            if len(sent.places) > 1:
                return self._parted(sent.places, error)
            self._settle_alone(sent.places[0], error)
            return []
        self._keep(sent, answer)
        return []

    @staticmethod
    def _parted(places: list[int], error: RefusedInputError) -> list[list[int]]:
        """Part a refused request: the text that is named alone, or in two halves."""
        if error.position is not None and error.position < len(places):
            named = places[error.position]
            return [[named], [place for place in places if place != named]]
        middle = len(places) // 2
        return [places[:middle], places[middle:]]

    def _settle_alone(self, place: int, error: RefusedInputError) -> None:
        """Embed a text that is too long in parts, or refuse it."""
        wanted = self._wanted[place]
        if error.too_long:
            vector = self._pooled(wanted.text, wanted.source, MAX_HALVINGS)
            if vector is not None:
                self._store.add([wanted.hash], vector[np.newaxis])
                self._count(EmbeddingCounts(texts=1, tokens=wanted.tokens, pooled=1))
                return
        self.refused[wanted.hash] = str(error)
        self._count(EmbeddingCounts(refused=1))
        if not self.counts.texts and len(self.refused) >= HOPELESS_REFUSALS:
            raise UsageError(f"every text was refused so far: {error}")

    def _pooled(self, text: str, source: str, halvings: int) -> Vectors | None:
        """Return the mean of the vectors of a text's halves, or None if refused."""
        halves = _halves(text)
        if halvings == 0 or halves is None:
            return None
        vectors: list[npt.NDArray[np.float64]] = []
        for half in halves:
            weight = text_tokens(self._embedder.tokenizer, half)
            found = self._half(half, weight, source, halvings)
            if found is None:
                return None
            vectors.append(found.astype(np.float64) * weight)
        mean = np.sum(vectors, axis=0)
        pooled: Vectors = (mean / np.linalg.norm(mean)).astype(np.float32)
        return pooled

    def _half(self, half: str, tokens: int, source: str, halvings: int) -> Vectors | None:
        aside = self._purse.pay(tokens)
        self._count(EmbeddingCounts(requests=1))
        try:
            answer = embed_counted(self._embedder, [half])
        except RefusedInputError as error:
            self._purse.refund(aside)
            return self._pooled(half, source, halvings - 1) if error.too_long else None
        self._purse.settle(aside, tokens, answer.tokens)
        self._count(EmbeddingCounts(spends=shared_out({source: tokens}, answer.tokens)))
        vector: Vectors = answer.vectors[0]
        return vector

    def _keep(self, sent: _Sent, answer: CountedVectors) -> None:
        """Store what was paid for, and charge it to the sources of its texts."""
        wanted = [self._wanted[place] for place in sent.places]
        self._store.add([each.hash for each in wanted], answer.vectors)
        tokens = self._tokens(sent.places)
        self._purse.settle(sent.aside, tokens, answer.tokens)
        spends = shared_out(tokens_by_source(wanted), answer.tokens)
        self._count(EmbeddingCounts(texts=len(wanted), tokens=tokens, spends=spends))

    def _keep_the_rest(self, out: dict["Future[CountedVectors]", _Sent]) -> None:
        """Keep what is still paid for when another request has failed."""
        for future, sent in out.items():
            if future.cancel():
                continue
            if future.exception() is None:
                self._count(EmbeddingCounts(requests=1))
                self._keep(sent, future.result())

    def _repacked(self, waiting: list[list[int]]) -> list[list[int]]:
        """Pack what waits anew when the embedder has learned of other limits."""
        before, now = self._limits, self._embedder.limits
        if now.texts >= before.texts and _is_near(before.tokens, now.tokens):
            return waiting
        self._limits = now
        return self._packed([place for request in waiting for place in request])

    def _count(self, more: EmbeddingCounts) -> None:
        self.counts = total([self.counts, more])


def _is_near(before: int | None, now: int | None) -> bool:
    if before is None or now is None:
        return before is now
    return abs(now - before) <= REPACK_SHARE * before


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, thread_name_prefix="embed")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _halves(text: str) -> tuple[str, str] | None:
    """Cut a text in two at the white space nearest its middle; None when there is none."""
    words = text.split()
    if len(words) < 2:
        return None
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])
