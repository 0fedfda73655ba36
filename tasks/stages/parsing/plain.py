"""Plain text: paragraphs are what blank lines part; in logs every line stands for itself."""

import re
from pathlib import Path

from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.normalisation import normalise

_LINE_STARTS = re.compile(r"\n(?![ \t])")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def parse_text(path: Path) -> ParsedDocument:
    """Parse a .txt file.

    Raises:
        ParseRefused: The file is no text.
    """
    return _parse(path, _BLANK_LINES)


def parse_log(path: Path) -> ParsedDocument:
    """Parse a .log file; an indented line, as of a stack trace, belongs to the one before.

    Raises:
        ParseRefused: The file is no text.
    """
    return _parse(path, _LINE_STARTS)


def _parse(path: Path, boundary: re.Pattern[str]) -> ParsedDocument:
    decoded = decode(path.read_bytes())
    builder = ElementBuilder()
    for warning in decoded.warnings:
        builder.warn(warning)
    builder.notice(decoded.text)
    for paragraph in boundary.split(normalise(decoded.text)):
        builder.add(ElementKind.PARAGRAPH, paragraph)
    return builder.build()
