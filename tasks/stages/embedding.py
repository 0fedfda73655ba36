"""Embed the chunks of one batch: what the store has is taken from it, the rest is embedded once.

Invariants: a vector is stored the moment it arrives, before another answer of the same thread is
waited for; a text is never sent twice, neither within a batch nor in a later run; a text that the
embedder refuses alone costs its document and nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from index_store.embedder import Embedder, Vectors, text_tokens
from index_store.embedders.checked import embed_checked
from index_store.embedders.packing import pack
from index_store.embeddings import EmbeddingStore
from index_store.errors import RefusedInputError, UsageError
from index_store.storage.base import Storage
from tasks.stages.checkpoints import ParsedBatch, open_table
from tasks.stages.purse import Purse

MAX_HALVINGS = 6  # of a text that is too long: 64 parts at most
REPACK_SHARE = 0.1  # a limit of tokens that changed by less is left to the next batch
HOPELESS_REFUSALS = 8  # texts refused one by one, with none accepted, after which all are


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCounts:
    """What embedding a batch came to.

    Attributes:
        texts: Distinct texts that were embedded.
        tokens: Tokens in them.
        requests: Requests that were made, refused ones included.
        reused: Chunks whose vector was there already, or was made for another chunk of the batch.
        refused: Texts that the embedder refused.
        pooled: Texts that were embedded in parts.
        night_tokens: Tokens that were embedded at the night rate.
    """

    texts: int = 0
    tokens: int = 0
    requests: int = 0
    reused: int = 0
    refused: int = 0
    pooled: int = 0
    night_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A batch whose chunks have vectors, but for those that were refused.

    Attributes:
        counts: What it came to.
        refused: Why, by row of the batch's table; every row of a refused text.
    """

    counts: EmbeddingCounts
    refused: dict[int, str] = field(default_factory=dict)


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
        missing = sorted(first_row.values())
        chunks = [stored.chunk for stored in table.take(missing)]
    if missing:
        ready()
    work = _Work(embedder, store, purse)
    work.do(
        [chunk.text for chunk in chunks],
        [chunk.tokens for chunk in chunks],
        [hashes[row] for row in missing],
    )
    refused = {
        row: work.refused[text_hash]
        for row, text_hash in enumerate(hashes)
        if text_hash in work.refused
    }
    counts = replace(work.counts, reused=len(hashes) - len(missing))
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
        night_tokens=sum(each.night_tokens for each in counts),
    )


