"""Running heads, feet and page numbers: lines at the edge of a page that other pages have too.

Invariants: only lines at the very top or bottom of a page are dropped, from the edge inwards; one
with words stays where it stands first; a page that would lose all its words keeps them; what
differs from page to page in anything but its page number stays.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

from tasks.stages.parsing.normalisation import count_words, one_line

_EDGE_LINES = 3
_LEAST_PAGES = 3  # a line that two pages share may be a table's header or chance
_NUMBERS_SHARE = (
    0.4  # a bare number counts pages only when this share of the pages has one that fits
)
_MOST_NUMBERS = 3
_LONGEST = 200
_NUMBER = re.compile(r"\d+")

Signature = tuple[str, bool]  # (text with its numbers as they are or by their page, counts pages)


def drop_furniture(pages: Sequence[str]) -> list[str]:
    """Return the texts of pages without what only furnishes them.

    Args:
        pages: Text of every page in order, lines parted by line feeds; empty ones count as pages.
    """
    if sum(1 for page in pages if page.strip()) < _LEAST_PAGES:
        return list(pages)
    lines = [page.replace("\r", "").split("\n") for page in pages]
    counted: Counter[tuple[bool, Signature]] = Counter()
    for number, page in enumerate(lines):
        found = {
            (top, signature)
            for top in (True, False)
            for place in _edge(page, top=top)
            for signature in _signatures(page[place], number)
        }
        counted.update(found)
    repeated = {
        key for key, pages_with in counted.items() if _enough(key[1], pages_with, len(pages))
    }
    seen: set[str] = set()
    return ["\n".join(_kept(page, number, repeated, seen)) for number, page in enumerate(lines)]


def _kept(
    page: Sequence[str],
    number: int,
    repeated: set[tuple[bool, Signature]],
    seen: set[str],
) -> Iterator[str]:
    dropped: set[int] = set()
    for top in (True, False):
        for place in _edge(page, top=top):
            found = [s for s in _signatures(page[place], number) if (top, s) in repeated]
            if not found:
                break
            if any(_is_bare(text) or text in seen for text, _ in found):
                dropped.add(place)
            seen.update(text for text, _ in found)
    kept = [line for place, line in enumerate(page) if place not in dropped]
    has_words = any(each.isalpha() for line in page for each in line)
    return iter(page if has_words and not any(line.strip() for line in kept) else kept)


def _edge(page: Sequence[str], *, top: bool) -> list[int]:
    """Return the places of the outermost lines with text, from the edge inwards."""
    written = [place for place, line in enumerate(page) if line.strip()]
    if len(written) == 1 and any(each.isalpha() for each in page[written[0]]):
        return []
    deep = min(_EDGE_LINES, max(1, (len(written) - 1) // 2))  # something is left in between
    return written[:deep] if top else written[::-1][:deep]


def _signatures(line: str, number: int) -> list[Signature]:
    """Return what a line may have in common with lines of other pages."""
    text = one_line(line)
    numbers = _NUMBER.findall(text)
    if len(text) > _LONGEST or len(numbers) > _MOST_NUMBERS:
        return []
    readings = [
        ((each, False), (f"#{int(each) - number:+d}", True)) if len(each) < 6 else ((each, False),)
        for each in numbers
    ]
    parts = _NUMBER.split(text)
    found = []
    for reading in product(*readings):
        words = [shown for shown, _ in reading]
        joined = parts[0] + "".join(
            word + part for word, part in zip(words, parts[1:], strict=True)
        )
        found.append((joined, any(counts for _, counts in reading)))
    return found


def _is_bare(text: str) -> bool:
    """Tell a page's number, with or without a word such as "page", from a title beside it."""
    return "#" in text and count_words([_NUMBER.sub("", text)], enough=3) < 3


def _enough(signature: Signature, pages_with: int, pages: int) -> bool:
    text, counts_pages = signature
    if any(each.isalpha() for each in text):
        return pages_with >= _LEAST_PAGES
    return counts_pages and pages_with >= max(_LEAST_PAGES, _NUMBERS_SHARE * pages)
