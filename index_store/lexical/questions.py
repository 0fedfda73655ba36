"""From a question to the words that are looked up in a lexical index; pure.

What language a question is in shows in its small words: the language of the version that explains
most of them wins, and its small words are left out. A question without any, such as a list of
names, is looked up in every language of the version.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from index_store.fusion import PART_WEIGHT
from index_store.lexical.analysis import ANALYSIS, FIRST_ANALYSIS
from index_store.lexical.engine import plain_words, telling_words
from index_store.lexical.languages import WHOLE_WORDS
from index_store.lexical.numbers import asked_numbers
from index_store.lexical.unspaced import asked_pairs, without_unspaced

_Analyse = Callable[[str, str], list[str]]


def question_words(
    text: str, languages: Collection[str], analyses: Collection[str] = (ANALYSIS,)
) -> Mapping[str, float]:
    """Return what to look up, and what it weighs: as often as the question says it.

    Args:
        text: The question.
        languages: Languages that the rows of the version were analysed in.
        analyses: Ways of analysis of its lexical indexes.

    Returns:
        Words as the index has them; all of them when the question has none that say something.
    """
    spoken = _spoken(text, languages)
    words: dict[str, float] = {}
    if FIRST_ANALYSIS in analyses:
        _add(words, _plain(text, spoken))
    if ANALYSIS in analyses:
        _add(words, _of_numbers_and_pairs(text, spoken))
    return words


def _of_numbers_and_pairs(text: str, spoken: list[str]) -> Mapping[str, float]:
    """Return the words of a question, its numbers whole and its unspaced runs in pairs."""
    spaced, runs = without_unspaced(unicodedata.normalize("NFKC", text))
    numbers = asked_numbers(spaced)
    words: dict[str, float] = {}
    words |= Counter(pair for run in runs for pair in asked_pairs(run))
    words |= Counter(numbers.whole)
    _add(words, dict.fromkeys(numbers.parts, PART_WEIGHT))
    if words:
        _add(words, _counted(numbers.rest, spoken, telling_words))
        return words
    return _plain(spaced, spoken)


def _plain(text: str, spoken: Iterable[str]) -> Mapping[str, float]:
    return _counted(text, spoken, telling_words) or _counted(text, spoken, plain_words)


def _add(words: dict[str, float], others: Mapping[str, float]) -> None:
    """Add words; one that is there already keeps what it weighs more."""
    for word, weight in others.items():
        words[word] = max(weight, words.get(word, 0.0))


def _spoken(text: str, languages: Collection[str]) -> list[str]:
    small = {
        language: len(plain_words(text, language)) - len(telling_words(text, language))
        for language in languages
        if language != WHOLE_WORDS
    }
    most = max(small.values(), default=0)
    chosen = {language for language, count in small.items() if count == most}
    return sorted(chosen | ({WHOLE_WORDS} & set(languages)))


def _counted(text: str, languages: Iterable[str], analyse: _Analyse) -> dict[str, float]:
    """Count words; one that two languages agree on counts as in the one that has it most often."""
    counted: Counter[str] = Counter()
    for language in languages:
        counted |= Counter(analyse(text, language))
    return dict(counted)
