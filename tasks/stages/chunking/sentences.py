"""Where a text may be cut: sentence ends, runs of words, and characters where there are no spaces.

Spans are half-open [start, end) over the characters of the text. Spans of one text never overlap,
stand in order and leave out nothing but white space. Every choice looks only at the text near it.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator

Span = tuple[int, int]

# a capital, a digit or a letter of another script must follow, except after full-width signs
_END = re.compile(
    r"[.!?…]+(?:\s?»)?[\"»”’)\]]*\s+(?=[\"«“‘(\[–—-]*[^\Wa-zß-öø-ÿ_])"
    r"|[。！？｡]+[」』”’）】]*\s*"
)
_CLAUSE_END = re.compile(r"[;:,]\s+|[；，、：]|\n\s*")
_WORD = re.compile(r"\S+")
_SHORTENED = """
al approx art arts av bd cf ch chap dept dr ed eds env est etc ex fig figs hon inc jr ltd me mm mme
mlle mr mrs ms no nos num op p para pp prof ref réf resp sec sect sr st ste tab tel tél vol vs
"""
_ABBREVIATIONS = frozenset(_SHORTENED.split())
_JOINER = "\u200d"
_SHORT_RUN, _LONG_RUN = 16, 48  # characters of a piece of a word without spaces


def sentence_spans(text: str) -> list[Span]:
    """Return the sentences of a text, whole when it has no sentence end."""
    spans = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if end < len(text) and not (
            text[match.start()] == "." and _abbreviates(text, match.start())
        ):
            spans.append(_stripped(text, start, end))
            start = end
    spans.append(_stripped(text, start, len(text)))
    return [span for span in spans if span[0] < span[1]]


def line_spans(text: str) -> list[Span]:
    """Return the lines of a text without blank ones; indentation belongs to its line."""
    spans = []
    start = 0
    for line in text.splitlines(keepends=True):
        if kept := len(line.rstrip()):
            spans.append((start, start + kept))
        start += len(line)
    return spans


def clause_spans(text: str, span: Span, least: int) -> Iterator[Span]:
    """Yield the clauses of a long sentence, each of at least `least` characters but the last."""
    start, end = span
    for match in _CLAUSE_END.finditer(text, start + least, end):
        if match.end() - start >= least and match.end() < end:
            yield _stripped(text, start, match.end())
            start = match.end()
    yield _stripped(text, start, end)


def word_spans(text: str, span: Span) -> Iterator[Span]:
    """Yield the words of `text` inside `span`."""
    for match in _WORD.finditer(text, *span):
        yield match.span()


def begins_run(word: str) -> bool:
    """Tell whether a run of words may begin here: about one word in sixteen, by the word alone."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) & 15 == 0


def character_spans(text: str, span: Span) -> Iterator[Span]:
    """Yield pieces of 16 to 48 characters of a word that is too long to stay whole."""
    start, end = span
    for position in range(start + 1, end):
        length = position - start
        if length < _SHORT_RUN or _joined(text, position):
            continue
        if length >= _LONG_RUN or (ord(text[position]) * 2654435761 >> 12) & 15 == 0:
            yield start, position
            start = position
    yield start, end


def _joined(text: str, position: int) -> bool:
    """Tell whether a cut would part a sign from the marks that belong to it."""
    after = text[position]
    return (
        unicodedata.category(after).startswith("M")
        or after == _JOINER
        or text[position - 1] == _JOINER
    )


def _abbreviates(text: str, dot: int) -> bool:
    """Tell whether the full stop at `dot` belongs to an abbreviation or an initial."""
    if not text[dot + 1].isspace():
        return False
    start = dot
    while start > 0 and dot - start < 8 and text[start - 1].isalpha():
        start -= 1
    word = text[start:dot]
    return (len(word) == 1 and word.isupper()) or word.lower() in _ABBREVIATIONS


def _stripped(text: str, start: int, end: int) -> Span:
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end
