"""Pieces of a page; pure. Everything that comes in is text and is escaped here, and only here."""

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """HTML that is finished; any other string is text."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        """Return both, what is text made markup first."""
        return Markup(str.__add__(self, other if isinstance(other, Markup) else text(other)))


def text(value: str) -> Markup:
    """Return text that shows as itself; what would move other text is shown as its escape."""
    shown = "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in value)
    return Markup(escape(shown))


def tag(name: str, *content: str, css: str = "", **attributes: str) -> Markup:
    """Return an element."""
    given = {"class": css, **attributes} if css else attributes
    told = "".join(f' {key}="{escape(value)}"' for key, value in given.items())
    inside = "".join(each if isinstance(each, Markup) else text(each) for each in content)
    return Markup(f"<{name}{told}>{inside}</{name}>")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()
) -> Markup:
    """Return a table that scrolls by itself where it is too wide.

    Args:
        head: Titles of the columns.
        rows: Cells, text or markup.
        numbers: Columns that hold numbers, from 0.
    """

    def line(cells: Sequence[str], name: str) -> Markup:
        return tag(
            "tr",
            *(
                tag(name, cell, css="number" if place in numbers else "")
                for place, cell in enumerate(cells)
            ),
        )

    body = tag("tbody", *(line(row, "td") for row in rows))
    return tag("div", tag("table", tag("thead", line(head, "th")), body), css="scroll")


def details(summary: str, *content: str) -> Markup:
    """Return what is shown when a reader asks for it."""
    return tag("details", tag("summary", summary), *content)
