"""The part of a hit that answers best, for a terminal; pure."""

import re
import unicodedata

_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_LEAST_LETTERS = 4  # shorter words are mostly articles and prepositions
_STEM_LETTERS = 6  # enough to see that "démission" and "démissionner" belong together


def excerpt(text: str, question: str, *, max_chars: int) -> str:
    """Return the stretch of a text that holds most words of a question.

    Args:
        text: Text of a chunk.
        question: What was asked.
        max_chars: Length of the excerpt at most, without the ellipses.

    Returns:
        One line of whole words; an ellipsis stands where text was left out.
    """
    line = _SPACE.sub(" ", text).strip()
    if len(line) <= max_chars:
        return line
    wanted = {stem for _, stem in _stems(question)}
    places = [(start, stem) for start, stem in _stems(line) if stem in wanted]
    begin = _best_start(places, max_chars) if places else 0
    begin = 0 if begin == 0 else line.rfind(" ", 0, begin) + 1
    end = min(len(line), begin + max_chars)
    if end < len(line):
        end = max(line.rfind(" ", begin, end), begin + 1)
    return ("… " if begin else "") + line[begin:end] + (" …" if end < len(line) else "")


def _best_start(places: list[tuple[int, str]], max_chars: int) -> int:
    """Return where a window should begin, a little before its first word of the question."""
    lead = max_chars // 5
    reach = max_chars - lead
    best, most = 0, 0
    for start, _ in places:
        within = {stem for place, stem in places if start <= place < start + reach}
        if len(within) > most:
            best, most = start, len(within)
    return max(0, best - lead)


def _stems(text: str) -> list[tuple[int, str]]:
    """Return position and beginning of every longer word, without accents and case."""
    return [
        (match.start(), _fold(match[0])[:_STEM_LETTERS])
        for match in _WORD.finditer(text)
        if len(match[0]) >= _LEAST_LETTERS
    ]


def _fold(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))
