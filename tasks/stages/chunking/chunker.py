"""From a parsed document to chunks: structure first, then size.

Invariants: no chunk crosses a page, slide or sheet; no chunk has more than `max_tokens`; every word
of every element is in some chunk, unless its chunk was shorter than `min_chars` beside longer ones;
words stay whole unless one alone exceeds a quarter of a chunk; the same document and options give
the same chunks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from unicodedata import east_asian_width

from index_store.embedder import Tokenizer
from index_store.records import Chunk, Citation
from tasks.stages.chunking.context import context_tokens, with_context
from tasks.stages.chunking.cuts import cuts, places
from tasks.stages.chunking.options import WINDOW, ChunkOptions
from tasks.stages.chunking.units import Strength, Unit, UnitMaker
from tasks.stages.chunking.window import keywords_of, windows
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

RANGE = " – "  # between the first and the last of the sections that a chunk spans
PlaceKey = tuple[int | None, int | None, str | None]


def chunk_document(
    parsed: ParsedDocument, options: ChunkOptions, tokenizer: Tokenizer
) -> list[Chunk]:
    """Cut a document into chunks.

    Args:
        parsed: What the parser found.
        options: Sizes.
        tokenizer: Counts tokens; the embedder's own.

    Returns:
        Chunks in reading order. Those shorter than `options.min_chars` are left out, unless the
        document has no longer one: a short document is still a document.
    """
    title = parsed.attributes.title
    if options.context_line:
        room = options.max_tokens - context_tokens(options)
        overlap = min(options.overlap_tokens, room // 2)
        body = replace(options, max_tokens=room, overlap_tokens=overlap, context_line=False)
        chunks = _chunks(parsed, body, tokenizer)
        chunks = [with_context(chunk, title, options, tokenizer) for chunk in chunks]
    else:
        chunks = _chunks(parsed, options, tokenizer)
    return [chunk for chunk in chunks if _is_long(chunk.text, options.min_chars)] or chunks


def _is_long(text: str, least: int) -> bool:
    """Tell whether a text has so many columns: ideographs and kana say two letters' worth each."""
    if len(text) >= least or text.isascii():
        return len(text) >= least
    return len(text) + sum(east_asian_width(character) in "WF" for character in text) >= least


def _chunks(parsed: ParsedDocument, options: ChunkOptions, tokenizer: Tokenizer) -> list[Chunk]:
    if options.splitter == WINDOW:
        return [
            chunk
            for _, elements in _places_of(parsed.elements)
            for chunk in windows(elements, options, tokenizer)
        ]
    maker = UnitMaker(tokenizer, options.max_tokens)
    chunks: list[Chunk] = []
    before: PlaceKey | None = None
    for key, elements in _places_of(parsed.elements):
        if before is not None and key[1:] != before[1:]:
            maker.forget_headings()
        before = key
        chunks += _Packer(maker, options, maker.units(elements)).chunks()
    return chunks


def _places_of(elements: Sequence[Element]) -> Iterator[tuple[PlaceKey, list[Element]]]:
    """Yield the elements of each page, slide or sheet.

    Headings at the foot of a page go to the next page, where the text that they head stands.
    """
    run: list[Element] = []
    key: PlaceKey | None = None
    for element in elements:
        new_key = (element.page, element.slide, element.sheet)
        if key is not None and new_key != key:
            held = _trailing_headings(run) if new_key[1:] == key[1:] else 0
            if len(run) > held:
                yield key, run[: len(run) - held]
            run = run[len(run) - held :]
        key = new_key
        run.append(element)
    if key is not None:
        yield key, run


def _trailing_headings(run: Sequence[Element]) -> int:
    count = 0
    while count < len(run) and run[-1 - count].kind is ElementKind.HEADING:
        count += 1
    return count


