"""Articles and numbered clauses: paragraphs whose first words are where a person would cite them.

Invariants: a label is found by its own paragraph alone, so that an edit elsewhere changes nothing;
a clause stands under another only when its number begins with the other's.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tasks.stages.parsing.elements import Element, ElementKind

WHOLE_CHARS = 120  # a paragraph as short as this is a title, and names its clause whole

_KINDS = (
    ("partie", "part", "livre", "book", "titre", "title"),
    ("chapitre", "chapter"),
    ("section", "annexe", "annex", "appendix"),
    ("sous-section", "subsection"),
)
_RANK = {word: rank for rank, words in enumerate(_KINDS) for word in words}
_ARTICLE_RANK = len(_KINDS)
_CLAUSE_RANK = _ARTICLE_RANK + 1

_DIVISION = re.compile(
    rf"({'|'.join(sorted(_RANK, key=len, reverse=True))})\s+"
    r"(?:[IVXLC]{1,7}(?:er)?|\d{1,3}(?:er)?|[A-Z]|premi(?:er|[èe]re))(?![\w.])",
    re.IGNORECASE,
)
_ARTICLE = re.compile(
    r"(?:article|art\.)\s+(?:[LRDA][.*]{0,2}\s?)?(?:\d{1,5}(?:[.-]\d{1,4}){0,5}|premier)"
    r"(?:\s?(?:er|bis|ter|quater))?(?!\w)|§{1,2}\s?\d{1,4}[a-z]?(?:\.\d{1,3}){0,3}(?!\w)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){1,4})\.?\)?\s+(?=[\"«“(]{0,2}\s?[^\W\d_a-zß-öø-ÿ])")
_MARKED = (ElementKind.PARAGRAPH, ElementKind.LIST_ITEM)


class Clause(NamedTuple):
    """A clause that a paragraph opens.

    Attributes:
        rank: Depth of its kind, 0 for the outermost.
        number: Its number when it is a numbered clause, else empty.
        title: What a section path says.
    """

    rank: int
    number: str
    title: str


def find_clause(element: Element) -> Clause | None:
    """Return the clause that an element opens, or None."""
    if element.kind not in _MARKED:
        return None
    text = element.text
    short = len(text) <= WHOLE_CHARS
    if short and (match := _DIVISION.match(text)):
        return Clause(_RANK[match[1].lower()], "", text)
    if match := _ARTICLE.match(text):
        return Clause(_ARTICLE_RANK, "", text if short else match[0])
    if match := _NUMBERED.match(text):
        depth = match[1].count(".")
        return Clause(_CLAUSE_RANK + depth, match[1], text if short else match[1])
    return None


def enter(path: Sequence[Clause], clause: Clause) -> tuple[Clause, ...]:
    """Return the path to a clause that begins after those of `path`."""
    above = tuple(
        other
        for other in path
        if other.rank < clause.rank
        and (not other.number or clause.number.startswith(f"{other.number}."))
    )
    return (*above, clause)
