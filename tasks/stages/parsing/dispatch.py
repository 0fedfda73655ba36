"""Chooses the parser by content and name, and holds every parser to the same bar.

Invariant: a document that comes out has at least three words.
"""

from dataclasses import replace
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.builder import with_warning
from tasks.stages.parsing.detection import detect
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import count_words
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import ParserSpec, find_parser

_ENOUGH_WORDS = 3
_TEXT_IN_DISGUISE = {"sheets": "csv"}
"""What plain text is when its name says something else; a workbook's name is given to tables."""
_MARKUP_IS_TEXT = ("markdown",)
"""Families in which a page of HTML is lawful content."""


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
    found = detect(path) or _TEXT_IN_DISGUISE.get(named.name, named.name)
    if found == named.name or (named.name in _MARKUP_IS_TEXT and found == "html"):
        parsed = named.parse(path)
    else:
        warning = f"named as {named.name}, parsed as {found}"
        parsed = with_warning(find_parser(found).parse(path), warning)
    _hold_to_words(parsed)
    return replace(parsed, attributes=replace(parsed.attributes, media_type=found))


def _hold_to_words(parsed: ParsedDocument) -> None:
    words = count_words((element.text for element in parsed.elements), enough=_ENOUGH_WORDS)
    if words < _ENOUGH_WORDS:
        raise ParseRefused(Reason.NO_TEXT, f"{words} words came out")
