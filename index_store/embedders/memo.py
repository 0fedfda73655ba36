"""A bounded memory of one number per word, the base of every fast loop over words here."""

from collections.abc import Callable

MEMO_WORDS = 200_000  # about 25 MB; a collection in two languages has fewer common words
MEMO_CHARS = 40  # longer words are rarely seen twice


class WordMemo(dict[str, int]):
    """A dictionary that computes what it lacks and forgets everything when it is full.

    Look-ups of known words never leave the interpreter's own dictionary code; threads may share it.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[str], int]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, word: str) -> int:
        value = self._compute(word)
        if len(word) <= MEMO_CHARS:
            if len(self) >= MEMO_WORDS:
                self.clear()
            self[word] = value
        return value
