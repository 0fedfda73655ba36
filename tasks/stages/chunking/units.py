"""From elements to units, the smallest things that a chunk is packed from.

Invariants: units stand in reading order and together hold every word of the elements; a unit has
at most a quarter of a chunk's tokens, unless a single character has more; a table row is several
units only when it is longer than that.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from index_store.embedder import Tokenizer
from tasks.stages.chunking.clauses import Clause, enter, find_clause
from tasks.stages.chunking.sentences import (
    Span,
    begins_run,
    character_spans,
    clause_spans,
    line_spans,
    sentence_spans,
    word_spans,
)
from tasks.stages.parsing.elements import Element, ElementKind

SHORT_CHARS = 160  # shorter elements stay whole
SECTION_CHARS = 200  # a heading path is for people; longer headings are cut in it, not in the text
NEAR_CHARS = 64  # what of a unit decides how good the place before it is
CLAUSE_CHARS = 80  # a clause of a long sentence is cut off once it has this many
_DEEPEST_HEADING = 6
_SPREAD = 2654435761  # 2**32 over the golden ratio, odd (Knuth's multiplicative hashing)


class Strength(IntEnum):
    """How good a place for a cut the start of a unit is; a heading of level 1 has `HEADING` + 5."""

    FRAGMENT = 0
    SENTENCE = 1
    ROW = 2
    PARAGRAPH = 3
    TABLE = 4
    CLAUSE = 5
    HEADING = 6


class Table(NamedTuple):
    """A run of rows under one header, which is repeated in every chunk of the run."""

    header: str
    tokens: int


class Unit(NamedTuple):
    """A piece of an element; a tuple for speed, since a document may have millions.

    Attributes:
        element: The element that it is cut from.
        start: First character in the element's text.
        end: One past the last character.
        tokens: Tokens of the piece alone.
        strength: How good a place for a cut its start is.
        near: Hash of its first words, the base of content-defined cuts; see `_near`.
        section: Heading path that it stands under.
        table: The table that it is a row of, or None.
        glued: Whether no white space parts it from the unit before.
    """

    element: Element
    start: int
    end: int
    tokens: int
    strength: int
    near: int
    section: tuple[str, ...]
    table: Table | None
    glued: bool

    @property
    def is_heading(self) -> bool:
        """Whether it is (part of) a heading, which stays with what follows."""
        return self.element.kind is ElementKind.HEADING


class UnitMaker:
    """Turns elements into units; carries the heading path from one place to the next.

    Args:
        tokenizer: Counts tokens.
        max_tokens: Longest chunk.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._unit_tokens = max_tokens // 4
        self._path: list[tuple[int, str]] = []
        self._headings: tuple[str, ...] = ()
        self._chapter: tuple[str, ...] = ()
        self._clauses: tuple[Clause, ...] = ()
        self._section: tuple[str, ...] = ()

    def forget_headings(self) -> None:
        """Begin a slide or sheet, which stands under no earlier heading."""
        self._path = []
        self._headings = ()
        self._clauses = ()
        self._section = self._chapter

    def units(self, elements: Sequence[Element]) -> list[Unit]:
        """Return the units of elements that share a page, slide or sheet."""
        units: list[Unit] = []
        headers = _headers(elements)
        before: Element | None = None
        table: Table | None = None
        for position, element in enumerate(elements):
            if element.kind is ElementKind.HEADING:
                self._enter(element)
            clause = find_clause(element)
            header = headers[position]
            goes_on = table is not None and header is not None and header == headers[position - 1]
            strength = _strength(before, element, goes_on=goes_on)
            self._stand_in(element.section)
            if clause is not None:
                self._open(clause)
                strength = max(strength, Strength.CLAUSE)
            if not goes_on:
                table = None if header is None else self._table(header)
                if table is not None and header not in (table.header, element.text):
                    units += self._cut(_header_alone(element), strength, None)
            units += self._cut(element, strength, table)
            before = element
        return units

    def tokens(self, text: str) -> int:
        """Return the exact number of tokens of a text."""
        return sum(self._tokenizer.count(text.split()))

    def _enter(self, heading: Element) -> None:
        level = max(1, heading.level)
        self._path = [(other, text) for other, text in self._path if other < level]
        self._path.append((level, heading.text[:SECTION_CHARS]))
        self._headings = tuple(text for _, text in self._path)
        self._clauses = ()
        self._section = _below(self._chapter, self._headings)

    def _stand_in(self, chapter: tuple[str, ...]) -> None:
        if chapter != self._chapter:
            self._chapter = chapter
            self._clauses = ()
            self._section = _below(chapter, self._headings)

    def _open(self, clause: Clause) -> None:
        self._clauses = enter(self._clauses, clause)
        titles = tuple(each.title[:SECTION_CHARS] for each in self._clauses)
        self._section = (*_below(self._chapter, self._headings), *titles)

    def _table(self, header: str) -> Table:
        """Return a table; of a long header only the first words are repeated."""
        words = header.split()
        counts = self._tokenizer.count(words)
        if sum(counts) <= self._unit_tokens:
            return Table(header, sum(counts))
        kept = total = 0
        while total + counts[kept] <= self._unit_tokens:
            total += counts[kept]
            kept += 1
        return Table(" ".join(words[:kept]), total)

    def _cut(self, element: Element, strength: int, table: Table | None) -> Iterator[Unit]:
        text = element.text
        parted = 0  # end of the unit before, to see what is glued to it
        for span, inner in self._spans(element):
            for start, end, tokens in self._fragments(text, span):
                glued = start == parted and start > 0
                near = _near(text[start : min(end, start + NEAR_CHARS)])
                yield Unit(element, start, end, tokens, strength, near, self._section, table, glued)
                parted = end
                strength = Strength.FRAGMENT
            strength = inner

    def _spans(self, element: Element) -> Iterator[tuple[Span, Strength]]:
        """Yield spans, each with the strength of the place after it."""
        text = element.text
        if element.kind is ElementKind.CODE:
            spans = line_spans(text)
        elif element.kind is ElementKind.TABLE_ROW or len(text) <= SHORT_CHARS:
            spans = [(0, len(text))]
        else:
            spans = sentence_spans(text)
        for span in spans:
            yield span, Strength.SENTENCE

    def _fragments(self, text: str, span: Span) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, tokens) of a span: whole, or its clauses, or runs of their words."""
        tokens = self.tokens(text[slice(*span)])
        if tokens <= self._unit_tokens:
            yield *span, tokens
            return
        for clause in clause_spans(text, span, CLAUSE_CHARS):
            words = text[slice(*clause)].split()
            counts = self._tokenizer.count(words)
            if sum(counts) <= self._unit_tokens:
                yield *clause, sum(counts)
            else:
                yield from self._runs(text, clause, words, counts)

    def _runs(
        self, text: str, span: Span, words: Sequence[str], counts: Sequence[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, tokens) of runs of words, cut where a run may begin."""
        start = last = span[0]
        total = 0
        for word, count, place in zip(words, counts, word_spans(text, span), strict=True):
            if total and (total + count > self._unit_tokens or begins_run(word)):
                yield start, last, total
                total = 0
            start = start if total else place[0]
            last = place[1]
            if count > self._unit_tokens:
                yield from self._pieces(text, place)
            else:
                total += count
        if total:
            yield start, last, total

    def _pieces(self, text: str, span: Span) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, tokens) of a word too long to stay whole."""
        waiting = list(character_spans(text, span))[::-1]
        while waiting:
            start, end = waiting.pop()
            (count,) = self._tokenizer.count((text[start:end],))
            if count <= self._unit_tokens or end - start == 1:
                yield start, end, count
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]


def _near(text: str) -> int:
    """Return a hash, 64 bits, whose upper half most changes of one word leave as it was.

    That half is the hash of one pair of words, the one with the least checksum (a min-hash), spread
    over its range so that short texts rank neither higher nor lower; the other half is of them all.
    """
    content = text.encode("utf-8", "surrogatepass")
    words = content.split()
    pairs = [b" ".join(pair) for pair in pairwise(words)] or words
    least = min(map(zlib.crc32, pairs), default=0)
    return (least * _SPREAD & 0xFFFFFFFF) << 32 | zlib.crc32(content)


def _headers(elements: Sequence[Element]) -> list[str | None]:
    """Return the header that each row stands under, None for what is no row.

    A header row stands under itself, so that it belongs to the table that it begins.
    """
    headers = [
        element.header if element.kind is ElementKind.TABLE_ROW else None for element in elements
    ]
    for position in range(len(elements) - 1):
        if headers[position] == "" and headers[position + 1] == elements[position].text:
            headers[position] = elements[position].text
    return headers


def _below(chapter: tuple[str, ...], headings: tuple[str, ...]) -> tuple[str, ...]:
    """Return a chapter's path and the headings inside it, its own heading not repeated."""
    if not chapter:
        return headings
    titles = [title.casefold() for title in chapter]
    own = [
        number
        for number, heading in enumerate(headings, 1)
        if any(title.endswith(heading.casefold()) for title in titles)
    ]
    return (*chapter, *headings[max(own, default=0) :])


def _strength(before: Element | None, element: Element, *, goes_on: bool) -> int:
    if before is not None and element.section != before.section:
        return Strength.HEADING + _DEEPEST_HEADING - 1
    if element.kind is ElementKind.HEADING:
        return Strength.HEADING + max(0, _DEEPEST_HEADING - max(1, element.level))
    if goes_on:
        return Strength.ROW
    is_row = element.kind is ElementKind.TABLE_ROW
    if is_row or (before is not None and before.kind is ElementKind.TABLE_ROW):
        return Strength.TABLE
    if element.kind is ElementKind.LIST_ITEM:
        return Strength.ROW
    return Strength.PARAGRAPH


def _header_alone(row: Element) -> Element:
    """Return a table's header as an element of its own, for one too long to be repeated whole."""
    return replace(row, text=row.header, header="", row=None)
