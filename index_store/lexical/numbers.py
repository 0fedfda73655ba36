"""Numbers of clauses, articles, versions and parts, as words of their own; pure.

A tokenizer takes "2.9", "L. 121-3" or "AB-12/3" apart, and such parts are in every row. So a row is
found by the whole number too, by its beginnings ("2.9" finds "2.9.1"), and without the letters
before it. "Article 4" and "§ 4" count as one word. Where a line or a heading begins with a number
stands the clause itself, and not somebody who refers to it: such a row has a mark. Separators
between letters and digits do not matter: "L. 121-3" is "L121-3", "AB-12" is "AB12".
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

MARK = "^"  # before a number that a line or a heading begins with; the tokenizer never lets it out
MOST_PIECES = 8  # of a number; a longer one is an address or a table, and goes by its parts
LONGEST_NUMBER = 60  # characters

# What a number of one piece must follow to be one of a clause, and what it is called here.
_LABELS = {
    "article": "article articles art artikel articulo articolo artigo",
    "section": "section sections sec seccion sezione secao abschnitt",
    "clause": "clause clauses clausula clausola klausel",
    "paragraph": "paragraph paragraphs para paragraphe paragraphes parrafo absatz alinea",
    "chapter": "chapter chapters chap chapitre chapitres capitulo capitolo kapitel",
    "annex": "annex annexe annexes appendix anhang anexo allegato schedule",
    "title": "titre titel titulo titolo",
    "rule": "rule rules regle regles regel",
}
_NAMES = {label: name for name, labels in _LABELS.items() for label in labels.split()} | {"§": "§"}

_PIECE = r"[^\W_]+"
_CODE = r"(?:(?:[lrd]\.?|a\.)\s(?=\d))?"  # the letter of a French code may stand apart: "L. 121-3"
_NUMBER = re.compile(rf"(?<![^\W_]){_CODE}{_PIECE}(?:[.,:/_-]{_PIECE})*")
_WITH_DIGIT = re.compile(rf"(?<!\S){_CODE}[^\s\d]*+\d\S*")
# What stands before it is looked at after its first letter, which a search finds much faster.
_ROMAN = re.compile(r"[ivxlc](?<![^\W_][ivxlc])[ivxlc]*+(?![^\W_])")
_LABEL = re.compile(r"(?:([^\W\d_]{3,12})\.?\s*|(§)\s*)$")
_LABEL_ENDS = frozenset({"§", "."})  # what a label ends with when it is no letter
_LABEL_REACH = 16  # characters before a number in which its label begins
_DECORATION = " \t#*>|§-"  # may stand before a number that a line begins with
_DECORATION_REACH = 24  # characters, the label included
_SEPARATORS = re.compile(r"[.,:/_\s-]+")
_UNTOLD = re.compile(r"(?<=[^\W\d_])[.,:/_\s-]+(?=\d)|(?<=\d)[.,:/_-]+(?=[^\W\d_])")
_CLAUSE = re.compile(r"(?:[^\W\d_]{1,2}[.,:/_\s-]*)?\d")
_LEADING_LETTERS = re.compile(r"[^\W\d_]+[.,:/_\s-]*(?=\d)")
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212")


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in a text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        label: What kind of clause it is said to be, or empty.
        written: As it is written, folded.
        is_compound: Whether the tokenizer would take it apart.
    """

    start: int
    end: int
    label: str
    written: str
    is_compound: bool

    @property
    def name(self) -> str:
        """What it is called in full: with its label if it is too short to go without."""
        return _one_word(self.written) if self.is_compound else self.label + self.written

    @property
    def mark(self) -> str:
        """What a row has where a line begins with it; empty when no clause is numbered so."""
        return MARK + self.name if self.label or _CLAUSE.match(self.written) else ""


@dataclass(frozen=True, slots=True)
class AskedNumbers:
    """The numbers of a question.

    Attributes:
        rest: The question without the numbers that a tokenizer would take apart.
        whole: Words to look up for the numbers as they were said.
        parts: Words that help where a number is written in another way.
    """

    rest: str
    whole: tuple[str, ...]
    parts: tuple[str, ...]


def indexed_numbers(text: str, headings: Sequence[str] = ()) -> list[str]:
    """Return the words that a row has for its numbers, besides those of the tokenizer.

    Args:
        text: The row, in Unicode's form NFKC.
        headings: Headings that lead to it, the outermost first.
    """
    folded = text.translate(_FOLDED)
    words: list[str] = []
    for number in _numbers(folded):
        words += _ways_to_write(number.written) if number.is_compound else [number.name]
        if number.mark and _begins_line(folded, number):
            words.append(number.mark)
    for heading in reversed(headings):
        marks = _heading_marks(heading)
        if marks:
            return [*words, *marks]
    return words


