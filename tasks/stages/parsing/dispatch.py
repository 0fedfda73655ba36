"""Chooses the parser by content and name, and holds every parser to the same bar.

Invariant: a document that comes out has at least three words.
"""

from dataclasses import replace
from pathlib import Path, PurePath

from index_store.records import Reason
from tasks.stages.parsing.builder import with_warning
from tasks.stages.parsing.detection import detect, detect_text
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import count_words
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import (
    SUPPORTED_EXTENSIONS,
    TIKA,
    ParserSpec,
    find_parser,
    parser_for,
)

_ENOUGH_WORDS = 3
_TABLES = "sheets"
_TABLES_AS_TEXT = "csv"
"""What plain text is under the name of a workbook."""
_LAWFUL = frozenset((("markdown", "html"), ("html", "xml")))
"""Families that may hold another one's content without disguise."""
_COMPRESSED = "compressed"


def parse_as(path: Path, named: ParserSpec) -> ParsedDocument:
    """Parse a file as what it is.

    Args:
        path: The file.
        named: The parser that its name asks for.

    Raises:
        ParseRefused: The document cannot be indexed.
    """
    if ":" in named.name:  # a parser given by its dotted name reads whatever it is given
        return named.parse(path)
    if named.name == TIKA:  # its pages bear the name of the document that they were made of
        return _parse(path, TIKA)
    found = detect(path) or _undetected(path, named)
    if found == _COMPRESSED and named.name != _COMPRESSED:
        detail = "the content is compressed, and its name does not say so"
        raise ParseRefused(Reason.UNSUPPORTED, detail)
    if (named.name, found) in _LAWFUL:
        found = named.name
    if found == named.name:
        return _parse(path, found)
    try:
        parsed = _parse(path, found)
    except ParseRefused as refusal:
        if refusal.reason is Reason.NO_TEXT and named.is_text:  # its marks are all that it has
            return _parse(path, named.name)
        raise
    return with_warning(parsed, f"named as {named.name}, parsed as {found}")


def parse_by_content(path: Path) -> ParsedDocument:
    """Parse a file whose name says nothing.

    Raises:
        ParseRefused: The document cannot be indexed, or is of no known type.
    """
    found = detect(path) or detect_text(path)
    if not found or found == _COMPRESSED:
        raise ParseRefused(Reason.UNSUPPORTED, "of a type that no parser reads")
    return _parse(path, found)


def _undetected(path: Path, named: ParserSpec) -> str:
    """Return the parser for content that bears no mark of its type."""
    if named.is_text:
        return named.name
    text = detect_text(path)
    if text and named.name == _COMPRESSED:  # browsers unfold what they save, and keep its name
        inner = PurePath(path.stem).suffix.lower()
        return parser_for(path.stem).name if inner in SUPPORTED_EXTENSIONS else text
    return _TABLES_AS_TEXT if named.name == _TABLES and text in ("", "text") else text or named.name


def _parse(path: Path, name: str) -> ParsedDocument:
    parsed = find_parser(name).parse(path)
    _hold_to_words(parsed)
    return replace(parsed, attributes=replace(parsed.attributes, media_type=name))


def _hold_to_words(parsed: ParsedDocument) -> None:
    words = count_words((element.text for element in parsed.elements), enough=_ENOUGH_WORDS)
    if words < _ENOUGH_WORDS:
        images = (
            f"; {parsed.pages} pages may be images, see the setting ocr" if parsed.pages else ""
        )
        raise ParseRefused(Reason.NO_TEXT, f"{words} words came out{images}")
