"""One model behind several addresses: the next is asked when those before it are out of reach.

Invariants: no vector comes from an address whose model was not seen to be the same; the identity is
that of the first address, so what one of them embedded is never embedded again; a refused key or an
allowance that is used up is no reason to go elsewhere.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from index_store.embedder import (
    CountedVectors,
    EmbedderSpec,
    RequestLimits,
    Tokenizer,
    Vectors,
)
from index_store.embedders.checked import embed_checked
from index_store.embedders.probes import PROBES, fingerprint
from index_store.embedders.remote.embedder import RemoteEmbedder
from index_store.embedders.remote.options import RemoteOptions
from index_store.embedders.remote.routes import parse_routes
from index_store.errors import IndexStoreError, TransientError, UsageError

logger = logging.getLogger("nightpress.embed")  # shown on the terminal and in the UI

LEAST_AGREEMENT = 0.999  # cosine of every fixed text's two vectors: rounding, not another model
COOL_S = 300.0  # after which an address that was out of reach is tried again, by one request
ROUND_S = 5.0  # between two rounds when no address answers


@dataclass(slots=True)
class _Place:
    """One address, and how it stands."""

    name: str
    embedder: RemoteEmbedder
    is_same: bool
    down_until: float = 0.0
    is_tried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackClocks:
    """What it reads and how it waits; simulated in tests.

    Attributes:
        now: Seconds that never go back.
        wait: Waits for some seconds; raises StoppedError when it is closed; None for real time.
    """

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] | None = None


class FallbackEmbedder:
    """An embedder with other addresses to go to; safe for threads.

    Args:
        name: Name of the first provider.
        argument: `MODEL` or `MODEL@DIMENSION`, as `RemoteEmbedder` takes it.
        options: How the first is reached, and which come after it.
        clocks: Time.

    Raises:
        UsageError: An address cannot be used, or is said to have another model.
    """

    def __init__(
        self,
        name: str,
        argument: str,
        options: RemoteOptions,
        clocks: FallbackClocks | None = None,
    ) -> None:
        self._clocks = clocks or FallbackClocks()
        self._give_up_s = options.pace.give_up_s
        pace = replace(options.pace, give_up_s=options.fallback_after_s)
        first = RemoteEmbedder(name, argument, replace(options, pace=pace))
        self._places = [_Place(f"{name} {first.spec.model}", first, is_same=True)]
        alone = replace(
            pace,
            requests_per_minute=None,
            tokens_per_minute=None,
            shared_file="",
            shared_store="",
        )
        for route in parse_routes(options.fallbacks, name, first.spec.model):
            told = replace(options, base_url=route.base_url, key=options.fallback_key, pace=alone)
            there = RemoteEmbedder(route.provider, f"{route.model}@{first.spec.dimension}", told)
            self._places.append(_Place(f"embed_fallback {route.base_url}", there, is_same=False))
        self._reference: Vectors | None = None
        self._expected: str | None = None
        self._is_uncompared = False  # though a run has asked for it
        self._lock = threading.Lock()
        self._current = self._places[0]

    @property
    def spec(self) -> EmbedderSpec:
        """The identity of the first address, whichever answers."""
        return self._places[0].embedder.spec

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the first address."""
        return self._places[0].embedder.tokenizer

    @property
    def limits(self) -> RequestLimits:
        """What one request to the address that answers now may hold."""
        return self._current.embedder.limits

    def room(self, tokens: int) -> int:
        """Return how many tokens the next request to that address should have."""
        return self._current.embedder.room(tokens)

    def announce(self, tokens: int) -> None:
        """Say that a request of so many tokens is about to be embedded there."""
        self._current.embedder.announce(tokens)

    def learned(self) -> RequestLimits | None:
        """Return what refusals of the first address taught."""
        return self._places[0].embedder.learned()

    def recall(self, limits: RequestLimits) -> None:
        """Begin with what an earlier run learned of the first address."""
        self._places[0].embedder.recall(limits)

    def count(self, texts: Sequence[str]) -> list[int] | None:
        """Return the tokens of texts by the tokenizer of the model; None where it is not there."""
        return self._places[0].embedder.count(texts)

    def check_routes(self, expected: str | None) -> None:
        """See at the start of a run which addresses have the same model; a request to each.

        Args:
            expected: Fingerprint of the model that made the stored vectors; None when there is
                none. It stands in for the first address when that is out of reach.

        Raises:
            UsageError: An address answers with other vectors.
        """
        self._expected = expected
        first, *others = self._places
        try:
            self._reference = embed_checked(first.embedder, PROBES)
        except TransientError as error:
            self._is_down(first, error)
            self._is_uncompared = expected is None
        for place in others:
            try:
                self._compare(place)
            except TransientError as error:
                logger.warning("%s is not accepted yet: %s", place.name, error)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts in one request.

        Raises:
            TransientError, RefusedInputError, StoppedError, UsageError: As `embed_counted`.
        """
        return self.embed_counted(texts).vectors

    def embed_counted(self, texts: Sequence[str]) -> CountedVectors:
        """Embed texts in one request, at the first address that answers.

        Raises:
            TransientError: None has answered for as long as a run is patient.
            RefusedInputError, StoppedError, UsageError: As `RemoteEmbedder.embed_counted`.
        """
        began = self._clocks.now()
        while True:
            failure: TransientError | None = None
            for place in self._in_order():
                try:
                    with self._trying(place):
                        answer = place.embedder.embed_counted(texts)
                except TransientError as error:
                    failure = error
                else:
                    self._catch_up()
                    return answer
            if failure is not None and self._clocks.now() - began > self._give_up_s:
                raise failure
            self._wait(ROUND_S)

    def embed_question(self, question: str) -> Vectors:
        """Embed a question at the first address that answers, each within a short time.

        Raises:
            TransientError, RefusedInputError, StoppedError, UsageError: As `embed_counted`.
        """
        failure = TransientError("no address is left")
        for place in self._in_order():
            try:
                with self._trying(place):
                    return place.embedder.embed_question(question)
            except TransientError as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Close every address; calling it twice is harmless."""
        for place in self._places:
            place.embedder.close()

    def _in_order(self) -> Iterator[_Place]:
        """Go through the addresses that may be asked now; one request tries one that was down."""
        for place in self._places:
            with self._lock:
                is_due = self._clocks.now() >= place.down_until
                if not is_due or (place.down_until and place.is_tried):
                    continue
                place.is_tried = True
            if place.is_same or self._is_accepted(place):
                yield place

    @contextmanager
    def _trying(self, place: _Place) -> Iterator[None]:
        try:
            yield
        except TransientError as error:
            self._is_down(place, error)
            raise
        except IndexStoreError:
            self._answers(place)  # though not with vectors
            raise
        self._answers(place)

    def _answers(self, place: _Place) -> None:
        with self._lock:
            if place is not self._current or place.down_until:
                logger.warning("%s answers, texts are embedded there", place.name)
            self._current, place.down_until, place.is_tried = place, 0.0, False

    def _is_down(self, place: _Place, error: TransientError) -> None:
        with self._lock:
            if not place.down_until:
                logger.warning("%s is out of reach, others are asked (%s)", place.name, error)
            place.down_until = self._clocks.now() + COOL_S
            place.is_tried = False

    def _is_accepted(self, place: _Place) -> bool:
        """See whether an address that was out of reach at the start has the same model."""
        try:
            self._compare(place)
        except TransientError as error:
            self._is_down(place, error)
        except UsageError as error:
            logger.warning("%s", error)
            with self._lock:
                place.down_until = float("inf")
        return place.is_same

    def _compare(self, place: _Place) -> None:
        if self._reference is None and self._expected is None:
            raise TransientError("nothing was compared, as the first address has not answered")
        found = embed_checked(place.embedder, PROBES)
        if self._reference is not None:
            agreement = float((found * self._reference).sum(axis=1).min())
            told = f"agreement {agreement:.4f}, expected at least {LEAST_AGREEMENT}"
            place.is_same = agreement >= LEAST_AGREEMENT
        else:
            print_of_it = fingerprint(found.astype(np.float64))
            told = f"fingerprint {print_of_it}, expected {self._expected}"
            place.is_same = print_of_it == self._expected
        if not place.is_same:
            raise UsageError(
                f"{place.name} answers with other vectors than {self._places[0].name} ({told}); "
                "it is not the same model, remove it"
            )
        logger.info("%s has the same model (%s)", place.name, told)

    def _catch_up(self) -> None:
        """Ask a first address that was silent at the start for what others are compared with."""
        first, *others = self._places
        with self._lock:
            is_late = self._is_uncompared and self._current is first
            self._is_uncompared = self._is_uncompared and not is_late
        if not is_late:
            return
        try:
            self._reference = embed_checked(first.embedder, PROBES)
        except TransientError:
            self._is_uncompared = True
            return
        for place in others:
            place.down_until = 0.0  # compared when it is needed

    def _wait(self, seconds: float) -> None:
        if self._clocks.wait is not None:
            self._clocks.wait(seconds)
        else:
            self._places[0].embedder.rest(seconds)
