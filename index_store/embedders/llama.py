"""Any LlamaIndex embedding, named by its class, as an embedder.

Invariants: settings that are secrets are refused, because names are stored; the identity holds a
fingerprint of the model's answer to a fixed text, so that another model behind the same name is
another embedder.
"""

import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index_store.embedder import EmbedderSpec, RequestLimits, Tokenizer, Vectors
from index_store.embedders.hashing import PieceTokenizer
from index_store.embedders.probes import PROBES, fingerprint
from index_store.errors import IndexStoreError, TransientError, UsageError

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding

MAX_INPUT_TOKENS = 8192
MAX_BATCH = 128
_SECRET = re.compile(r"(^|_)(key|token|secret|password|credentials?)$")
_BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Settings = Mapping[str, object]


class LlamaEmbedder:
    """Wraps a LlamaIndex embedding.

    Args:
        model: The LlamaIndex object.
        name: Its dotted class name with its settings.
    """

    def __init__(self, model: "BaseEmbedding", name: str) -> None:
        self._model = model
        self._name = name
        self._tokenizer = PieceTokenizer()

    @cached_property
    def spec(self) -> EmbedderSpec:
        """The identity written into manifests; the first use embeds three short texts."""
        probes = self._vectors(PROBES)
        return EmbedderSpec(
            provider="llama-index",
            model=self._name,
            revision=f"{self._model.model_name}.{fingerprint(probes)}",
            dimension=probes.shape[1],
            tokenizer=self._tokenizer.identity,
            max_input_tokens=MAX_INPUT_TOKENS,
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that `spec.tokenizer` names: an estimate, since LlamaIndex names none."""
        return self._tokenizer

    @property
    def limits(self) -> RequestLimits:
        """How many texts one request may hold."""
        return RequestLimits(texts=min(MAX_BATCH, self._model.embed_batch_size))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32, shape (len(texts), dimension), rows L2-normalised.

        Raises:
            TransientError: The provider is busy or out of reach.
            UsageError: The provider refuses.
        """
        return self._vectors(texts).astype(np.float32)

    def embed_question(self, question: str) -> Vectors:
        """Return float32, shape (dimension,), L2-normalised, as the model embeds questions.

        Raises:
            TransientError: The provider is busy or out of reach.
            UsageError: The provider refuses.
        """
        vectors = self._ask(lambda: [self._model.get_query_embedding(question)])
        question_vector: Vectors = vectors[0].astype(np.float32)
        return question_vector

    def close(self) -> None:
        """Do nothing: LlamaIndex embeddings own no closable resources."""

    def _vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        return self._ask(lambda: self._model.get_text_embedding_batch(list(texts)))

    def _ask(self, request: Callable[[], list[list[float]]]) -> npt.NDArray[np.float64]:
        try:
            answer = request()
        except Exception as error:
            raise _translated(self._name, error) from error
        if len({len(vector) for vector in answer}) != 1:
            raise TransientError(f"embedder {self._name}: vectors of one answer differ in length")
        vectors: npt.NDArray[np.float64] = np.asarray(answer, np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalised: npt.NDArray[np.float64] = vectors / np.where(norms > 0, norms, 1.0)
        return normalised


def open_llama(argument: str) -> LlamaEmbedder:
    """Open `package.module.ClassName`, optionally followed by `?` and a JSON object of settings.

    Raises:
        UsageError: LlamaIndex or the class is missing, or the settings do not fit it.
    """
    dotted, _, settings_text = argument.partition("?")
    settings = _settings(dotted, settings_text)
    for key in settings:
        if _SECRET.search(key.lower()):
            raise UsageError(
                f"embedder {dotted}: {key!r} is a secret and names of embedders are stored; "
                "put it into the environment variable that the class reads"
            )
    model_class = _model_class(dotted)
    try:
        model: BaseEmbedding = model_class(**settings)
    except (TypeError, ValueError, ImportError, AttributeError) as error:
        raise UsageError(
            f"embedder {dotted}: could not be built, {type(error).__name__}"
        ) from error
    return LlamaEmbedder(model, public_name(dotted, settings))


def public_name(dotted: str, settings: Settings) -> str:
    """Return the class with its settings in a fixed order."""
    if not settings:
        return dotted
    return f"{dotted}?{json.dumps(settings, sort_keys=True, separators=(',', ':'))}"


def _settings(dotted: str, text: str) -> dict[str, object]:
    try:
        settings = json.loads(text) if text else {}
    except ValueError as error:
        raise UsageError(f"embedder {dotted}: the settings after '?' are not JSON") from error
    if not isinstance(settings, dict):
        raise UsageError(f"embedder {dotted}: the settings after '?' are not a JSON object")
    return settings


def _model_class(dotted: str) -> Callable[..., "BaseEmbedding"]:
    module_name, _, class_name = dotted.rpartition(".")
    if not module_name:
        raise UsageError(
            f"embedder 'llama-index:{dotted}': expected llama-index:package.module.ClassName"
        )
    try:
        from llama_index.core.base.embeddings.base import BaseEmbedding  # noqa: PLC0415  optional
    except ImportError as error:
        raise UsageError(
            "embedder llama-index: install it with 'pip install llama-index-core'"
        ) from error
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise UsageError(f"embedder {dotted}: module {module_name} is not installed") from error
    if not isinstance(found, type) or not issubclass(found, BaseEmbedding):
        raise UsageError(f"embedder {dotted}: is not a LlamaIndex embedding class")
    return found


def _translated(name: str, error: Exception) -> IndexStoreError:
    """Sort a foreign exception by its HTTP status where it has one, never by its message."""
    status = getattr(error, "status_code", None)
    message = f"embedder {name}: {type(error).__name__}"
    if isinstance(status, int) and status not in _BUSY_STATUS:
        return UsageError(f"{message}, status {status}")
    if isinstance(error, (TypeError, ValueError, AttributeError, ImportError)):
        return UsageError(message)
    return TransientError(message)
