"""What an embedder is, and its identity.

The `Embedder` protocol is what every provider implements, offline or remote. Callers never depend
on a provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from index_store.ids import hex_digest

EMBEDDER_SCHEME = "nightpress.embedder.v1"

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSpec:
    """Identity of an embedder: two specs that are equal make the same vectors from the same text.

    Attributes:
        provider: Name of the implementation, such as "offline", "hashing", "mistral".
        model: Name of the model at the provider.
        revision: Revision of weights and code that shape the vectors.
        dimension: Length of a vector, at least 1.
        tokenizer: Identity of the tokenizer that counts tokens.
        max_input_tokens: Longest text that is embedded whole.
        price_per_million_tokens: Price in the provider's currency, 0 when it costs nothing or is
            not known; not part of the identity.
    """

    provider: str
    model: str
    revision: str
    dimension: int
    tokenizer: str
    max_input_tokens: int
    price_per_million_tokens: float = 0.0

    @property
    def id(self) -> str:
        """64 hexadecimal characters that name this embedder in paths and manifests."""
        return hex_digest(
            EMBEDDER_SCHEME,
            self.provider,
            self.model,
            self.revision,
            self.dimension,
            self.tokenizer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What one request to an embedder may hold.

    Attributes:
        texts: Texts at most, at least 1.
        tokens: Tokens at most, by the embedder's own tokenizer; None for any number.
        in_flight: Requests that may be under way at the same time, at least 1.
    """

    texts: int
    tokens: int | None = None
    in_flight: int = 1


class Tokenizer(Protocol):
    """Counts tokens; tokens never span white space, so counts of words add up."""

    @property
    def identity(self) -> str:
        """Name and revision, part of the embedder's identity."""
        ...

    def count(self, words: Sequence[str]) -> list[int]:
        """Return the number of tokens of each word; a word holds no white space."""
        ...


class Embedder(Protocol):
    """Makes vectors from texts."""

    @property
    def spec(self) -> EmbedderSpec:
        """The identity written into manifests and cache paths."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that `spec.tokenizer` names."""
        ...

    @property
    def limits(self) -> RequestLimits:
        """What one request may hold; may change as the embedder learns from refusals."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts in one request.

        Args:
            texts: Between 1 and `limits.texts` non-empty texts.

        Returns:
            float32, shape (len(texts), spec.dimension), rows L2-normalised, in the order of
            `texts`. The same text gives the same row whatever stands beside it in the request.

        Raises:
            TransientError: The provider is busy or out of reach.
            RefusedInputError: The provider refuses these texts, or so many at a time.
            StoppedError: The provider refuses the key, or there is no allowance left.
            UsageError: The provider does not know the model or the address.
        """
        ...

    def embed_question(self, question: str) -> Vectors:
        """Embed a question; some models embed questions otherwise than texts.

        Args:
            question: Not blank.

        Returns:
            float32, shape (spec.dimension,), L2-normalised.

        Raises:
            TransientError, UsageError: As `embed`.
        """
        ...

    def close(self) -> None:
        """Release connections, sessions and threads; calling it twice is harmless."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedVectors:
    """Vectors, and what they cost.

    Attributes:
        vectors: As `Embedder.embed` returns them.
        tokens: Tokens that the provider counted, and bills; None when it does not say.
    """

    vectors: Vectors
    tokens: int | None = None


@runtime_checkable
class MeteredEmbedder(Protocol):
    """An embedder whose provider counts tokens and allows so many a minute."""

    def embed_counted(self, texts: Sequence[str]) -> CountedVectors:
        """Embed as `Embedder.embed` does, with the same errors."""
        ...

    def count(self, texts: Sequence[str]) -> list[int] | None:
        """Return the tokens of texts as `RequestLimits.tokens` counts; None for those of chunks."""
        ...

    def room(self, tokens: int) -> int:
        """Return how many tokens the next request should have so that a minute is filled.

        Args:
            tokens: What it would have, as `RequestLimits.tokens` counts; it gets no more.
        """
        ...

    def announce(self, tokens: int) -> None:
        """Say that a request of so many tokens will be embedded soon, by another thread."""
        ...

    def learned(self) -> RequestLimits | None:
        """Return what refusals taught that one request may hold; None when nothing was refused."""
        ...

    def recall(self, limits: RequestLimits) -> None:
        """Begin with what an earlier run learned, where it is less than what is set."""
        ...


@runtime_checkable
class RoutedEmbedder(Protocol):
    """An embedder whose model answers at several addresses."""

    def check_routes(self, expected: str | None) -> None:
        """See which addresses have the same model.

        Args:
            expected: Fingerprint of the model that made the stored vectors; None when there is
                none.

        Raises:
            UsageError: An address answers with other vectors.
        """
        ...


def text_tokens(tokenizer: Tokenizer, text: str) -> int:
    """Return the number of tokens of a text, which is the sum over its words."""
    return sum(tokenizer.count(text.split()))
