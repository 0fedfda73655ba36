"""Reading a JSON object field by field while collecting every problem instead of stopping at one.

Invariants: a wrong field yields a harmless value of the right type and one problem that names the
field's path, what was expected and what was found; the caller raises once, at the end, with all of
them.
"""

import math
import re
from collections.abc import Mapping

import orjson

from index_store.errors import CorruptArtifactError

HEX_64 = re.compile(r"[0-9a-f]{64}")
MAX_SHOWN_PROBLEMS = 20

FreeForm = Mapping[str, str | float | int | None]


class Fields:
    """One JSON object and the problems found in it so far, shared with the objects inside it."""

    def __init__(self, value: object, where: str, problems: list[str]) -> None:
        self._where = where
        self._problems = problems
        self._seen: set[str] = set()
        self._values: dict[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self.problem("", f"expected an object, found {_shown(value)}")

    def problem(self, name: str, what: str) -> None:
        """Note a problem with a field, or with the whole object when `name` is empty."""
        path = f"{self._where}.{name}".strip(".") or "document"
        self._problems.append(f"{path}: {what}")

    def text(self, name: str, *, pattern: re.Pattern[str] | None = None) -> str:
        """Return a string field, or "" and a problem."""
        value = self._take(name)
        if not isinstance(value, str):
            self.problem(name, f"expected a string, found {_shown(value)}")
            return ""
        if pattern is not None and not pattern.fullmatch(value):
            self.problem(name, f"expected {pattern.pattern}, found {_shown(value)}")
        return value

    def text_or_none(self, name: str, *, pattern: re.Pattern[str] | None = None) -> str | None:
        """Return a string field that may be null or absent."""
        return None if self._is_absent(name) else self.text(name, pattern=pattern)

    def texts(self, name: str, *, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        """Return a list of strings; wrong ones are left out and noted as a problem."""
        value = self._take(name)
        if not isinstance(value, list):
            self.problem(name, f"expected a list, found {_shown(value)}")
            return ()
        kept = [item for item in value if isinstance(item, str)]
        if len(kept) != len(value):
            self.problem(name, "expected only strings")
        if pattern is not None and not all(map(pattern.fullmatch, kept)):
            self.problem(name, f"expected only {pattern.pattern}")
        return tuple(kept)

    def whole(self, name: str, *, minimum: int = 0) -> int:
        """Return an integer field of at least `minimum`, or `minimum` and a problem."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            self.problem(name, f"expected an integer of at least {minimum}, found {_shown(value)}")
            return minimum
        return value

    def real(self, name: str) -> float:
        """Return a finite number, or 0 and a problem."""
        value = self._take(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                return number
        self.problem(name, f"expected a number, found {_shown(value)}")
        return 0.0

    def real_or_none(self, name: str) -> float | None:
        """Return a finite number that may be null or absent."""
        return None if self._is_absent(name) else self.real(name)

    def child(self, name: str) -> "Fields":
        """Return the object in a field."""
        return Fields(self._take(name), f"{self._where}.{name}".strip("."), self._problems)

    def child_or_none(self, name: str) -> "Fields | None":
        """Return the object in a field that may be null or absent."""
        return None if self._is_absent(name) else self.child(name)

    def children(self, name: str) -> "list[Fields]":
        """Return the objects of a list field, or none and a problem."""
        value = self._take(name)
        if not isinstance(value, list):
            self.problem(name, f"expected a list, found {_shown(value)}")
            return []
        path = f"{self._where}.{name}".strip(".")
        return [
            Fields(item, f"{path}[{number}]", self._problems) for number, item in enumerate(value)
        ]

    def free_form(self, name: str) -> FreeForm:
        """Return a field that holds named strings and numbers; absent means empty."""
        value = self._values.get(name, {})
        self._seen.add(name)
        if not isinstance(value, dict):
            self.problem(name, f"expected an object, found {_shown(value)}")
            return {}
        kept: dict[str, str | float | int | None] = {}
        for key, item in value.items():
            if item is None or isinstance(item, str | int | float):
                kept[str(key)] = item
            else:
                self.problem(name, f"{key} must be a string or a number, found {_shown(item)}")
        return kept

    def rest(self) -> dict[str, object]:
        """Return the fields that nobody asked for, so that they survive being rewritten."""
        return {name: value for name, value in self._values.items() if name not in self._seen}

    def _is_absent(self, name: str) -> bool:
        return self._take(name) is None

    def _take(self, name: str) -> object:
        self._seen.add(name)
        return self._values.get(name)


def parse_object(data: bytes, what: str) -> dict[str, object]:
    """Parse JSON whose outermost value is an object.

    Raises:
        CorruptArtifactError: It is anything else.
    """
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise CorruptArtifactError(f"{what}: expected JSON, found {error}") from error
    if not isinstance(value, dict):
        raise CorruptArtifactError(f"{what}: expected an object, found {_shown(value)}")
    return value


def raise_problems(what: str, problems: list[str]) -> None:
    """Raise one error that lists all problems, if there are any.

    Raises:
        CorruptArtifactError: There are problems.
    """
    if not problems:
        return
    shown = problems[:MAX_SHOWN_PROBLEMS]
    more = len(problems) - len(shown)
    listed = "; ".join(shown) + (f"; and {more} more" if more else "")
    raise CorruptArtifactError(f"{what}: {listed}")


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
