"""Signed hashed word vectors: which words a text holds, as a direction.

A word is folded (case, accents), cut to a prefix and hashed to one bucket and one sign; it counts
with the logarithm of how often it stands in the text. No statistics of a collection take part, so
that the same text gives the same bytes in every collection and process. Scripts without spaces give
pairs of neighbouring characters.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from index_store.embedders.memo import WordMemo
from index_store.embedders.stopwords import STOP_WORDS

LEXICAL_REVISION = "lexical-1"
STEM_CHARS = 6
WEIGHT_STEPS = 255  # a weight is kept in 8 bits

_DENSE = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
)
_DENSE_RUN = re.compile(f"[{_DENSE}]+")
_WORD = re.compile(r"[\w\u0300-\u036f]+")

Weigher = Callable[[str], float]


class LexicalVectors:
    """Makes one hashed vector per text; threads may share one.

    Args:
        dimension: Length of a vector, at least 2.
        weigher: Weight of a word in [0, 1], 0 to leave it out; part of the caller's identity.
    """

    def __init__(self, dimension: int, weigher: Weigher) -> None:
        self._dimension = dimension
        self._weigher = weigher
        self._codes = WordMemo(self._code)

    def vector(self, text: str) -> npt.NDArray[np.float64]:
        """Return float64, shape (dimension,), L2-normalised, or zero when no word has weight."""
        if not text.isascii() and _DENSE_RUN.search(text):
            text = _DENSE_RUN.sub(_pairs, text)
        counts = Counter(map(self._codes.__getitem__, _WORD.findall(text)))
        codes = np.fromiter(counts.keys(), np.int64, len(counts))
        times = np.fromiter(counts.values(), np.float64, len(counts))
        values = (1.0 + np.log(times)) * (codes & 255) * (((codes >> 8) & 1) * 2 - 1)
        sums = np.bincount((codes >> 9) % self._dimension, values, self._dimension)
        vector = np.asarray(sums, np.float64)
        norm = float(np.sqrt(np.dot(vector, vector)))
        return vector / norm if norm > 0 else vector

    def _code(self, word: str) -> int:
        """Pack bucket hash, sign and weight of a word into 57 bits; 0 for a word without weight."""
        weight = round(self._weigher(word) * WEIGHT_STEPS)
        if weight == 0:
            return 0
        stem = stem_of(fold(word)).encode("utf-8", "surrogatepass")
        low, high = zlib.crc32(stem), zlib.crc32(b"#" + stem)
        return ((low ^ high << 16) << 8 | (high >> 5 & 1) << 8) & ~255 | weight


def fold(word: str) -> str:
    """Return the word in lower case without accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def stem_of(folded: str) -> str:
    """Return the first characters of a word, shared by its inflections; numbers stay whole."""
    return folded if folded.isdigit() else folded[:STEM_CHARS]


def is_empty(folded: str) -> bool:
    """Tell whether a folded word says nothing: a stop word or a single letter."""
    return folded in STOP_WORDS or (len(folded) == 1 and folded.isascii() and folded.isalpha())


def plain_weight(word: str) -> float:
    """Return the weight of a word by its length alone."""
    folded = fold(word)
    if is_empty(folded):
        return 0.0
    return 0.6 if len(folded) <= 3 else 1.0


def _pairs(run: re.Match[str]) -> str:
    text = run.group()
    if len(text) == 1:
        return f" {text} "
    pairs = " ".join(text[start : start + 2] for start in range(len(text) - 1))
    return f" {pairs} "
