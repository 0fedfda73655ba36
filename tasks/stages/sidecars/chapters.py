"""The chapter tree of a sidecar, and which chapter each element of a document stands in; pure.

A tree is made of objects with a title, a page and the chapters inside, under names such as
`Chapitres` or `Sections`; the key that an object stands under (`Partie I`) is part of its title.

Invariants: elements keep their order and texts; an element stands in the last chapter that begins
before it, by page and then by the order of the tree.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.stages.parsing.elements import Element
from tasks.stages.sidecars.fields import field_of, find_field, listed

_DEEPEST = 12
_MOST = 20_000
_TITLE_CHARS = 200
_FARTHEST_SHIFT = 30  # pages of covers, tables of contents and prefaces before page 1
_LEAST_LETTERS = 4  # a shorter title is found on every page
_NUMBER = re.compile(r"\d+")
_BLANKS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One chapter of a tree.

    Attributes:
        path: Titles from the outermost chapter to this one.
        title: Its title without the key it stands under, as it is printed.
        page: Page on which it begins, from 1, or None.
        keywords: Words that describe it.
    """

    path: tuple[str, ...]
    title: str
    page: int | None = None
    keywords: tuple[str, ...] = ()


def is_chapter(name: str, value: object) -> bool:
    """Tell whether a field of a sidecar holds chapters: by its name, or as a part of the book."""
    if field_of(name) == "children":
        return isinstance(value, dict | list) and bool(value)
    if not isinstance(value, dict) or field_of(name):
        return False
    return bool({"page", "children"} & {field_of(key) for key in value})


def read_chapters(fields: Mapping[str, object]) -> tuple[Chapter, ...]:
    """Return the chapters that the fields of a sidecar tell of, in the order of the tree."""
    found: list[Chapter] = []
    for name, value in fields.items():
        if is_chapter(name, value):
            label = "" if field_of(name) == "children" else name
            for chapter in _chapters(value, label, ()):
                found.append(chapter)
                if len(found) >= _MOST:
                    return tuple(found)
    return tuple(found)


def _chapters(value: object, label: str, above: tuple[str, ...]) -> Iterator[Chapter]:
    if len(above) >= _DEEPEST:
        return
    if isinstance(value, list):
        for each in value:
            yield from _chapters(each, "", above)
    elif isinstance(value, dict):
        title = find_field(value, "title")
        inside = [key for key in value if field_of(key) == "children"]
        if title is None and not inside and find_field(value, "page") is None:
            for key, each in value.items():  # chapters by name instead of in a list
                yield from _chapters(each, key, above)
            return
        yield from _chapter(value, title, inside, label, above)
    elif isinstance(value, str) and value.strip():
        title = " ".join(value.split())
        yield Chapter(path=(*above, title[:_TITLE_CHARS]), title=title)


def _chapter(
    fields: Mapping[str, object],
    title: object,
    inside: Sequence[str],
    label: str,
    above: tuple[str, ...],
) -> Iterator[Chapter]:
    printed = " ".join(title.split()) if isinstance(title, str) else ""
    path = above
    if name := _joined(" ".join(label.split()), printed):
        path = (*above, name[:_TITLE_CHARS])
        keywords = tuple(dict.fromkeys(listed(find_field(fields, "keywords"))))
        page = _page(find_field(fields, "page"))
        yield Chapter(path=path, title=printed or name, page=page, keywords=keywords)
    for key in inside:
        yield from _chapters(fields[key], "", path)


def _joined(label: str, title: str) -> str:
    if not label or not title or title.casefold().startswith(label.casefold()):
        return title or label
    return f"{label} – {title}"


