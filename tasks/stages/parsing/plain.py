"""Plain text: paragraphs are what blank lines part."""

import re
from pathlib import Path

from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.normalisation import normalise

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def parse_text(path: Path) -> ParsedDocument:
    """Parse a .txt file.

    Raises:
        ParseRefused: The file is no text.
    """
    decoded = decode(path.read_bytes())
    builder = ElementBuilder()
    for warning in decoded.warnings:
        builder.warn(warning)
    for paragraph in _BLANK_LINES.split(normalise(decoded.text)):
        builder.add(ElementKind.PARAGRAPH, paragraph)
    return builder.build()