class _Work:
    """Sends the texts of one batch; answers are stored by the thread that waits for them."""

    def __init__(self, embedder: Embedder, store: EmbeddingStore, purse: Purse | None) -> None:
        self._embedder = embedder
        self._store = store
        self._purse = purse
        self._limits = embedder.limits
        self.counts = EmbeddingCounts()
        self.refused: dict[bytes, str] = {}

    def do(self, texts: Sequence[str], tokens: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Embed and store; a request that is refused comes back in halves."""
        waiting = [list(request) for request in pack(tokens, self._limits)]
        waiting.reverse()
        with _threads(self._limits.in_flight) as pool:
            out: dict[Future[Vectors], list[int]] = {}
            try:
                while waiting or out:
                    waiting = self._repacked(waiting, tokens)
                    while waiting and len(out) < self._limits.in_flight:
                        places = waiting.pop()
                        self._pay(sum(tokens[place] for place in places))
                        sent = [texts[place] for place in places]
                        send = partial(embed_checked, self._embedder, sent, most=len(sent))
                        out[pool.submit(send)] = places
                    done, _ = wait(out, return_when=FIRST_COMPLETED)
                    for future in done:
                        places = out.pop(future)
                        waiting += self._take(future, places, texts, tokens, hashes)
            except BaseException:
                self._keep_the_rest(out, tokens, hashes)
                raise

    def _take(
        self,
        future: Future[Vectors],
        places: list[int],
        texts: Sequence[str],
        tokens: Sequence[int],
        hashes: Sequence[bytes],
    ) -> list[list[int]]:
        """Store an answer, or return what must be sent again."""
        self._count(requests=1)
        try:
            vectors = future.result()
        except RefusedInputError as error:
            self._refund(sum(tokens[place] for place in places))
            if len(places) > 1:
                return self._parted(places, error)
            self._settle_alone(places[0], texts, tokens, hashes, error)
            return []
        self._keep(places, vectors, tokens, hashes)
        return []

    @staticmethod
    def _parted(places: list[int], error: RefusedInputError) -> list[list[int]]:
        """Part a refused request: the text that is named alone, or in two halves."""
        if error.position is not None and error.position < len(places):
            named = places[error.position]
            return [[named], [place for place in places if place != named]]
        middle = len(places) // 2
        return [places[:middle], places[middle:]]

    def _settle_alone(
        self,
        place: int,
        texts: Sequence[str],
        tokens: Sequence[int],
        hashes: Sequence[bytes],
        error: RefusedInputError,
    ) -> None:
        """Embed a text that is too long in parts, or refuse it."""
        if error.too_long:
            vector = self._pooled(texts[place], MAX_HALVINGS)
            if vector is not None:
                self._count(pooled=1)
                self._keep([place], vector[np.newaxis], tokens, hashes)
                return
        self.refused[hashes[place]] = str(error)
        self._count(refused=1)
        if not self.counts.texts and len(self.refused) >= HOPELESS_REFUSALS:
            raise UsageError(f"every text was refused so far: {error}")

    def _pooled(self, text: str, halvings: int) -> Vectors | None:
        """Return the mean of the vectors of a text's halves, or None if refused."""
        halves = _halves(text)
        if halvings == 0 or halves is None:
            return None
        vectors: list[npt.NDArray[np.float64]] = []
        for half in halves:
            self._pay(text_tokens(self._embedder.tokenizer, half))
            self._count(requests=1)
            try:
                found: Vectors | None = embed_checked(self._embedder, [half])[0]
            except RefusedInputError as error:
                self._refund(text_tokens(self._embedder.tokenizer, half))
                found = self._pooled(half, halvings - 1) if error.too_long else None
            if found is None:
                return None
            weight = text_tokens(self._embedder.tokenizer, half)
            vectors.append(found.astype(np.float64) * weight)
        mean = np.sum(vectors, axis=0)
        pooled: Vectors = (mean / np.linalg.norm(mean)).astype(np.float32)
        return pooled

    def _keep(
        self,
        places: Sequence[int],
        vectors: Vectors,
        tokens: Sequence[int],
        hashes: Sequence[bytes],
    ) -> None:
        self._store.add([hashes[place] for place in places], vectors)
        self._count(texts=len(places), tokens=sum(tokens[place] for place in places))

    def _keep_the_rest(
        self,
        out: dict[Future[Vectors], list[int]],
        tokens: Sequence[int],
        hashes: Sequence[bytes],
    ) -> None:
        """Keep what is still paid for when another request has failed."""
        for future, places in out.items():
            if future.cancel():
                continue
            if future.exception() is None:
                self._count(requests=1)
                self._keep(places, future.result(), tokens, hashes)

    def _pay(self, tokens: int) -> None:
        if self._purse is not None:
            self._purse.pay(tokens)

    def _refund(self, tokens: int) -> None:
        if self._purse is not None:
            self._purse.refund(tokens)

    def _repacked(self, waiting: list[list[int]], tokens: Sequence[int]) -> list[list[int]]:
        """Pack what waits anew when the embedder has learned of other limits."""
        before, now = self._limits, self._embedder.limits
        if now.texts >= before.texts and _is_near(before.tokens, now.tokens):
            return waiting
        self._limits = now
        places = [place for request in waiting for place in request]
        packed = pack([tokens[place] for place in places], now)
        return [[places[each] for each in request] for request in packed]

    def _count(
        self,
        *,
        texts: int = 0,
        tokens: int = 0,
        requests: int = 0,
        refused: int = 0,
        pooled: int = 0,
    ) -> None:
        more = EmbeddingCounts(
            texts=texts, tokens=tokens, requests=requests, refused=refused, pooled=pooled
        )
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
