"""Windows of a fixed number of tokens: the plain splitter, to compare with and for who wants it.

Invariants: no window crosses a page, slide or sheet; each begins `overlap_tokens` before the end of
the one before, to the word.
"""

from collections.abc import Iterable, Iterator, Sequence

from index_store.embedder import Tokenizer
from index_store.records import Chunk, Citation
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind


def windows(
    elements: Sequence[Element], options: ChunkOptions, tokenizer: Tokenizer
) -> Iterator[Chunk]:
    """Yield the windows over elements that share a page, slide or sheet."""
    words: list[str] = []
    owners: list[int] = []
    for number, element in enumerate(elements):
        parts = element.text.split()
        words += parts
        owners += [number] * len(parts)
    counts = tokenizer.count(words) if words else []
    start = 0
    while start < len(words):
        stop, tokens = start, 0
        while stop < len(words) and (stop == start or tokens + counts[stop] <= options.max_tokens):
            tokens += counts[stop]
            stop += 1
        yield Chunk(
            text=" ".join(words[start:stop]),
            tokens=tokens,
            citation=_citation(elements, owners[start], owners[stop - 1]),
            keywords=keywords_of(elements[owners[start] : owners[stop - 1] + 1]),
        )
        if stop == len(words):
            return
        back, shared = stop, 0
        while back > start + 1 and shared + counts[back - 1] <= options.overlap_tokens:
            back -= 1
            shared += counts[back]
        start = back


def keywords_of(elements: Iterable[Element]) -> tuple[str, ...]:
    """Return the keywords of all elements of a chunk, each once, in order."""
    return tuple(dict.fromkeys(word for each in elements for word in each.keywords))


def _citation(elements: Sequence[Element], first: int, last: int) -> Citation:
    place = elements[first]
    rows = [each.row for each in elements[first : last + 1] if each.row is not None]
    heading = next(
        (each.text for each in reversed(elements[: first + 1]) if each.kind is ElementKind.HEADING),
        "",
    )
    return Citation(
        page=place.page,
        slide=place.slide,
        sheet=place.sheet,
        row_start=min(rows) if rows else None,
        row_end=max(rows) + 1 if rows else None,
        section=(*place.section, heading) if heading else place.section,
    )