class _Packer:
    """Packs the units of one page, slide, sheet or unpaged document."""

    def __init__(self, maker: UnitMaker, options: ChunkOptions, units: list[Unit]) -> None:
        self._maker = maker
        self._max = options.max_tokens
        self._overlap = options.overlap_tokens
        self._room = options.max_tokens - options.overlap_tokens
        self._units = units
        self._positions = [0, *accumulate(unit.tokens for unit in units)]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks in reading order."""
        start = overlap = 0
        for end in self._ends():
            while start < end:
                stop, chunk = self._chunk(overlap, start, end)
                yield chunk
                overlap = self._overlap_start(start, stop)
                start = stop

    def _ends(self) -> list[int]:
        """Return the unit before which each chunk ends."""
        count = len(self._units)
        if not count or self._size(0, count) <= self._max:
            return [count]
        inner = cuts(places(self._units), self._positions, self._room, self._fits)
        return [*inner, count]

    def _fits(self, start: int, stop: int) -> bool:
        if self._positions[stop] - self._positions[start] > self._room:
            return False
        return self._size(start, stop) <= self._room

    def _size(self, start: int, stop: int) -> int:
        """Return the tokens of a chunk of these units, the headers of its tables included."""
        size = self._positions[stop] - self._positions[start]
        table = None
        for unit in self._units[start:stop]:
            if unit.table is not None and unit.table is not table:
                size += unit.table.tokens
            table = unit.table
        return size

    def _chunk(self, overlap: int, start: int, stop: int) -> tuple[int, Chunk]:
        """Build the chunk; give back its last units while their exact count is over the limit."""
        while True:
            text = _text(self._units[overlap:stop])
            tokens = self._maker.tokens(text)
            if tokens <= self._max:
                break
            if overlap < start:
                overlap = start
            elif stop - start > 1:
                stop -= 1
            else:
                break
        own = self._units[start:stop]
        citation, keywords = _citation(own), keywords_of(unit.element for unit in own)
        return stop, Chunk(text=text, tokens=tokens, citation=citation, keywords=keywords)

    def _overlap_start(self, start: int, stop: int) -> int:
        """Return the first unit that the chunk at `stop` repeats, `stop` itself for none."""
        if stop >= len(self._units) or self._units[stop].strength > Strength.PARAGRAPH:
            return stop
        after = self._units[stop]
        best = stop
        for index in range(stop - 1, start, -1):
            unit = self._units[index]
            if self._positions[stop] - self._positions[index] > self._overlap:
                break
            if unit.table is not None or unit.is_heading or unit.section != after.section:
                break
            if unit.strength >= Strength.SENTENCE:
                best = index
        return best


def _text(units: Sequence[Unit]) -> str:
    """Return the text of consecutive units: elements on lines of their own, headers repeated."""
    lines: list[str] = []
    table = None
    index = 0
    while index < len(units):
        first = units[index]
        last = index
        while last + 1 < len(units) and units[last + 1].element is first.element:
            last += 1
        header = first.table.header if first.table is not None else ""
        if header and first.table is not table and header != first.element.text:
            lines.append(header)
        table = first.table
        lines.append(first.element.text[first.start : units[last].end])
        index = last + 1
    return "\n".join(lines)


def _citation(units: Sequence[Unit]) -> Citation:
    place = units[-1].element
    rows = [unit.element.row for unit in units if unit.element.row is not None]
    texts = [unit for unit in units if not unit.is_heading] or units
    return Citation(
        page=place.page,
        slide=place.slide,
        sheet=place.sheet,
        row_start=min(rows) if rows else None,
        row_end=max(rows) + 1 if rows else None,
        section=_section(texts),
    )


def _section(texts: Sequence[Unit]) -> tuple[str, ...]:
    """Return the path that holds all of the texts: their own, their parent's, or a range in it."""
    first, last = texts[0].section, texts[-1].section
    shared = first
    for unit in texts:
        if unit.section is not shared:
            shared = _shared(shared, unit.section)
    depth = len(shared)
    if any(len(unit.section) == depth for unit in texts):
        return shared
    return (*shared, f"{first[depth]}{RANGE}{last[depth]}")


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]
