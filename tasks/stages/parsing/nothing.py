"""A parser that reads nothing, for what sidecars say of a document that no parser outlives."""

from pathlib import Path

from tasks.stages.parsing.elements import ParsedDocument

DESCRIBE = f"{__name__}:parse_nothing"
"""Its dotted name, by which a pool is asked for it."""


def parse_nothing(_: Path) -> ParsedDocument:
    """Return a document without elements, whatever the file holds."""
    return ParsedDocument(elements=())