def _page(value: object) -> int | None:
    if isinstance(value, str):
        match = _NUMBER.search(value)
        value = int(match[0][:9]) if match else 0
    is_page = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_page and isinstance(value, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Elements in their chapters.

    Attributes:
        elements: The elements, in order.
        warnings: Notes for the report.
    """

    elements: tuple[Element, ...]
    warnings: tuple[str, ...] = ()


def place_chapters(elements: Sequence[Element], chapters: Sequence[Chapter]) -> Placed:
    """Give every element the path of the chapter that it stands in, and its keywords.

    A chapter's keywords hold for the chapters inside it too.

    The pages of a tree are those that are printed. Where titles are found on other pages of the
    file, all by the same distance, pages are counted from there.
    """
    if not chapters:
        return Placed(elements=tuple(elements))
    plain = [_plain(element.text) for element in elements]
    if any(element.page is not None for element in elements):
        starts, warnings = _starts_by_page(elements, plain, chapters)
    else:
        starts, warnings = _starts_by_title(plain, chapters)
    starts.sort(key=lambda start: start[0])  # stable: the order of the tree decides among equals
    places = [place for place, _ in starts]
    words = {chapter.path: chapter.keywords for chapter in chapters}
    placed = []
    for number, element in enumerate(elements):
        at = bisect_right(places, number) - 1
        placed.append(element if at < 0 else _in_chapter(element, starts[at][1].path, words))
    return Placed(elements=tuple(placed), warnings=warnings)


def _in_chapter(
    element: Element, path: tuple[str, ...], words: Mapping[tuple[str, ...], tuple[str, ...]]
) -> Element:
    paths = (path[:depth] for depth in range(1, len(path) + 1))
    found = dict.fromkeys(word for each in paths for word in words.get(each, ()))
    return replace(element, section=path, keywords=(*element.keywords, *found))


Starts = list[tuple[int, Chapter]]


def _starts_by_page(
    elements: Sequence[Element], plain: Sequence[str], chapters: Sequence[Chapter]
) -> tuple[Starts, tuple[str, ...]]:
    on_page: dict[int, list[int]] = defaultdict(list)
    for number, element in enumerate(elements):
        if element.page is not None:
            on_page[element.page].append(number)
    pages = sorted(on_page)
    shift = _shift(on_page, plain, chapters)
    starts: Starts = []
    beyond = 0
    for chapter in chapters:
        if chapter.page is None:
            continue
        at = bisect_right(pages, chapter.page + shift - 1)
        if at == len(pages):
            beyond += 1
            continue
        page = pages[at]
        found = _found(on_page[page], plain, chapter) if page == chapter.page + shift else None
        starts.append((on_page[page][0] if found is None else found, chapter))
    warnings = [f"{beyond} chapters of the sidecar begin after the last page"] if beyond else []
    if shift:
        warnings.append(f"chapters of the sidecar found {shift:+d} pages from where it says")
    return starts, tuple(warnings)


def _starts_by_title(
    plain: Sequence[str], chapters: Sequence[Chapter]
) -> tuple[Starts, tuple[str, ...]]:
    """Find chapters by their titles: the last place, for the first is in a table of contents."""
    everywhere = range(len(plain) - 1, -1, -1)
    starts: Starts = []
    for chapter in chapters:
        if (found := _found(everywhere, plain, chapter)) is not None:
            starts.append((found, chapter))
    missing = len(chapters) - len(starts)
    warnings = (f"{missing} chapters of the sidecar not found by their titles",) if missing else ()
    return starts, warnings


def _shift(
    on_page: Mapping[int, Sequence[int]], plain: Sequence[str], chapters: Sequence[Chapter]
) -> int:
    """Return by how many pages most titles are away from where the tree has them; 0 if in doubt."""
    told = [(chapter.page, chapter) for chapter in chapters if chapter.page is not None]
    hits = {
        shift: sum(
            _found(on_page.get(page + shift, ()), plain, chapter) is not None
            for page, chapter in told
        )
        for shift in range(-_FARTHEST_SHIFT, _FARTHEST_SHIFT + 1)
    }
    best = max(hits, key=lambda shift: (hits[shift], -abs(shift)))
    trusted = hits[best] >= 2 and hits[best] * 2 > len(told) and hits[best] > 2 * hits[0]
    return best if trusted else 0


def _found(numbers: Sequence[int] | range, plain: Sequence[str], chapter: Chapter) -> int | None:
    title = _plain(chapter.title)
    if len(title) < _LEAST_LETTERS:
        return None
    return next((number for number in numbers if plain[number].startswith(title)), None)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text[: 2 * _TITLE_CHARS])
    letters = "".join(each for each in decomposed if not unicodedata.combining(each))
    return _BLANKS.sub(" ", letters.casefold()).strip()
