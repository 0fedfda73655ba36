"""From a question to the words that are looked up in a lexical index; pure.

What language a question is in shows in its small words: the language of the version that explains
most of them wins, and its small words are left out. A question without any, such as a list of
names, is looked up in every language of the version.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from index_store.lexical.engine import telling_words, words_of
from index_store.lexical.languages import WHOLE_WORDS

_Analyse = Callable[[str, str], list[str]]


def question_words(text: str, languages: Collection[str]) -> Mapping[str, int]:
    """Return what to look up, and how often the question says it.

    Args:
        text: The question.
        languages: Languages that the rows of the version were analysed in.

    Returns:
        Words as the index has them; all of them when the question has none that say something.
    """
    spoken = _spoken(text, languages)
    return _counted(text, spoken, telling_words) or _counted(text, spoken, words_of)


def _spoken(text: str, languages: Collection[str]) -> list[str]:
    small = {
        language: len(words_of(text, language)) - len(telling_words(text, language))
        for language in languages
        if language != WHOLE_WORDS
    }
    most = max(small.values(), default=0)
    chosen = {language for language, count in small.items() if count == most}
    return sorted(chosen | ({WHOLE_WORDS} & set(languages)))


def _counted(text: str, languages: Collection[str], analyse: _Analyse) -> dict[str, int]:
    """Count words; one that two languages agree on counts as in the one that has it most often."""
    counted: Counter[str] = Counter()
    for language in languages:
        counted |= Counter(analyse(text, language))
    return dict(counted)
