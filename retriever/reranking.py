"""Put hits into the order of a reranker, if it answers in time.

Invariants: whatever goes wrong with a reranker, the hits come back, in the order that they had; no
hit is lost or added; quotations of the question stay first; a reranker sees texts, never names or
rights of documents.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTimeError
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from index_store.errors import IndexStoreError, UsageError
from index_store.records import Hit
from index_store.search_options import SearchOptions
from retriever.llama_reranking import open_llama_reranker

MAX_WAITING = 8  # requests to the reranker at a time; others are served without it
logger = logging.getLogger(__name__)


class RerankShape(Enum):
    """Whose requests and replies a reranker speaks."""

    COHERE = "cohere"  # documents in, results with relevance_score out
    JINA = "jina"  # the same fields; vLLM speaks it too
    TEI = "tei"  # texts in, a bare list with score out
    LLAMA = "llama-index"  # a node postprocessor of this process


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankOptions:
    """How hits are reranked.

    Attributes:
        shape: Whose requests the reranker speaks.
        url: Whole address of its endpoint; for `LLAMA` the dotted name of a class.
        model: Name of the model, where the shape has one.
        api_key: Sent as a bearer token; empty for none.
        deadline_s: Seconds after which the order that there is is served, above 0.
        candidates: Hits that are reranked, at least 1; what is shown is cut afterwards.

    Raises:
        UsageError: A value is out of range.
    """

    shape: RerankShape
    url: str
    model: str = ""
    api_key: str = ""
    deadline_s: float = 1.0
    candidates: int = 30

    def __post_init__(self) -> None:
        if self.deadline_s <= 0 or self.candidates < 1:
            raise UsageError("reranking needs a deadline above 0 and at least 1 candidate")
        if not self.url:
            raise UsageError("reranking needs the address of an endpoint")


class Reranker(Protocol):
    """Judges how well texts answer a question."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, in their order; larger is better.

        Raises:
            IndexStoreError: It does not answer, or not as it should.
        """
        ...

    def close(self) -> None:
        """Let go of connections; calling it twice is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Reranked:
    """Hits after reranking.

    Attributes:
        hits: All of them, best first.
        problem: Why they are in the order that they had, or None.
    """

    hits: tuple[Hit, ...]
    problem: str | None = None


class RerankStage:
    """Reranks with a deadline; safe for threads.

    Args:
        reranker: Who judges; owned from here on.
        deadline_s: Seconds that it has.
        candidates: Hits that it is shown, if there are as many.
    """

    def __init__(self, reranker: Reranker, deadline_s: float, candidates: int = 30) -> None:
        self._reranker = reranker
        self._deadline_s = deadline_s
        self._candidates = candidates
        self._pool = ThreadPoolExecutor(MAX_WAITING, "reranker")

    def widened(self, options: SearchOptions) -> SearchOptions:
        """Return how to search for as many hits as are reranked; whoever shows them cuts them."""
        most = max(options.most, self._candidates)
        return replace(options, k=most, adaptive=None)

    def rerank(self, question: str, hits: Sequence[Hit]) -> Reranked:
        """Return all hits, in the order of the reranker when it answered in time."""
        if len(hits) < 2:
            return Reranked(tuple(hits))
        texts = [hit.context or hit.text for hit in hits]
        waiting = self._pool.submit(self._reranker.scores, question, texts)
        try:
            return Reranked(in_order(hits, waiting.result(self._deadline_s)))
        except OutOfTimeError:
            waiting.cancel()
            problem = f"reranker: no answer within {self._deadline_s:g} s"
        except IndexStoreError as error:
            problem = str(error)
        logger.warning("%s; the order without it is served", problem)
        return Reranked(tuple(hits), problem)

    def close(self) -> None:
        """Stop; a request that is under way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reranker.close()


def open_rerank_stage(options: RerankOptions) -> RerankStage:
    """Make the stage that the options describe.

    Raises:
        UsageError: A postprocessor cannot be made.
    """
    reranker: Reranker
    if options.shape is RerankShape.LLAMA:
        reranker = open_llama_reranker(options.url)
    else:
        from retriever.http_reranking import HttpReranker  # noqa: PLC0415 - slow to load

        reranker = HttpReranker(options)
    return RerankStage(reranker, options.deadline_s, options.candidates)


def in_order(hits: Sequence[Hit], scores: Sequence[float]) -> tuple[Hit, ...]:
    """Return hits by their new scores, quotations first; equal ones keep their order."""
    judged = [
        replace(hit, score=score, parts=replace(hit.parts, rerank=score))
        for hit, score in zip(hits, scores, strict=True)
    ]
    return tuple(sorted(judged, key=lambda hit: (not hit.verbatim, -hit.score)))


def read_scores(reply: object, count: int) -> list[float]:
    """Return the scores of a reply in the order of the texts, whatever its shape.

    Args:
        reply: Parsed JSON: a list of results, or an object with `results`.
        count: Texts that were sent.

    Raises:
        ValueError: A text has no score, or two, or the reply is something else.
    """
    results = reply.get("results") if isinstance(reply, dict) else reply
    if not isinstance(results, list):
        raise ValueError("the reply has no results")  # noqa: TRY004 - one kind for bad replies
    found: dict[int, float] = {}
    for result in results:
        place, score = _result(result)
        if not 0 <= place < count or place in found or not math.isfinite(score):
            raise ValueError("the reply scores a text that was not sent, or not once")
        found[place] = score
    if len(found) != count:
        raise ValueError(f"the reply scores {len(found)} of {count} texts")
    return [found[place] for place in range(count)]


def _result(result: object) -> tuple[int, float]:
    if not isinstance(result, Mapping):
        raise ValueError("a result is no object")  # noqa: TRY004 - one kind for bad replies
    place, score = result.get("index"), result.get("relevance_score", result.get("score"))
    if not isinstance(place, int) or not isinstance(score, int | float):
        raise ValueError("a result has no index or no score")  # noqa: TRY004 - likewise
    return place, float(score)
