"""Embedders over the network: one class for every provider that answers to one POST.

Invariants: the identity is what the person asked for (provider, model, dimension), so that a night
on which nothing is new asks nothing; a request is tried again only when the provider is busy or
its answer was broken; a refusal says whether to send less, leave a text out, or stop.
"""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import sqrt

from index_store.embedder import (
    CountedVectors,
    EmbedderSpec,
    RequestLimits,
    Tokenizer,
    Vectors,
    text_tokens,
)
from index_store.embedders.hashing import PieceTokenizer
from index_store.embedders.prices import price_of
from index_store.embedders.remote.client import ProviderClient
from index_store.embedders.remote.counting import open_counter
from index_store.embedders.remote.limiter import Limiter
from index_store.embedders.remote.options import RemoteOptions
from index_store.embedders.remote.pace import LEAST_SURPRISE, SURPRISE
from index_store.embedders.remote.refusals import Refusal, RefusalKind, refusal
from index_store.embedders.remote.wire import OllamaWire, OpenAIWire, Wire, WireAnswer
from index_store.errors import (
    IndexStoreError,
    RefusedInputError,
    StoppedError,
    TransientError,
    UsageError,
)

BROKEN_ANSWERS = 5  # answers in a row that are no vectors, after which the provider is at fault
QUESTION_RETRIES = 1
SAMPLE_PIECES = 500  # tokens of ours in a request that tells how the provider counts
LEARNED_SHARE = 0.3  # of the last answer in the mean of tokens that the provider counts
SPREAD_SHARE = 0.2  # of the last answer in the spread of its counts about that mean
DEVIATIONS = 2.5  # standard deviations that a count may lie beside the mean
SMALLEST_SHARE = 8  # refusals lower a limit to no less than this part of what was set


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What is known of a provider.

    Attributes:
        base_url: Its usual address.
        default_model: Used when none is named, None when one must be.
        wire: How it writes.
        max_input_tokens: Longest text, by its own tokens.
    """

    base_url: str
    default_model: str | None
    wire: Wire
    max_input_tokens: int = 8192


PROVIDERS = {
    "mistral": Provider(
        base_url="https://api.mistral.ai/v1", default_model="mistral-embed", wire=OpenAIWire()
    ),
    "openai": Provider(
        base_url="https://api.openai.com/v1",
        default_model="text-embedding-3-small",
        wire=OpenAIWire(base64_floats=True),
    ),
    "ollama": Provider(base_url="http://127.0.0.1:11434", default_model=None, wire=OllamaWire()),
}
DIMENSIONS = {
    "mistral-embed": 1024,
    "codestral-embed": 1536,
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "bge-m3": 1024,
    "all-minilm": 384,
    "snowflake-arctic-embed2": 1024,
}


class RemoteEmbedder:
    """An embedder behind an address; safe for threads.

    Args:
        name: Name of the provider.
        argument: `MODEL` or `MODEL@DIMENSION`; empty for the provider's usual model.
        options: How it is reached.
        limiter: Lets requests go; None for one of its own.

    Raises:
        UsageError: The model or its dimension is not known, or the address cannot be used.
    """

    def __init__(
        self, name: str, argument: str, options: RemoteOptions, limiter: Limiter | None = None
    ) -> None:
        self._provider = PROVIDERS[name]
        self._options = options
        self._tokenizer = PieceTokenizer()
        self._counter = open_counter(options.tokenizer)
        model, dimension = _model(name, self._provider, argument)
        price = price_of(
            name, model, told=options.price_per_million_tokens, table=dict(options.prices)
        )
        self._spec = EmbedderSpec(
            provider=name,
            model=model,
            revision="1",
            dimension=dimension,
            tokenizer=self._tokenizer.identity,
            max_input_tokens=self._provider.max_input_tokens,
            price_per_million_tokens=price.per_million_tokens or 0.0,
        )
        self._client = ProviderClient(options.base_url or self._provider.base_url, options)
        self._limiter = limiter or Limiter(name, options.pace, options.limits.in_flight)
        self._lock = threading.Lock()
        self._has_sample = False
        self._tokens_per_piece = 1.0  # of the fullest requests, for packing
        self._mean_per_piece = 1.0  # for the pace
        self._spread = (SURPRISE / DEVIATIONS) ** 2  # of counts about their mean, squared
        self._limits = options.limits

    @property
    def spec(self) -> EmbedderSpec:
        """The identity written into manifests and cache paths."""
        return self._spec

    @property
    def tokenizer(self) -> Tokenizer:
        """An estimate: what the provider counts is learned from its answers."""
        return self._tokenizer

    @property
    def limits(self) -> RequestLimits:
        """What one request may hold, in our tokens, by what the provider counted so far."""
        with self._lock:
            limits, highest = self._limits, self._tokens_per_piece
        if limits.tokens is None:
            return limits
        return replace(limits, tokens=max(1, int(limits.tokens / highest)))

    def room(self, tokens: int) -> int:
        """Return how many of our tokens the next request should have to fill a minute's limit."""
        with self._lock:
            mean, surprise = self._mean_per_piece, self._surprise
        most = tokens * mean
        left = self._limiter.room(most, surprise)
        return tokens if left >= most else int(left / mean)

    def announce(self, tokens: int) -> None:
        """Say that a request of so many of our tokens is about to be embedded."""
        with self._lock:
            mean = self._mean_per_piece
        self._limiter.announce(tokens * mean)

    def learned(self) -> RequestLimits | None:
        """Return what refusals taught, by the provider's count; None when nothing was refused."""
        with self._lock:
            return None if self._limits == self._options.limits else self._limits

    def recall(self, limits: RequestLimits) -> None:
        """Begin with what an earlier run learned, where it is less than what is set."""
        with self._lock:
            known = (each for each in (limits.tokens, self._limits.tokens) if each is not None)
            texts = min(limits.texts, self._limits.texts)
            self._limits = replace(self._limits, texts=texts, tokens=min(known, default=None))

    def count(self, texts: Sequence[str]) -> list[int] | None:
        """Return the tokens of texts by the provider's tokenizer; None where it is not at hand."""
        if not self._options.tokenizer:
            return None
        return [text_tokens(self._counter, text) for text in texts]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts in one request, with patience.

        Raises:
            TransientError, RefusedInputError, StoppedError, UsageError: As `embed_counted`.
        """
        return self.embed_counted(texts).vectors

    def embed_counted(self, texts: Sequence[str]) -> CountedVectors:
        """Embed texts in one request, with patience, and say what the provider counted.

        Raises:
            TransientError: The provider stayed busy or broken, or is out of reach.
            RefusedInputError: It refuses these texts, or so many at a time.
            StoppedError: It refuses the key, or there is no money left.
            UsageError: It does not know the model or the address.
        """
        estimate = sum(text_tokens(self._counter, text) for text in texts)
        answer = self._ask(texts, estimate, self._options.timeout_s, self._options.pace.retries)
        if answer.tokens and estimate:
            self._learn(answer.tokens / estimate, estimate)
        return CountedVectors(vectors=answer.vectors, tokens=answer.tokens)

    def embed_question(self, question: str) -> Vectors:
        """Embed a question within a short time, since a person is waiting.

        Raises:
            TransientError, RefusedInputError, StoppedError, UsageError: As `embed`.
        """
        tokens = text_tokens(self._counter, question)
        answer = self._ask([question], tokens, self._options.question_timeout_s, QUESTION_RETRIES)
        vector: Vectors = answer.vectors[0]
        return vector

    def rest(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: The embedder was closed meanwhile.
        """
        self._limiter.wait(seconds)

    def close(self) -> None:
        """Stop waiting requests and close connections; calling it twice is harmless."""
        self._limiter.close()
        self._client.close()

    def _ask(self, texts: Sequence[str], tokens: int, timeout_s: float, retries: int) -> WireAnswer:
        wire, spec = self._provider.wire, self._spec
        body = wire.body(spec.model, texts)
        broken = 0
        refused = Refusal(kind=RefusalKind.BUSY, message="no try was made")
        for attempt in range(retries + 1):
            try:
                with self._limiter.turn(tokens * self._mean_per_piece, self._surprise) as turn:
                    reply = self._client.post(wire.path, body, timeout_s)
                if reply.status == 200:
                    answer = self._read(reply.body, len(texts))
                    self._limiter.succeeded(turn, reply.headers, answer.tokens)
                    return answer
                refused = refusal(reply.status, reply.headers, reply.body, datetime.now(UTC))
            except _BrokenAnswerError as error:
                broken += 1
                if broken == BROKEN_ANSWERS:
                    raise TransientError(
                        f"embedder {spec.provider} {spec.model}: {error}"
                    ) from error
                refused = Refusal(kind=RefusalKind.BUSY, message=str(error))
            except TransientError as error:
                refused = Refusal(kind=RefusalKind.BUSY, message=str(error))
            if refused.kind is RefusalKind.SPLIT:
                self._lower(len(texts), tokens, refused)
            if refused.kind is not RefusalKind.BUSY:
                raise self._error(refused)
            self._limiter.pushed_back(
                refused.retry_after_s, refused.message, over_rate=refused.over_rate
            )
            if attempt < retries:
                self._limiter.wait(self._backoff_s(attempt))
        raise TransientError(
            f"embedder {spec.provider} {spec.model}: {retries + 1} tries failed, the last with "
            f"{refused.message}"
        )

    def _read(self, payload: bytes, texts: int) -> WireAnswer:
        try:
            return self._provider.wire.answer(payload, texts, self._spec.dimension)
        except TransientError as error:
            raise _BrokenAnswerError(str(error)) from error

    def _backoff_s(self, attempt: int) -> float:
        """Return a wait with full jitter (Brooker 2015)."""
        pace = self._options.pace
        longest = min(pace.backoff_cap_s, pace.backoff_s * 2**attempt)
        return random.uniform(0, longest)  # noqa: S311 - not a secret

    def _learn(self, ratio: float, pieces: int) -> None:
        """Learn how many tokens the provider counts for one of ours; the first sample decides."""
        with self._lock:
            if not self._has_sample and pieces >= SAMPLE_PIECES:
                self._has_sample = True
                self._tokens_per_piece = self._mean_per_piece = ratio
                return
            self._tokens_per_piece = max(ratio, 0.9 * self._tokens_per_piece)
            if pieces >= SAMPLE_PIECES:
                off = ratio / self._mean_per_piece - 1.0
                self._spread += SPREAD_SHARE * (off**2 - self._spread)
            self._mean_per_piece += LEARNED_SHARE * (ratio - self._mean_per_piece)

    @property
    def _surprise(self) -> float:
        """Share of a request's tokens that the provider may count besides."""
        return min(SURPRISE, max(LEAST_SURPRISE, DEVIATIONS * sqrt(self._spread)))

    def _lower(self, texts: int, tokens: int, refused: Refusal) -> None:
        """Remember for the rest of the run that this much was too much."""
        first = self._options.limits
        with self._lock:
            now, ratio = self._limits, self._tokens_per_piece
            lowered, room = now.texts, now.tokens
            if refused.too_many != "tokens":
                lowered = max(1, first.texts // SMALLEST_SHARE, min(lowered, texts // 2))
            if refused.too_many != "texts" and room is not None and first.tokens is not None:
                told = refused.most_tokens or int(tokens * ratio) // 2
                room = max(first.tokens // SMALLEST_SHARE, min(room, told))
            self._limits = replace(now, texts=lowered, tokens=room)

    def _error(self, refused: Refusal) -> IndexStoreError:
        name = f"embedder {self._spec.provider} {self._spec.model}"
        match refused.kind:
            case RefusalKind.KEY:
                return StoppedError(
                    f"{name} refuses the key ({refused.message}); set embed_api_key or "
                    "embed_key_file; what is embedded is kept"
                )
            case RefusalKind.QUOTA:
                return StoppedError(
                    f"{name} has no allowance left ({refused.message}); what is embedded is kept"
                )
            case RefusalKind.SPLIT | RefusalKind.TOO_LONG | RefusalKind.INPUT:
                return RefusedInputError(
                    f"{name} refuses its input: {refused.message}",
                    too_long=refused.kind is RefusalKind.TOO_LONG,
                    position=refused.position,
                )
            case _:
                return UsageError(f"{name}: {refused.message}; check model and embed_url")


class _BrokenAnswerError(TransientError):
    """An answer with status 200 that is not what was asked for."""


def _model(name: str, provider: Provider, argument: str) -> tuple[str, int]:
    """Return model and dimension of `MODEL@DIMENSION`."""
    model, _, dimension = argument.rpartition("@")
    if not model or not dimension.isdigit():
        model, dimension = argument, ""
    model = model or provider.default_model or ""
    if not model:
        raise UsageError(f"embedder {name}: name a model, such as {name}:nomic-embed-text")
    if dimension:
        if int(dimension) < 1:
            raise UsageError(f"embedder {name}:{argument}: the dimension is not above 0")
        return model, int(dimension)
    found = DIMENSIONS.get(model) or DIMENSIONS.get(model.partition(":")[0])
    if found is None:
        raise UsageError(
            f"embedder {name}:{model}: the dimension of this model is not known here; say it, as "
            f"in {name}:{model}@1024"
        )
    return model, found
