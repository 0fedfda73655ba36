"""Whether a question is a quotation of a text; pure."""

import re
import unicodedata

MIN_VERBATIM_CHARS = 20  # shorter questions stand in many texts by chance
WIDE_CHARS = 2.5  # Latin letters that say as much as an ideograph or a syllable

# Letters that are the same in every form of a text; f, i, l, s and t may hide in ligatures.
_PLAIN_WORD = re.compile(r"[a-eghjkm-ru-z]+")


_WIDE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_BROKEN_LINE = re.compile(r"(?<=[\u3000-\u30ff\u3400-\u9fff]) (?=[\u3000-\u30ff\u3400-\u9fff])")


def fold_text(text: str) -> str:
    """Return `text` without differences of case, compatibility forms and white space."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    # Chinese and Japanese have no blanks: one there is where a line was broken.
    return folded if folded.isascii() else _BROKEN_LINE.sub("", folded)


class Quotation:
    """A question that may be a quotation, ready to be looked for in many texts."""

    def __init__(self, question: str) -> None:
        self._folded = fold_text(question)
        words = _PLAIN_WORD.findall(self._folded)
        self._probe = max(words, key=len, default="")

    @property
    def is_long_enough(self) -> bool:
        """Whether finding the question word for word says anything."""
        wide = len(_WIDE.findall(self._folded))
        return len(self._folded) + (WIDE_CHARS - 1.0) * wide >= MIN_VERBATIM_CHARS

    def is_in(self, text: str) -> bool:
        """Tell whether a text holds the whole question."""
        if self._probe not in text.lower():  # spares nearly every text the folding
            return False
        return self._folded in fold_text(text)
