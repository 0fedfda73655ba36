"""JSON of any shape: titles become headings, lists of alike objects tables, the rest named fields.

Invariants: order is kept; a value keeps the path of keys that leads to it; pictures written as
letters are left out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.markup import add_text
from tasks.stages.parsing.notebook import is_notebook, read_notebook
from tasks.stages.parsing.refusal import ParseRefused

Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]

_TITLES = ("title", "titre", "headline", "heading", "name", "nom", "subject")
_LONGEST_TITLE = 200
_LONGEST_FIELD = 200
_DEEPEST_LEVEL = 6
_ENCODED = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_=\s-]{500,}")
_BLANK_LINES = re.compile(r"\n\s*\n")


def parse_json(path: Path) -> ParsedDocument:
    """Parse a .json file: one value, or one on every line.

    Raises:
        ParseRefused: It is no JSON.
    """
    builder = ElementBuilder()
    decoded = decode(path.read_bytes())
    for warning in decoded.warnings:
        builder.warn(warning)
    value = load_json(decoded.text)
    if is_notebook(value):
        builder.include(read_notebook(value))
    else:
        reader = _Reader(builder)
        reader.read(value, path="", level=0)
        reader.flush()
    return builder.build()


def load_json(text: str) -> Value:
    """Read one JSON value, or a list of those that stand on lines of their own.

    Raises:
        ParseRefused: It is no JSON.
    """
    try:
        return _load(text)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if error.msg != "Extra data" or len(lines) < 2:
            raise _refusal(error) from error
    try:
        return [_load(line) for line in lines]
    except json.JSONDecodeError as error:
        raise _refusal(error) from error


def _load(text: str) -> Value:
    value: Value = json.loads(text)
    return value


def _refusal(error: json.JSONDecodeError) -> ParseRefused:
    return ParseRefused(Reason.CORRUPT, f"no JSON: {error.msg}, line {error.lineno}")


class _Reader:
    """Gathers short fields until something longer comes."""

    def __init__(self, builder: ElementBuilder) -> None:
        self._builder = builder
        self._fields: list[str] = []

    def read(self, value: Value, *, path: str, level: int) -> None:
        """Add a value.

        Args:
            value: The value.
            path: Keys that lead to it, joined by points.
            level: Level of the heading that it stands under, 0 for none.
        """
        if isinstance(value, Mapping):
            self._read_object(value, path, level)
        elif isinstance(value, str) and (len(value) > _LONGEST_FIELD or "\n" in value):
            self._read_text(value, level)
        elif isinstance(value, str | int | float):
            self._add_field(value, path)
        elif value is not None:
            self._read_list(value, path, level)

    def flush(self) -> None:
        """Add the fields that were gathered."""
        if self._fields:
            add_text(self._builder, "; ".join(self._fields), level=0)
            self._fields = []

    def _read_object(self, value: Mapping[str, Value], path: str, level: int) -> None:
        self.flush()
        title = next((key for key in _TITLES if _is_title(value.get(key))), "")
        if title and len(value) > 1:
            level = min(level + 1, _DEEPEST_LEVEL)
            self._builder.add_heading(str(value[title]), level)
        for key, inner in value.items():
            if key != title or len(value) == 1:
                self.read(inner, path=f"{path}.{key}" if path else key, level=level)
        self.flush()

    def _read_text(self, text: str, level: int) -> None:
        self.flush()
        if _ENCODED.fullmatch(text) and " " not in text:
            return
        for paragraph in _BLANK_LINES.split(text):
            add_text(self._builder, paragraph, level=level)

    def _add_field(self, value: str | float, path: str) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        if text.strip():
            self._fields.append(f"{path}: {text}" if path else text)

    def _read_list(self, values: Sequence[Value], path: str, level: int) -> None:
        if len(values) > 1 and (columns := _columns(values)):
            self._add_table(values, columns)
        elif values and all(_is_short(value) for value in values):
            texts = (text for value in values if (text := _text(value)))
            self._add_field(", ".join(texts), path)
        elif len(values) > 1 and all(_is_row(value) for value in values):
            self.flush()
            for row in values:
                self._builder.add_row(list(map(_text, row)))  # type: ignore[arg-type]
        else:
            for value in values:
                self.read(value, path=path, level=level)
                self.flush()

    def _add_table(self, values: Sequence[Value], columns: Sequence[str]) -> None:
        self.flush()
        header = join_cells(columns)
        self._builder.add_row(columns)
        for value in values:
            if isinstance(value, Mapping):
                self._builder.add_row([_text(value.get(key)) for key in columns], header=header)


def _columns(values: Sequence[Value]) -> tuple[str, ...]:
    """Return the keys of objects that are all alike and hold short values; empty for others."""
    first = values[0]
    if not isinstance(first, Mapping) or len(first) < 2:
        return ()
    alike = all(
        isinstance(value, Mapping)
        and value.keys() == first.keys()
        and all(map(_is_short, value.values()))
        for value in values
    )
    return tuple(first) if alike else ()


def _is_title(value: Value) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_TITLE


def _is_row(value: Value) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return listed and len(value) > 1 and all(map(_is_short, value))  # type: ignore[arg-type]


def _is_short(value: Value) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_FIELD and "\n" not in value
    return value is None or isinstance(value, int | float)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
