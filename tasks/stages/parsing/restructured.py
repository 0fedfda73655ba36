"""reStructuredText: headings by their underlines, lists, tables, code and notes, marks taken off.

Read line by line rather than by docutils, which drops what stands in directives and roles that it
does not know, as Sphinx's are.
Invariant: one pass over the lines; nothing is included from other files.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.normalisation import normalise
from tasks.stages.parsing.restructured_tables import TableReader, opens_table

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_ITEM = re.compile(r"(?:[-*+•]|\(?(?:\d{1,4}|[a-zA-Z]|#)[.)]|\[[ xX]\])\s+(.*)")
_FIELD = re.compile(r":((?:[^:\\\n]|\\.){1,80}):(?:\s+(.*)|$)")
_DIRECTIVE = re.compile(r"\.\. +(?:\|[^|]+\| +)?([\w:.+-]+)::\s*(.*)")
_NOTE = re.compile(r"\.\. +\[(?:#?[\w.-]*|\*)\]\s+(.*)")
_TARGET = re.compile(r"\.\. +_|__ +\S")
_CODE_NAMES = "code code-block sourcecode literalinclude parsed-literal math"
_CODE = frozenset(_CODE_NAMES.split())
_TITLED_NAMES = """
    topic admonition sidebar rubric note warning tip important caution danger attention hint error
    seealso deprecated versionadded versionchanged table figure
"""
_TITLED = frozenset(_TITLED_NAMES.split())
_SILENT_NAMES = """
    include image raw toctree contents index role default-role meta currentmodule module highlight
    tabularcolumns automodule autoclass autofunction automethod sectnum header footer class
