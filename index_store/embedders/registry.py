"""From a written name to an embedder.

    offline                              weights from a package, multilingual (default)
    hashing, hashing:384                 hashed words of the given dimension, for tests and trials
    llama-index:package.Class?{"k": 1}   any LlamaIndex embedding, built with the JSON's arguments
    mistral, mistral:MODEL               Mistral's API
    openai:MODEL, openai:MODEL@1024      OpenAI, or any server that speaks like it, at embed_url
    ollama:MODEL                         an Ollama server

Invariant: a name opens the same embedder on every machine, or fails with the remedy.
"""

from typing import TYPE_CHECKING

from index_store.embedder import Embedder, EmbedderSpec, Tokenizer
from index_store.embedders.hashing import DEFAULT_DIMENSION, HashingEmbedder, PieceTokenizer
from index_store.embedders.remote.options import RemoteOptions
from index_store.errors import UsageError

if TYPE_CHECKING:
    from index_store.embedders.remote.batch_jobs import BatchJobs

OFFLINE = "offline"
HASHING = "hashing"
COMPUTED_HERE = (OFFLINE, HASHING)  # embedding a text again costs nobody anything
LLAMA_INDEX = "llama-index"


MISTRAL = "mistral"
REMOTE = (MISTRAL, "openai", "ollama")


def open_embedder(spec: str, *, threads: int = 2, remote: RemoteOptions | None = None) -> Embedder:
    """Open the embedder that `spec` names; weights load when the first text is embedded.

    Args:
        spec: One of the forms above.
        threads: Texts embedded at the same time by embedders that compute here.
        remote: How a provider over the network is reached; None for its usual address, no key.

    Raises:
        UsageError: No such embedder, a bad argument, a package is missing, or `remote` is of
            another provider.
    """
    provider, _, argument = spec.partition(":")
    if provider in REMOTE and remote is not None:
        remote = remote.for_embedder(spec)
    if provider == OFFLINE and not argument:
        from index_store.embedders.offline import OfflineEmbedder  # noqa: PLC0415  needs weights

        return OfflineEmbedder(threads=threads)
    if provider == HASHING:
        return HashingEmbedder(_dimension(argument))
    if provider == LLAMA_INDEX:
        from index_store.embedders.llama import open_llama  # noqa: PLC0415  optional package

        return open_llama(argument)
    if provider in REMOTE and remote is not None and remote.fallbacks:
        from index_store.embedders.remote.fallback import (  # noqa: PLC0415  loads an HTTP library
            FallbackEmbedder,
        )

        return FallbackEmbedder(provider, argument, remote)
    if provider in REMOTE:
        from index_store.embedders.remote.embedder import (  # noqa: PLC0415  loads an HTTP library
            RemoteEmbedder,
        )

        return RemoteEmbedder(provider, argument, remote or RemoteOptions())
    raise _unknown(spec)


def open_batch_jobs(spec: EmbedderSpec, remote: RemoteOptions) -> "BatchJobs":
    """Open the jobs of a provider that answers hours later at half the price.

    Raises:
        UsageError: The provider has none.
    """
    if spec.provider != MISTRAL:
        raise UsageError(
            f"embedder {spec.provider} has no night rate, only {MISTRAL} has; unset "
            "embed_night_rate"
        )
    from index_store.embedders.remote.batch_jobs import (  # noqa: PLC0415  loads an HTTP library
        BatchJobs,
    )
    from index_store.embedders.remote.embedder import PROVIDERS  # noqa: PLC0415  the same

    base_url = remote.base_url or PROVIDERS[MISTRAL].base_url
    return BatchJobs(base_url, spec.model, spec.dimension, remote)


def open_tokenizer(spec: str) -> Tokenizer:
    """Open the tokenizer of the embedder that `spec` names, without its weights.

    Raises:
        UsageError: As `open_embedder`.
    """
    provider, _, argument = spec.partition(":")
    if provider == OFFLINE and not argument:
        from index_store.embedders.sentencepiece_tokenizer import (  # noqa: PLC0415  needs weights
            open_offline_tokenizer,
        )

        return open_offline_tokenizer()
    if provider in (HASHING, LLAMA_INDEX, *REMOTE):
        return PieceTokenizer()
    raise _unknown(spec)


def find_tokenizer(identity: str) -> Tokenizer | None:
    """Open the tokenizer of this identity; None when no embedder here has it."""
    pieces = PieceTokenizer()
    if identity == pieces.identity:
        return pieces
    try:
        offline = open_tokenizer(OFFLINE)
    except UsageError:
        return None  # its weights are not installed
    return offline if identity == offline.identity else None


def spec_string(spec: EmbedderSpec) -> str:
    """Return the name that `open_embedder` understands for an identity read from a manifest."""
    match spec.provider:
        case "hashing":
            return f"{HASHING}:{spec.dimension}"
        case "llama-index":
            return f"{LLAMA_INDEX}:{spec.model}"
        case "mistral" | "openai" | "ollama":
            return f"{spec.provider}:{spec.model}@{spec.dimension}"
        case _:
            return spec.provider


def _dimension(argument: str) -> int:
    if not argument:
        return DEFAULT_DIMENSION
    if not argument.isascii() or not argument.isdigit():
        raise UsageError(f"embedder 'hashing:{argument}': the dimension is not a whole number")
    return int(argument)


def _unknown(spec: str) -> UsageError:
    return UsageError(
        f"embedder '{spec}' is unknown; there are: offline, hashing, hashing:DIMENSION, "
        "mistral, openai:MODEL, ollama:MODEL, llama-index:package.module.ClassName"
    )
