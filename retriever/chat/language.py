"""Whether a question is French or English, by its everyday words; pure."""

import re
from enum import Enum

_WORD = re.compile(r"[^\W\d_]+")
_FRENCH = frozenset(
    """le la les un une des du de et ou est sont que qui quoi quel quelle quels quelles comment
    pourquoi quand où combien dans pour par sur avec sans ce cette ces il elle je tu nous vous mon
    ma mes votre notre peut doit faut pas plus au aux en à y""".split()  # noqa: SIM905 - readable
)
_ENGLISH = frozenset(
    """the a an of and or is are was were what which who whom how why when where many much in for by
    on with without this that these those it he she i you we they my your our can must should not
    more to at from does do did""".split()  # noqa: SIM905 - readable
)


class Language(Enum):
    """Languages in which the service itself speaks."""

    FRENCH = "fr"
    ENGLISH = "en"


def language_of(text: str) -> Language:
    """Return the language of a question; English when nothing speaks for French."""
    words = [word.lower() for word in _WORD.findall(text)]
    french = sum(word in _FRENCH for word in words) + 0.5 * sum(
        any(letter in "éèêàùçôîâûœ" for letter in word) for word in words
    )
    english = sum(word in _ENGLISH for word in words)
    return Language.FRENCH if french > english else Language.ENGLISH
