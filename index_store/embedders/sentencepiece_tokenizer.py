"""The tokenizer of the offline embedder: the SentencePiece model that lies inside its weights.

Invariant: the model collapses white space and never joins words over it, so counts of words add up.
"""

import hashlib
from collections.abc import Sequence

from index_store.embedders.memo import WordMemo
from index_store.embedders.weights import tokenizer_model, weights_path


class SentencePieceTokenizer:
    """Counts SentencePiece tokens.

    Args:
        model: The serialised SentencePiece model.
    """

    def __init__(self, model: bytes) -> None:
        import sentencepiece  # noqa: PLC0415  heavy; loaded only where tokens are counted

        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._identity = f"sentencepiece-{hashlib.sha256(model).hexdigest()[:16]}"
        self._counts = WordMemo(self._tokens)

    @property
    def identity(self) -> str:
        """Name and digest of the model."""
        return self._identity

    def count(self, words: Sequence[str]) -> list[int]:
        """Return the number of tokens of each word; a word holds no white space."""
        return list(map(self._counts.__getitem__, words))

    def rarity(self, word: str) -> float:
        """Return minus the natural logarithm of a word's probability, by the model's unigrams."""
        return -float(sum(self._processor.get_score(self._processor.encode(word))))

    def _tokens(self, word: str) -> int:
        return len(self._processor.encode(word))


def open_offline_tokenizer() -> SentencePieceTokenizer:
    """Open the tokenizer of the offline embedder; takes about 50 ms and no weights.

    Raises:
        UsageError: The weights are not installed.
    """
    return SentencePieceTokenizer(tokenizer_model(weights_path()))
