"""What a document's text tells of it besides what its parser found."""

from dataclasses import replace

from index_store.attributes import DocumentAttributes
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.language import identify_language


def describe_document(parsed: ParsedDocument) -> DocumentAttributes:
    """Return the attributes of a parsed document, its language by its text.

    What a document declares counts only when its text does not tell: templates declare the language
    of their author.
    """
    found = parsed.attributes
    prose = [
        element.text for element in parsed.elements if element.kind is not ElementKind.TABLE_ROW
    ]
    language = identify_language(prose) or identify_language(
        [element.text for element in parsed.elements]
    )
    return replace(found, language=language or found.language)
