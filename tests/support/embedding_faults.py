"""Every way in which the embedding provider of the tests can misbehave."""

from collections.abc import Callable
from typing import Any

Row = list[float]
Items = list[Any]

# Answers, or none, after which the same request may succeed.
BUSY_ANSWERS = (
    "429",
    "429-seconds",
    "429-date",
    "429-absurd",
    "429-capacity",
    "500",
    "503",
    "reset",
    "cut-off",
    "drip",
)
HARMLESS = ("reordered",)  # the right answer in another order
HOSTILE = ("endless", "gzip-bomb", "redirect")


def _replace_first(make: Callable[[Row], object]) -> Callable[[Items, bool], None]:
    def spoil(items: Items, wraps: bool) -> None:
        if wraps:
            items[0]["embedding"] = make(items[0]["embedding"])
        else:
            items[0] = make(items[0])

    return spoil


def _shorten_all(items: Items, wraps: bool) -> None:
    for place, item in enumerate(items):
        if wraps:
            item["embedding"] = item["embedding"][:-1]
        else:
            items[place] = item[:-1]


def _double_index(items: Items, wraps: bool) -> None:
    if wraps:
        items[-1]["index"] = 0 if len(items) > 1 else 7
    else:
        items.pop()


def _reorder(items: Items, wraps: bool) -> None:
    if wraps:
        items.reverse()


# Answers with status 200 that a naive client takes for vectors; each spoils a right one.
SPOILERS: dict[str, Callable[[Items, bool], None]] = {
    "fewer": lambda items, _: items.pop(),
    "more": lambda items, _: items.append(items[0]),
    "wrong-dimension": _shorten_all,
    "mixed-dimensions": _replace_first(lambda row: [*row, 0.5]),
    "nan": _replace_first(lambda row: [float("nan"), *row[1:]]),
    "null": _replace_first(lambda _: None),
    "empty": _replace_first(lambda _: []),
    "zero": _replace_first(lambda row: [0.0] * len(row)),
    "infinite-in-float32": _replace_first(lambda row: [1e39, *row[1:]]),
    "doubled-index": _double_index,
    "strings": _replace_first(lambda row: [str(each) for each in row]),
    "reordered": _reorder,
}
WRONG_ANSWERS = (*(name for name in SPOILERS if name not in HARMLESS), "error-with-200", "not-json")
FAULTS = (*WRONG_ANSWERS, *BUSY_ANSWERS, *HARMLESS, *HOSTILE)


def spoil(value: dict[str, Any], fault: str | None, name: str) -> None:
    """Make a right answer wrong in the way that `fault` says.

    Args:
        value: The answer.
        fault: One of FAULTS, or None.
        name: Under which name the vectors stand in it.
    """
    if fault == "error-with-200":
        value.clear()
        value["error"] = {"message": "upstream failed"}
    elif fault in SPOILERS:
        SPOILERS[fault](value[name], name == "data")