"""
_SILENT = frozenset(_SILENT_NAMES.split())

_ROLE = re.compile(r":[\w:.+-]{1,60}:`([^`]+)`")
_LINK = re.compile(r"`([^`<]*?)\s*<[^`>]+>`_{0,2}|`([^`]+)`_{1,2}")
_STRONG = re.compile(r"(\*{1,2}|`{1,2})(?=\S)([^*`\n]{1,2000}?)(?<=\S)\1")
_SUBSTITUTION = re.compile(r"(?<!\w)\|([^|\s][^|\n]{0,100})\|_{0,2}")
_REFERENCE = re.compile(r"(?<=\w)_{1,2}(?=[\s.,;:!?)\]]|$)")
_TARGETED = re.compile(r"(.*\S)\s*<[^<>]+>")
_FOOTNOTE = re.compile(r"\s?\[(?:#[\w.-]*|\d+|\*)\]_")
_ESCAPE = re.compile(r"\\(\S)")


def parse_rst(path: Path) -> ParsedDocument:
    """Parse an .rst file.

    Raises:
        ParseRefused: The file is no text.
    """
    decoded = decode(path.read_bytes())
    reader = _Reader()
    for warning in decoded.warnings:
        reader.builder.warn(warning)
    reader.builder.notice(decoded.text)
    lines = normalise(decoded.text).expandtabs(8).split("\n")
    reader.read([line.rstrip() for line in lines])
    return reader.builder.build()


def plain(text: str) -> str:
    """Take the inline marks off a text."""
    if not any(mark in text for mark in "*`_|\\"):
        return text
    bare = _ROLE.sub(lambda match: _shown(match[1]), _FOOTNOTE.sub("", text))
    bare = _LINK.sub(lambda match: match[1] or match[2] or "", bare)
    bare = _SUBSTITUTION.sub(r"\1", _STRONG.sub(r"\2", _STRONG.sub(r"\2", bare)))
    return _ESCAPE.sub(r"\1", _REFERENCE.sub("", bare))


class _Reader:
    """Reads blocks; a block ends where a blank line or another indentation begins."""

    def __init__(self) -> None:
        self.builder = ElementBuilder()
        self._adornments: list[str] = []

    def read(self, lines: Sequence[str]) -> None:
        """Add what stands on some lines, which may be the content of a directive."""
        position = 0
        while position < len(lines):
            if not lines[position].strip():
                position += 1
            else:
                position = self._read_block(lines, position)

    def _read_block(self, lines: Sequence[str], start: int) -> int:
        """Add one block; return the position of the line after it."""
        line = lines[start].strip()
        if (end := self._read_heading(lines, start)) > start:
            return end
        if opens_table(lines, start):
            return TableReader(self.builder, plain).read(lines, start)
        if line.startswith("..") and (len(line) == 2 or line[2] == " "):
            return self._read_explicit(lines, start)
        if _TARGET.match(line):
            return start + 1
        if match := _ITEM.match(line) or _FIELD.match(line):
            return self._read_item(lines, start, match)
        return self._read_paragraph(lines, start)

    def _read_heading(self, lines: Sequence[str], start: int) -> int:
        """Add a heading when there is one, its level that of the first like it."""
        first = lines[start]
        over = _ADORNMENT.match(first)
        title = start + 1 if over else start
        under = lines[title + 1] if title + 1 < len(lines) else ""
        match = _ADORNMENT.match(under)
        text = lines[title].strip() if title < len(lines) else ""
        if over and not match:
            return start + 1  # a transition
        if not match or not text or _ADORNMENT.match(text) or len(under) < min(len(text), 4):
            return start
        if over is None and lines[title][:1].isspace():
            return start
        style = f"{match[1]}{'over' if over else ''}"
        if style not in self._adornments:
            self._adornments.append(style)
        self.builder.add_heading(plain(text), self._adornments.index(style) + 1)
        return title + 2

    def _read_explicit(self, lines: Sequence[str], start: int) -> int:
        """Add what a directive, a footnote or a comment holds."""
        line = lines[start].strip()
        content, end = _indented(lines, start)
        if note := _NOTE.match(line):
            text = " ".join([note[1], *(each.strip() for each in content)])
            self.builder.add(ElementKind.NOTE, plain(text))
        elif directive := _DIRECTIVE.match(line):
            self._read_directive(directive[1], directive[2], content)
        return end

    def _read_directive(self, name: str, argument: str, content: Sequence[str]) -> None:
        body = _without_options(content)
        if name in _CODE:
            self.builder.add_code("\n".join(([argument] if name == "math" else []) + body))
        elif name == "csv-table":
            self.builder.add(ElementKind.PARAGRAPH, plain(argument))
            TableReader(self.builder, plain).read_delimited(body, content)
        elif name == "list-table":
            self.builder.add(ElementKind.PARAGRAPH, plain(argument))
            TableReader(self.builder, plain).read_list(body)
        elif name not in _SILENT:
            # The argument of a directive that we do not know may be the first line of its text.
            if name in _TITLED or " " in argument:
                self.builder.add(ElementKind.PARAGRAPH, plain(argument))
            self.read(body)

    def _read_item(self, lines: Sequence[str], start: int, match: "re.Match[str]") -> int:
        content, end = _indented(lines, start)
        named = match.re is _FIELD
        text = f"{match[1]}: {match[2] or ''}" if named else match[1]
        first = next((i for i, each in enumerate(content) if not each.strip()), len(content))
        joined = " ".join([text, *(each.strip() for each in content[:first])])
        self._add(ElementKind.PARAGRAPH if named else ElementKind.LIST_ITEM, joined)
        self.read(content[first:])
        return end

    def _read_paragraph(self, lines: Sequence[str], start: int) -> int:
        indent = _indent(lines[start])
        end = start + 1
        while end < len(lines) and lines[end].strip() and _indent(lines[end]) == indent:
            end += 1
        text = " ".join(line.strip() for line in lines[start:end])
        self._add(ElementKind.PARAGRAPH, text)
        if text.endswith("::"):
            content, after = _indented(lines, end - 1)
            if any(line.strip() for line in content):
                self.builder.add_code("\n".join(content))
                return after
        return end

    def _add(self, kind: ElementKind, text: str) -> None:
        shown = text.removesuffix("::") + ":" if text.endswith("::") else text
        self.builder.add(kind, plain("" if shown == ":" else shown))


def _indented(lines: Sequence[str], start: int) -> tuple[list[str], int]:
    """Return the lines that belong to the one at `start` by their indentation, and where they end.

    Their common indentation is taken off.
    """
    indent = _indent(lines[start])
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    content = list(lines[start + 1 : end])
    margin = min((_indent(line) for line in content if line.strip()), default=0)
    return [line[margin:] for line in content], end


def _without_options(content: Iterable[str]) -> list[str]:
    body = list(content)
    while body and (not body[0].strip() or _FIELD.match(body[0].strip())):
        body.pop(0)
    return body


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shown(text: str) -> str:
    """Return what a role shows: its title when it has one."""
    match = _TARGETED.fullmatch(text)
    return match[1] if match else text.removeprefix("~")
