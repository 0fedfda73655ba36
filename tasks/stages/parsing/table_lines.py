"""Rows of tables among the lines of a page: a label, and figures in a column each.

PDF knows no tables. What can be told from the lines alone are tables of figures: lines in a row
that all end in as many figures.

Invariant: no word of a line is lost; lines that are no table are left alone.
"""

import re
from collections.abc import Sequence

LEAST_ROWS = 3  # two lines that end in figures are chance
_LEAST_FIGURES = 2  # one is a table of contents
_LONGEST_LABEL = 14  # words; more are a sentence
_LEADER = re.compile(r"[.…·_]+")
_FIGURE = re.compile(
    r"[(\[]?[-+−–±]?[€$£]?\d[\d.,'’]*[%€$£]?[)\]]?%?|[-–—−]|n[./]?[ad]\.?|\(?[XZN]\)"
)


def find_rows(lines: Sequence[str]) -> dict[int, list[str]]:
    """Return the cells of those lines that are rows of a table, by the line's place."""
    found: dict[int, list[str]] = {}
    run: list[tuple[int, list[str]]] = []
    for place, line in enumerate([*lines, ""]):
        cells = _cells(line)
        goes_on = cells is not None and (not run or len(run[-1][1]) == len(cells))
        if not goes_on:
            if len(run) >= LEAST_ROWS:
                found.update(run)
            run = []
        if cells is not None:
            run.append((place, cells))
    return found


def _cells(line: str) -> list[str] | None:
    """Return label and figures of a line that ends in figures."""
    words = [word for word in line.split() if not _LEADER.fullmatch(word)]
    first = len(words)
    while first and _FIGURE.fullmatch(words[first - 1]):
        first -= 1
    figures = words[first:]
    if len(figures) < _LEAST_FIGURES or first > _LONGEST_LABEL:
        return None
    if not any(each.isdigit() for figure in figures for each in figure):
        return None
    return [" ".join(words[:first]).rstrip(" ."), *figures] if first else figures
