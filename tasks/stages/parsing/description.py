"""What is known of a document besides its text, by itself, its text and its sidecars."""

from dataclasses import replace

from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.language import identify_language
from tasks.stages.sidecars.chapters import place_chapters
from tasks.stages.sidecars.reading import Described, overridden


def describe_document(parsed: ParsedDocument, described: Described) -> ParsedDocument:
    """Return a document with its language, and with what its sidecars say of it.

    What a document declares as its language counts only when its text does not tell: templates
    declare the language of their author.
    """
    found = parsed.attributes
    found = replace(found, language=_language(parsed) or found.language)
    words = described.keywords
    elements = [replace(each, keywords=words) if words else each for each in parsed.elements]
    placed = place_chapters(elements, described.chapters)
    return replace(
        parsed,
        elements=placed.elements,
        attributes=overridden(found, described.attributes),
        warnings=(*described.warnings, *placed.warnings, *parsed.warnings),
    )


def _language(parsed: ParsedDocument) -> str:
    prose = [
        element.text for element in parsed.elements if element.kind is not ElementKind.TABLE_ROW
    ]
    return identify_language(prose) or identify_language(
        [element.text for element in parsed.elements]
    )
