"""The numbers that Word writes before paragraphs and does not store: "1.2", "a)", "Article 3".

Invariants: numbers follow the order in which paragraphs are asked for; bullets have no label; a
list that the document does not define has none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from tasks.stages.parsing.archive import attribute, local_name

_LEVELS = 9  # ECMA-376, part 1, 17.9.3
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_ROMAN = 4000
_MOST_LETTERS = 780  # Word repeats the letter, thirty times at most
_UNLABELLED = ("bullet", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a list.

    Attributes:
        form: How its numbers are written, a value of ST_NumberFormat.
        text: What stands before a paragraph, with %1 for the number of the first level.
        start: Its first number.
        restarts: Whether it begins anew after a paragraph of a level above.
        legal: Whether the numbers of all levels are written as figures.
    """

    form: str = "decimal"
    text: str = ""
    start: int = 0
    restarts: bool = True
    legal: bool = False


class Numbering:
    """Counts the paragraphs of every list of one document.

    Args:
        root: The numbering part, None when there is none.
    """

    def __init__(self, root: etree._Element | None) -> None:
        self.depths: dict[str, int] = {}
        """Level of the list that a paragraph style belongs to, from 0, by the style's id."""
        self._lists: dict[str, str] = {}  # numId to the list's definition
        self._levels: dict[str, dict[int, Level]] = {}
        self._own: dict[str, dict[int, Level]] = {}  # numId to levels in place of its definition's
        self._starts: dict[str, dict[int, int]] = {}  # numId to first numbers of its own
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[str] = set()
        linked: dict[str, str] = {}
        links: dict[str, str] = {}
        for node in () if root is None else root:
            key = attribute(node, "abstractNumId")
            if local_name(node) == "abstractNum":
                self._levels[key] = self._read_levels(node)
                linked |= dict.fromkeys(_values(node, "styleLink"), key)
                links[key] = next(iter(_values(node, "numStyleLink")), "")
            elif local_name(node) == "num":
                self._read_list(node)
        for key, style in links.items():
            if style:
                self._levels[key] = self._levels.get(linked.get(style, ""), {})

    def label(self, number: str, depth: int) -> str:
        """Count one paragraph and return what stands before it, empty for nothing.

        Args:
            number: The list that it belongs to, its numId.
            depth: Its level in the list, from 0.
        """
        key = self._lists.get(number, "")
        levels = {**self._levels.get(key, {}), **self._own.get(number, {})}
        if depth not in levels:
            return ""
        counts = self._counts.setdefault(key, [None] * _LEVELS)
        if number not in self._begun:
            self._begun.add(number)
            for level, start in self._starts.get(number, {}).items():
                counts[level] = start - 1
        before = counts[depth]
        counts[depth] = levels[depth].start if before is None else before + 1
        for below in range(depth + 1, _LEVELS):
            if levels.get(below, Level()).restarts:
                counts[below] = None
        return _written(levels, counts, depth)

    def _read_levels(self, definition: etree._Element) -> dict[int, Level]:
        levels: dict[int, Level] = {}
        for node in definition:
            if local_name(node) == "lvl" and (depth := _depth(node)) is not None:
                levels[depth] = _level(node)
                self.depths |= dict.fromkeys(_values(node, "pStyle"), depth)
        return levels

    def _read_list(self, node: etree._Element) -> None:
        number = attribute(node, "numId")
        self._lists[number] = next(iter(_values(node, "abstractNumId")), "")
        self._own[number], self._starts[number] = {}, {}
        for override in node:
            if local_name(override) == "lvlOverride" and (depth := _depth(override)) is not None:
                self._own[number] |= self._read_levels(override)
                for start in _values(override, "startOverride"):
                    if start.isdecimal():
                        self._starts[number][depth] = int(start)


def _written(levels: Mapping[int, Level], counts: list[int | None], depth: int) -> str:
    level = levels[depth]
    if level.form in _UNLABELLED:
        return ""

    def number(found: re.Match[str]) -> str:
        place = int(found[1]) - 1
        shown = levels.get(place, Level())
        count = counts[place]
        return _figure(shown.start if count is None else count, "" if level.legal else shown.form)

    return " ".join(_PLACE.sub(number, level.text).split())


def _figure(count: int, form: str) -> str:
    """Return a number as a list writes it; forms in words are written as figures."""
    if form.endswith("Roman") and 0 < count < _MOST_ROMAN:
        text = ""
        for value, letters in _ROMAN:
            text += letters * (count // value)
            count %= value
    elif form.endswith("Letter") and 0 < count <= _MOST_LETTERS:
        text = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
    else:
        return f"{count:02}" if form == "decimalZero" else str(count)
    return text.upper() if form.startswith("upper") else text


def _level(node: etree._Element) -> Level:
    start = next(iter(_values(node, "start")), "0")  # 17.9.25: zero when nothing is said
    return Level(
        form=next(iter(_values(node, "numFmt")), "decimal"),
        text=next(iter(_values(node, "lvlText")), ""),
        start=int(start) if start.isdecimal() else 0,
        restarts="0" not in _values(node, "lvlRestart"),
        legal=bool({"", "1", "true", "on"} & set(_values(node, "isLgl"))),
    )


def _depth(node: etree._Element) -> int | None:
    value = attribute(node, "ilvl")
    return int(value) if value.isdecimal() and int(value) < _LEVELS else None


def _values(node: etree._Element, name: str) -> list[str]:
    return [attribute(child, "val") for child in node if local_name(child) == name]
