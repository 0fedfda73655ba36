"""The default embedder: multilingual, offline, no server and no key.

A vector has two halves: 512 numbers of the Universal Sentence Encoder multilingual v3 (meaning, 16
languages) and 512 of signed hashed words (exact wording). Each half is L2-normalised and scaled by
the square root of its weight, so that the inner product of two vectors is the weighted mean of the
two cosines. A word weighs what its rarity in the tokenizer's own unigram model says: general
knowledge of sixteen languages, and none of the collection.

Invariant: one text is one call of the network, because its 8-bit arithmetic lets texts of a batch
influence each other; the same text gives the same bytes whatever stands beside it. Nothing is sent:
the telemetry of ONNX Runtime, which is on unless the environment says otherwise, is off.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from index_store.embedder import EmbedderSpec, RequestLimits, Tokenizer, Vectors
from index_store.embedders.lexical import LEXICAL_REVISION, LexicalVectors, fold, is_empty
from index_store.embedders.sentencepiece_tokenizer import SentencePieceTokenizer
from index_store.embedders.weights import tokenizer_model, weights_path, weights_revision

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Numbers = npt.NDArray[np.float64]

DENSE_DIMENSION = 512
LEXICAL_DIMENSION = 512
LEXICAL_WEIGHT = 0.5  # this and the next two: chosen by measurement, see benchmarks/README.md
COMMON_RARITY = 7.0  # "avec", "after": words up to here weigh next to nothing
RARE_RARITY = 12.0  # "contrat" is 11, "rupture" 13: words from here on weigh in full
LEAST_WEIGHT = 0.02
SCHEME = f"{LEXICAL_REVISION}-{COMMON_RARITY:g}-{RARE_RARITY:g}-{LEXICAL_WEIGHT:g}"
TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"  # read once, when ONNX Runtime is imported
MAX_INPUT_TOKENS = 2048  # no hard limit; beyond 512 it finds less and less, as measured
MAX_BATCH = 256


class OfflineEmbedder:
    """Embeds with weights from an installed package.

    Args:
        threads: Texts embedded at the same time, at least 1.

    Raises:
        UsageError: The weights are not installed.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self._path = weights_path()
        self._threads = max(1, threads)
        self._lexical = LexicalVectors(LEXICAL_DIMENSION, self._weight)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    @cached_property
    def spec(self) -> EmbedderSpec:
        """The identity written into manifests and cache paths."""
        return EmbedderSpec(
            provider="offline",
            model="use-multilingual-v3-int8+words",
            revision=f"{weights_revision(self._path)}.{SCHEME}",
            dimension=DENSE_DIMENSION + LEXICAL_DIMENSION,
            tokenizer=self.tokenizer.identity,
            max_input_tokens=MAX_INPUT_TOKENS,
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that `spec.tokenizer` names."""
        return self._sentencepiece

    @property
    def limits(self) -> RequestLimits:
        """How many texts one request may hold."""
        return RequestLimits(texts=MAX_BATCH)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32, shape (len(texts), 1024), rows L2-normalised."""
        rows = np.empty((len(texts), DENSE_DIMENSION + LEXICAL_DIMENSION), np.float32)
        for row, vector in enumerate(self._opened().map(self._vector, texts)):
            rows[row] = vector
        return rows

    def embed_question(self, question: str) -> Vectors:
        """Return float32, shape (1024,), L2-normalised; this model embeds questions as texts."""
        vector: Vectors = self.embed([question])[0]
        return vector

    def close(self) -> None:
        """Release the threads and the weights; calling it twice is harmless."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None
            self.__dict__.pop("_session", None)

    def _opened(self) -> ThreadPoolExecutor:
        """Return the threads; what they share is opened before they race for it."""
        with self._lock:
            if self._pool is None:
                _ = self._session, self._sentencepiece
                self._pool = ThreadPoolExecutor(self._threads, "offline-embedder")
            return self._pool

    @cached_property
    def _session(self) -> "InferenceSession":
        return _open_session(self._path)

    @cached_property
    def _sentencepiece(self) -> SentencePieceTokenizer:
        return SentencePieceTokenizer(tokenizer_model(self._path))

    def _vector(self, text: str) -> Numbers:
        return joined(self.dense(text), self.lexical(text))

    def dense(self, text: str) -> Numbers:
        """Return the half that knows meaning: float64, shape (512,), L2-normalised."""
        (output,) = self._session.run(None, {"inputs": np.array([text], dtype=object)})
        vector: Numbers = np.asarray(output[0], np.float64)
        norm = float(np.sqrt(np.dot(vector, vector)))
        return vector / norm

    def lexical(self, text: str) -> Numbers:
        """Return the half that knows words: float64, shape (512,), L2-normalised or zero."""
        return self._lexical.vector(text)

    def _weight(self, word: str) -> float:
        if is_empty(fold(word)):
            return 0.0
        rarity = self._sentencepiece.rarity(word.lower())
        return min(1.0, max(LEAST_WEIGHT, (rarity - COMMON_RARITY) / (RARE_RARITY - COMMON_RARITY)))


def joined(dense: Numbers, lexical: Numbers, lexical_weight: float = LEXICAL_WEIGHT) -> Numbers:
    """Join the halves; a text of signs alone has no lexical half, and its dense half fills in."""
    vector: Numbers = np.concatenate(
        (dense * np.sqrt(1.0 - lexical_weight), lexical * np.sqrt(lexical_weight))
    )
    norm = float(np.sqrt(np.dot(vector, vector)))
    return vector / norm


def _open_session(path: Path) -> "InferenceSession":
    os.environ[TELEMETRY_SWITCH] = "1"
    import onnxruntime  # noqa: PLC0415  heavy; loaded when the first text is embedded
    import onnxruntime_extensions  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    options.intra_op_num_threads = 1  # threads are spent on texts, which scales better
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
