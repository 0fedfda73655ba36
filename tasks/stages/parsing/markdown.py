"""Markdown: headings, lists, tables, code and prose, with the marks taken off.

Invariant: one pass over the lines; no construct makes the time grow faster than the text.
"""

import re
import tomllib
from collections.abc import Iterable
from datetime import date, time
from pathlib import Path

import yaml

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.normalisation import normalise
from tasks.stages.sidecars.fields import read_fields

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(.*)")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_QUOTE = re.compile(r"(?:[ ]{0,3}>[ ]?)+")
_REFERENCE = re.compile(r" {0,3}\[[^\]\n]{1,200}\]:[ \t]*\S+")
_FRONT_LINES = 200
_FRONT_TITLE = re.compile(r"title[ \t]*[:=][ \t]*(.*)", re.IGNORECASE)

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TARGET = r"\([^()\s]{0,2000}(?:\([^()\s]{0,500}\)[^()\s]{0,500})?(?:[ \t]+[^()]{0,500})?\)"
_LINKED = rf"\[([^\]\[]{{0,1000}})\](?:{_TARGET}|\[[^\]\[]{{0,200}}\])"
_LINK = re.compile(_LINKED)
_IMAGE = re.compile("!" + _LINKED)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000})>")
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]{0,40}(?:[ \t\n][^<>]{0,2000})?/?>")
_STRONG = re.compile(r"(\*{1,3}|~~)(?=\S)([^*~\n]{1,2000}?)(?<=\S)\1")
_UNDERSCORE = re.compile(r"(?<!\w)(_{1,3})(?=\S)([^_\n]{1,2000}?)(?<=\S)\1(?!\w)")
_TICKS = re.compile(r"(`{1,3})([^`]{1,2000})\1")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def parse_markdown(path: Path) -> ParsedDocument:
    """Parse a .md file.

    Raises:
        ParseRefused: The file is no text.
    """
    decoded = decode(path.read_bytes())
    return read_markdown(decoded.text, warnings=decoded.warnings)


def read_markdown(text: str, *, warnings: Iterable[str] = ()) -> ParsedDocument:
    """Return what a text with Markdown's marks says.

    Args:
        text: A whole document, or a cell of a notebook.
        warnings: Notes on how it was decoded.
    """
    reader = _Reader()
    for warning in warnings:
        reader.builder.warn(warning)
    reader.builder.notice(text)
    lines = normalise(text).split("\n")
    front, start = _front_matter(lines)
    attributes = _described(front, reader.builder)
    for line in _COMMENT.sub("", "\n".join(lines[start:])).split("\n"):
        reader.read(line)
    reader.finish()
    reader.builder.describe(attributes)
    return reader.builder.build(title=attributes.title)


def plain(text: str) -> str:
    """Take Markdown's inline marks off a text."""
    if not any(mark in text for mark in "*_`[<~\\&"):
        return text
    bare = _LINK.sub(r"\1", _IMAGE.sub(r"\1", _TICKS.sub(r"\2", text)))
    bare = _TAG.sub("", _AUTOLINK.sub(r"\1", bare))
    bare = _UNDERSCORE.sub(r"\2", _STRONG.sub(r"\2", _STRONG.sub(r"\2", bare)))
    return _ESCAPE.sub(r"\1", bare)


class _Reader:
    """Reads line by line; what is open is closed by the line that cannot belong to it."""

    def __init__(self) -> None:
        self.builder = ElementBuilder()
        self._kind = ElementKind.PARAGRAPH
        self._lines: list[str] = []
        self._fence = ""
        self._header: str | None = None  # of the open table

    def read(self, line: str) -> None:
        if self._fence:
            self._read_code(line)
            return
        content = _QUOTE.sub("", line, count=1) if line.lstrip().startswith(">") else line
        if self._header is not None and "|" in content:
            self.builder.add_row(_cells(content), header=self._header)
            return
        self._header = None
        if fence := _FENCE.match(content):
            self.finish()
            self._fence = fence[1]
        elif not content.strip() or _REFERENCE.match(content):
            self.finish()
        elif not self._read_heading(content) and not self._read_table_rule(content):
            self._read_text(content)

    def finish(self) -> None:
        """Close the open paragraph, item or block of code."""
        text = "\n".join(self._lines)
        if self._kind is ElementKind.CODE:
            self.builder.add_code(text)
        else:
            self.builder.add(self._kind, plain(text))
        self._lines = []
        self._kind = ElementKind.PARAGRAPH
        self._fence = ""

    def _read_code(self, line: str) -> None:
        self._kind = ElementKind.CODE
        stripped = _QUOTE.sub("", line, count=1).strip()
        if stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
            self.finish()
        else:
            self._lines.append(line)

    def _read_heading(self, line: str) -> bool:
        if atx := _ATX.match(line):
            self.finish()
            self.builder.add_heading(plain(atx[2] or ""), len(atx[1]))
            return True
        underline = _SETEXT.match(line)
        if underline and self._lines and self._kind is ElementKind.PARAGRAPH:
            heading = plain("\n".join(self._lines))
            self._lines = []
            self.builder.add_heading(heading, 1 if "=" in underline[1] else 2)
            return True
        if _RULE.match(line):
            self.finish()
            return True
        return False

    def _read_table_rule(self, line: str) -> bool:
        if not self._lines or "|" not in line or "|" not in self._lines[-1]:
            return False
        if not _TABLE_RULE.match(line):
            return False
        cells = _cells(self._lines.pop())
        self.finish()
        self._header = join_cells(cells)
        self.builder.add_row(cells)
        return True

    def _read_text(self, line: str) -> None:
        if item := _ITEM.match(line):
            self.finish()
            self._kind = ElementKind.LIST_ITEM
            self._lines.append(item[1])
        elif not self._lines and line.startswith(("    ", "\t")):
            self._kind = ElementKind.CODE
            self._lines.append(line)
        else:
            self._lines.append(line if self._kind is ElementKind.CODE else line.strip())


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    cells = inner.replace("\\|", "\0").split("|")
    return [plain(cell.replace("\0", "|").strip()) for cell in cells]


def _front_matter(lines: list[str]) -> tuple[str, int]:
    """Return the front matter, its opening line included, and the first line after it."""
    if not lines or lines[0].rstrip() not in ("---", "+++"):
        return "", 0
    for number, line in enumerate(lines[1 : _FRONT_LINES + 1], start=1):
        if line.rstrip() in (lines[0].rstrip(), "..."):
            return "\n".join(lines[:number]), number + 1
    return "", 0


def _described(front: str, builder: ElementBuilder) -> DocumentAttributes:
    """Return what front matter in YAML or TOML says of its document."""
    marks, _, body = front.partition("\n")
    try:
        fields = tomllib.loads(body) if marks.startswith("+") else yaml.safe_load(body)
    except (yaml.YAMLError, ValueError, RecursionError):
        builder.warn("front matter is not understood")
        title = next(filter(None, map(_FRONT_TITLE.match, body.split("\n"))), None)
        return DocumentAttributes(title=title[1].strip().strip("\"'") if title else "")
    if not isinstance(fields, dict):
        return NO_ATTRIBUTES
    named = {str(name): _as_json(value) for name, value in fields.items()}
    return read_fields(named).attributes


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, date | time) else value