def asked_numbers(text: str) -> AskedNumbers:
    """Take the numbers out of a question.

    Args:
        text: The question, in Unicode's form NFKC.
    """
    whole: list[str] = []
    parts: list[str] = []
    rest, place = "", 0
    for number in _numbers(text.translate(_FOLDED)):
        whole += filter(None, (number.name, number.mark))
        if not number.is_compound:
            parts.append(MARK + number.written)
            continue
        pieces = _SEPARATORS.split(number.written)
        parts += [piece for piece in pieces if not _is_word(piece)]
        parts += [_one_word(each) for each in _without_letters(number.written)]
        rest += text[place : number.start] + " ".join(filter(_is_word, pieces))
        place = number.end
    return AskedNumbers(rest + text[place:], tuple(whole), tuple(parts))


def _is_word(piece: str) -> bool:
    """Tell whether a piece of a number says something by itself, as in "covid-19"."""
    return len(piece) > 2 and piece.isalpha()


def _numbers(folded: str) -> Iterator[_Number]:
    """Find the numbers that have several pieces or a label, in order."""
    found = [*_with_digits(folded), *_roman(folded)]
    return iter(sorted(found, key=lambda number: number.start))


def _with_digits(folded: str) -> Iterator[_Number]:
    for token in _WITH_DIGIT.finditer(folded):
        for match in _NUMBER.finditer(folded, token.start(), token.end()):
            written = match.group()
            pieces = _pieces(written)
            if not pieces:
                continue
            label = _label_before(folded, match.start())
            if pieces > 1 or label:
                yield _Number(match.start(), match.end(), label, written, is_compound=pieces > 1)


@lru_cache(maxsize=4096)  # dates, years and rates come again and again
def _pieces(written: str) -> int:
    """Return the pieces of a number; 0 for what is none."""
    if len(written) > LONGEST_NUMBER or not any(map(str.isdigit, written)):
        return 0
    pieces = len(_SEPARATORS.split(written))
    return pieces if pieces <= MOST_PIECES else 0


def _roman(folded: str) -> Iterator[_Number]:
    for match in _ROMAN.finditer(folded):
        label = _label_before(folded, match.start())
        if label not in {"", "§"}:
            yield _Number(match.start(), match.end(), label, match.group(), is_compound=False)


def _label_before(folded: str, start: int) -> str:
    begin = max(0, start - _LABEL_REACH)
    last = folded[begin:start].rstrip()[-1:]
    if last.isdecimal() or not (last.isalnum() or last in _LABEL_ENDS):
        return ""  # as most numbers of a table, which follow another number or a sign
    before = _LABEL.search(folded, begin, start)
    return _NAMES.get(before.group(1) or before.group(2), "") if before else ""


def _begins_line(folded: str, number: _Number) -> bool:
    line = folded.rfind("\n", 0, number.start) + 1
    if number.start - line > _DECORATION_REACH:
        return False
    before = folded[line : number.start]
    return not (_LABEL.sub("", before) if number.label else before).strip(_DECORATION)


@lru_cache(maxsize=4096)  # the chunks below a heading follow each other
def _heading_marks(heading: str) -> tuple[str, ...]:
    """Return the marks of a heading that begins with a number, also with one of a single piece."""
    folded = unicodedata.normalize("NFKC", heading).translate(_FOLDED)
    for number in _numbers(folded):
        if number.mark and _begins_line(folded, number):
            return (number.mark, *(() if number.is_compound else (MARK + number.written,)))
        break
    match = _NUMBER.search(folded)
    if match is None or not match.group().isdigit() or folded[: match.start()].strip(_DECORATION):
        return ()
    return (MARK + match.group(),)


@lru_cache(maxsize=4096)  # likewise
def _ways_to_write(written: str) -> tuple[str, ...]:
    """Return a number as one word, its beginnings, and both without the letters before it."""
    both = [written, *_without_letters(written)]
    return tuple(word for each in both for word in _beginnings(each))


def _without_letters(written: str) -> list[str]:
    """Return what is left without the letters that it begins with, if that has several pieces."""
    letters = _LEADING_LETTERS.match(written)
    if letters is None or not _SEPARATORS.search(written, letters.end()):
        return []
    return [written[letters.end() :]]


def _beginnings(written: str) -> list[str]:
    """Return the whole and what is left of it without its last pieces; one piece is not enough."""
    ends = [separator.start() for separator in _SEPARATORS.finditer(written)]
    return [_one_word(written[:end]) for end in [len(written), *reversed(ends[1:])]]


def _one_word(written: str) -> str:
    return _UNTOLD.sub("", written)


class _Folding(dict[int, str]):
    """Letters in lower case without accents, and one kind of dash; each stays one character."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        plain = "-" if letter in _DASHES else unicodedata.normalize("NFKD", letter)[0].lower()
        self[code] = plain if len(plain) == 1 else letter
        return self[code]


_FOLDED = _Folding()
