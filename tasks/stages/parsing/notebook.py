"""Jupyter notebooks: prose with its structure, code, and what the code printed.

Invariants: cells come in order, each followed by its outputs; pictures are left out; notebooks of
format 3 read like those of format 4.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.markdown import read_markdown
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.web import read_page

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_PROSE = ("markdown", "html")
_LONGEST_OUTPUT = 100_000
"""Characters of one output that are kept; longer ones are dumps that nobody searches."""


def parse_notebook(path: Path) -> ParsedDocument:
    """Parse an .ipynb file.

    Raises:
        ParseRefused: It is no notebook.
    """
    try:
        value = json.loads(decode(path.read_bytes()).text)
    except json.JSONDecodeError as error:
        detail = f"no JSON: {error.msg}, line {error.lineno}"
        raise ParseRefused(Reason.CORRUPT, detail) from error
    if not is_notebook(value):
        raise ParseRefused(Reason.CORRUPT, "no notebook: it has no cells")
    return read_notebook(value)


def is_notebook(value: object) -> bool:
    """Tell whether a JSON value is a notebook."""
    return (
        isinstance(value, Mapping)
        and "nbformat" in value
        and bool({"cells", "worksheets"} & value.keys())
    )


def read_notebook(value: object) -> ParsedDocument:
    """Return what a notebook says.

    Args:
        value: The JSON value that the file holds, one that `is_notebook` knows.
    """
    builder = ElementBuilder()
    for cell in _cells(value):
        _add_cell(builder, cell)
    title = _field(_field(value, "metadata"), "title")
    return builder.build(title=title if isinstance(title, str) else "")


def _add_cell(builder: ElementBuilder, cell: object) -> None:
    kind, source = _field(cell, "cell_type"), _joined(_field(cell, "source"))
    if kind == "code":
        builder.add_code(source or _joined(_field(cell, "input")))
        for output in _items(_field(cell, "outputs")):
            _add_output(builder, output)
    elif kind == "heading":
        level = _field(cell, "level")
        builder.add_heading(source, level if isinstance(level, int) else 1)
    elif kind in _PROSE:
        builder.include(read_markdown(source))
    else:
        builder.add(ElementKind.PARAGRAPH, source)


def _add_output(builder: ElementBuilder, output: object) -> None:
    data = _field(output, "data") or output  # format 3 has no field for the data
    page, plain = _joined(_field(data, "text/html") or _field(data, "html")), _plain(data)
    if "<table" in page.lower():
        builder.include(read_page(page))
    else:
        builder.add_code(_ESCAPES.sub("", plain)[:_LONGEST_OUTPUT])
    if prose := _joined(_field(data, "text/markdown")):
        builder.include(read_markdown(prose))
    if name := _field(output, "ename"):
        builder.add_code(_ESCAPES.sub("", f"{name}: {_field(output, 'evalue')}"))


def _plain(data: object) -> str:
    return _joined(_field(data, "text") or _field(data, "text/plain"))


def _cells(value: object) -> Iterator[object]:
    yield from _items(_field(value, "cells"))
    for sheet in _items(_field(value, "worksheets")):
        yield from _items(_field(sheet, "cells"))


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _joined(value: object) -> str:
    """Return a text, which notebooks write as one string or as a list of lines."""
    if isinstance(value, str):
        return value
    return "".join(line for line in _items(value) if isinstance(line, str))
